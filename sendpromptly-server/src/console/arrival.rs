//! What is written and sent when somebody has signed in, with whatever was shown last.

use hyper::header::HeaderValue;
use sendpromptly_core::audit::{Action, Draft};
use sendpromptly_core::id::UserId;

use super::{Visit, cookie};
use crate::account::device::DeviceToken;
use crate::platform::entropy;
use crate::store::known_devices;
use crate::store::rows::Sql;

/// Somebody has signed in: the browser is known from now on, and the audit log tells.
#[derive(Debug)]
pub struct Arrival {
    /// To be written with what completes the session.
    pub writes: Vec<Sql>,
    /// To be told in each of the user's organizations.
    pub draft: Draft,
    /// The `Set-Cookie` by which the browser is known again.
    pub cookie: HeaderValue,
}

impl Arrival {
    /// This user has arrived by this request.
    #[must_use]
    pub fn of(visit: &Visit, user: UserId) -> Self {
        let (writes, cookie) = make_known(visit, user);
        Self {
            writes,
            draft: Draft::new(&visit.origin(user), Action::LoginSucceeded, user, &[]),
            cookie,
        }
    }
}

/// Makes the browser known for a user, whose guesses strangers then cannot delay: what to write, and the
/// `Set-Cookie`.
#[must_use]
pub fn make_known(visit: &Visit, user: UserId) -> (Vec<Sql>, HeaderValue) {
    let came_with = visit.device.as_ref().map(DeviceToken::digest);
    let device = DeviceToken::new(entropy::bytes());
    let writes = known_devices::remember(user, came_with.as_ref(), &device.digest(), visit.now);
    (writes, cookie::set_device(&visit.client, &device))
}
