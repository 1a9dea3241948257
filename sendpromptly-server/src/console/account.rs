//! A user's own account: what there is to see and to change.

use askama::Template;

use super::access::SignedIn;
use super::page::{self, Frame};
use super::{PageError, Visit};
use crate::http::Response;

pub mod deletion;
pub mod email;
pub mod password;
pub mod sessions;

#[derive(Template)]
#[template(path = "account.html")]
struct AccountPage {
    frame: Frame,
    email: String,
    has_second_factor: bool,
}

/// `GET /account`: what the account is, and where each part of it is changed.
///
/// # Errors
/// [`PageError`] by its cause.
pub async fn show(visit: Visit, who: SignedIn) -> Result<Response, PageError> {
    let notice = match visit.query.text("done") {
        "password" => Some("The password is changed. All other sessions have ended."),
        "email-asked" => Some(
            "A link is on its way to the new address. The change is made when you open it, within a day.",
        ),
        _ => None,
    };
    page::page(&AccountPage {
        frame: visit.frame_for(&who, "Your account").telling(notice),
        email: who.email,
        has_second_factor: who.shown.has_second_factor,
    })
}
