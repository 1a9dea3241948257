//! Deleting the own account.

use askama::Template;
use hyper::StatusCode;
use hyper::header::SET_COOKIE;

use crate::account::deletion;
use crate::console::access::SignedIn;
use crate::console::page::{self, Frame};
use crate::console::{PageError, Visit, cookie};
use crate::http::Response;
use crate::store::deleted_users::UserDeletion;

/// Batches of details that are looked through before the answer; the workers do the rest.
const BATCHES: u32 = 16;

#[derive(Template)]
#[template(path = "account_delete.html")]
struct DeletePage<'a> {
    frame: Frame,
    email: &'a str,
    wrong: bool,
    /// The organizations that would be left without an owner.
    owned: &'a [String],
}

/// `GET /account/delete`: says what is lost, and asks for the address.
///
/// # Errors
/// [`PageError`] by its cause.
pub async fn confirm(visit: Visit, who: SignedIn) -> Result<Response, PageError> {
    page::page(&delete_page(&visit, &who, false, &[]))
}

/// `POST /account/delete`.
///
/// # Errors
/// [`PageError`] by its cause.
pub async fn delete(visit: Visit, who: SignedIn) -> Result<Response, PageError> {
    let refused = |wrong, owned: &[String]| {
        let page = delete_page(&visit, &who, wrong, owned);
        page::with_status(StatusCode::UNPROCESSABLE_ENTITY, &page)
    };
    if !visit.form.text("email").trim().eq_ignore_ascii_case(&who.email) {
        return refused(true, &[]);
    }
    let origin = visit.origin(who.user);
    let end = deletion::delete(visit.store(), who.user, &origin, BATCHES, visit.now).await?;
    if let UserDeletion::LastOwner(owned) = end {
        return refused(false, &owned);
    }
    let mut response = page::see_other("/sign-in?done=deleted");
    for kind in [cookie::Kind::Session, cookie::Kind::Device] {
        let gone = cookie::remove(kind, &visit.client);
        response.headers_mut().append(SET_COOKIE, gone);
    }
    Ok(response)
}

fn delete_page<'a>(visit: &Visit, who: &'a SignedIn, wrong: bool, owned: &'a [String]) -> DeletePage<'a> {
    DeletePage {
        frame: visit.frame_for(who, "Delete your account"),
        email: &who.email,
        wrong,
        owned,
    }
}
