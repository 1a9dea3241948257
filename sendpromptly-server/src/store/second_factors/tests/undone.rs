//! A change of a second factor whose transaction is undone: by a deadlock it is tried again, and where the log cannot be
//! written it is not made.

use super::*;
use crate::testing::estate::dump;

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

#[tokio::test]
async fn where_the_log_cannot_be_written_no_factor_is_confirmed_and_no_code_taken() {
    let world = World::set_up().await;
    let proposed = User::set_up(&world).await;
    proposed.propose([7; 16], NOW).await;
    let user = User::set_up(&world).await.with_factor().await;
    let rows = async || {
        let mut rows = Vec::new();
        for table in [
            "second_factor_proposals",
            "second_factors",
            "recovery_codes",
            "sessions",
        ] {
            rows.extend(dump(&world, table).await);
        }
        rows
    };
    world.refuse_into("audit_entries").await;
    let before = rows().await;
    let (store, changer) = (&world.store, proposed.changer(&proposed.token));
    let confirmed = store.confirm_second_factor(&changer, [7; 16], STEP, &CODES, Vec::new());
    assert!(confirmed.await.is_err());
    for proof in [later(1), Proof::Recovery(CODES[0])] {
        let (writes, action) = (
            vec![sessions::note_code(user.session, NOW)],
            Action::LoginSucceeded,
        );
        let drafts = vec![Draft::new(&user.origin, action, user.id, &[])];
        let taken = store.take_code(user.id, proof, writes, drafts, &user.origin, NOW);
        assert!(taken.await.is_err(), "{proof:?}");
    }
    assert_eq!(rows().await, before);
}
