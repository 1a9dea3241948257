//! Work whose length would tell by the clock whether an address has an account.

use std::future::Future;
use std::time::Duration;

/// How long it seems to take: well beyond what it does on a server that is not overrun.
const SEEMS_TO_TAKE: Duration = Duration::from_millis(200);

/// Does some work on behalf of a stranger, and is through no sooner than [`SEEMS_TO_TAKE`].
pub(super) async fn unhurried<T>(work: impl Future<Output = T>) -> T {
    tokio::join!(work, tokio::time::sleep(SEEMS_TO_TAKE)).0
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;
    use crate::testing::console::{Answer, House, PASSWORD, Person};

    /// Forms that are answered alike whether the address has an account or not, with what else they hold.
    const SIGN_IN: Form = ("/sign-in", &[("password", "wrong horse battery")]);
    const BY_MAIL: [Form; 3] = [
        ("/reset", &[]),
        ("/account/email", &[]),
        (
            "/sign-up",
            &[
                ("organization", "Other"),
                ("new_password", PASSWORD),
                ("repeat_password", PASSWORD),
            ],
        ),
    ];

    type Form = (&'static str, &'static [(&'static str, &'static str)]);

    /// Ada has a browser, and Bob an account.
    async fn with_ada_and_bob() -> (House, Person) {
        let house = House::open().await;
        house.person("bob@example.com").await;
        let ada = house.person("ada@example.com").await;
        let ada = house.sign_in_with_code(&ada, 0).await;
        (house, ada)
    }

    /// What Ada is answered for the address of an account, and for another.
    async fn answers(house: &House, ada: &Person, (path, more): Form) -> [Answer; 2] {
        let answer = async |email| {
            let fields = [&[("email", email)], more].concat();
            house.post(ada, path, &fields).await
        };
        [
            answer("bob@example.com").await,
            answer("nobody@example.com").await,
        ]
    }

    #[tokio::test]
    async fn no_answer_comes_so_soon_that_it_tells_whether_an_address_has_an_account() {
        let (house, ada) = with_ada_and_bob().await;
        for form in BY_MAIL.into_iter().chain([SIGN_IN]) {
            // A slow machine takes longer, and never less: this is the promise, and no measurement.
            let begin = Instant::now();
            let [known, unknown] = answers(&house, &ada, form).await;
            assert!(begin.elapsed() >= 2 * SEEMS_TO_TAKE, "{form:?}");
            assert_eq!(known.status, unknown.status, "{form:?}");
            assert!(!known.status.is_server_error(), "{known:?}");
        }
    }

    #[tokio::test]
    async fn where_no_letter_can_be_sealed_no_answer_tells_whether_an_address_has_an_account() {
        let (house, ada) = with_ada_and_bob().await;
        house.world.refuse_into("data_keys").await;
        for form in BY_MAIL {
            let [known, unknown] = answers(&house, &ada, form).await;
            assert!(known.status.is_server_error(), "{known:?}");
            assert_eq!(known.status, unknown.status, "{form:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn less_work_is_done_no_sooner() {
        for millis in [0, 5, 150] {
            let begin = Instant::now();
            unhurried(tokio::time::sleep(Duration::from_millis(millis))).await;
            assert_eq!(begin.elapsed(), SEEMS_TO_TAKE, "{millis} ms of work");
        }
    }
}
