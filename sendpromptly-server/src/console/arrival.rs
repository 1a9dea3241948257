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
        let came_with = visit.device.as_ref().map(DeviceToken::digest);
        let device = DeviceToken::new(entropy::bytes());
        Self {
            writes: known_devices::remember(user, came_with.as_ref(), &device.digest(), visit.now),
            draft: Draft::new(&visit.origin(user), Action::LoginSucceeded, user, &[]),
            cookie: cookie::set_device(&visit.client, &device),
        }
    }
}
