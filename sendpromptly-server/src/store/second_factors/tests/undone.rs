//! A change of a second factor that a deadlock undoes is tried again.

use super::*;

#[tokio::test]
async fn a_change_is_made_though_a_deadlock_undoes_it_at_first() {
    let world = World::set_up().await;
    let user = User::set_up(&world).await;
    user.propose(SECRET, NOW).await;
    world.undo_every_other_entry().await;
    assert!(user.confirm(SECRET).await);
    let changer = user.changer(&user.token);
    let replaced = world.store.replace_recovery_codes(&changer, &CODES);
    assert!(replaced.await.unwrap());
    assert_eq!(user.turn_off().await, TurnedOff::Done);
}
