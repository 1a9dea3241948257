//! Signing in with e-mail address and password, and signing out.
//!
//! Whatever was wrong, the answer is the same, and so is the work: see [`Passwords`](crate::account::passwords). What is
//! then written down of it differs, which `unhurried` hides.

use std::time::Duration;

use askama::Template;
use hyper::StatusCode;
use hyper::header::SET_COOKIE;
use sendpromptly_core::audit::{Action, Draft};
use sendpromptly_core::hex;
use sha2::{Digest, Sha256};

use super::arrival::Arrival;
use super::page::{self, Frame};
use super::unhurried::unhurried;
use super::{PageError, Visit, code, cookie};
use crate::account::email::Email;
use crate::account::guesses::Try;
use crate::account::passwords::{Checked, Refusal};
use crate::http::Response;
use crate::platform::entropy;
use crate::store::failed_sign_ins::FailedSignIn;
use crate::store::own_sessions::Leaving;
use crate::store::sessions::{self, NewSession, SessionToken};
use crate::store::users::StoredUser;

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignInPage<'a> {
    frame: Frame,
    email: &'a str,
    then: &'a str,
    refused: bool,
}

/// `GET /sign-in`: the form; whoever is signed in goes on at once.
///
/// # Errors
/// [`PageError`] by its cause.
pub async fn form(visit: Visit) -> Result<Response, PageError> {
    let then = page::local_path(visit.query.text("then"));
    if visit.session.as_ref().is_some_and(|session| session.complete) {
        return Ok(page::see_other(then));
    }
    let notice = match visit.query.text("done") {
        "signed-out" => Some("You are signed out."),
        "confirmed" => Some("Your address is confirmed. Sign in to begin."),
        "joined" => Some("Your account is made. Sign in to begin."),
        "email" => Some("Your new address is confirmed."),
        "deleted" => Some("Your account is deleted."),
        "not-done" => {
            Some("Your session had ended, so what you sent was not done. Sign in, and send it again.")
        }
        "ended" => Some("Your password was changed. Sign in with the new one."),
        _ => None,
    };
    page::page(&SignInPage {
        frame: visit.frame("Sign in").telling(notice),
        email: "",
        then,
        refused: false,
    })
}

/// `POST /sign-in`.
///
/// # Errors
/// [`PageError`] by its cause.
pub async fn sign_in(visit: Visit) -> Result<Response, PageError> {
    let given = visit.form.text("email");
    let email = Email::parse(given).ok();
    // What is no address is nobody's, and refused in the same way; no address looks like a digest.
    let key = email
        .as_ref()
        .map_or_else(|| hex::encode(&Sha256::digest(given)), Email::key);
    let place = visit.place();
    let password = visit.form.secret("password");
    let checked = visit.console.passwords.check(&key, password, &place, visit.now);
    match checked.await? {
        Checked::Right(user, right) => enter(&visit, &user, right).await,
        Checked::Refused(refusal) => refuse(&visit, email.as_ref(), refusal).await,
    }
}

/// Begins the session. Where the user has a second factor, it lacks a code yet.
async fn enter(visit: &Visit, user: &StoredUser, right: Try) -> Result<Response, PageError> {
    let token = SessionToken::generate();
    let complete = !user.has_second_factor;
    let new = NewSession {
        token: &token,
        user: user.id,
        complete,
        password_at: Some(visit.now),
        code_at: None,
        address: visit.client.address,
        agent: &visit.agent,
        now: visit.now,
    };
    let session = sessions::insert(entropy::ordered_id(visit.now), &new);
    let mut writes = vec![session];
    writes.extend(right.succeeded());
    let arrival = complete.then(|| Arrival::of(visit, user.id));
    let (more, draft, known) = match arrival {
        Some(arrival) => (arrival.writes, Some(arrival.draft), Some(arrival.cookie)),
        None => (Vec::new(), None, None),
    };
    writes.extend(more);
    let drafts: Vec<_> = draft.into_iter().collect();
    // The browser's session before this one ends, whoever's it was.
    let before = visit.session.as_ref().map(|session| Leaving {
        session,
        origin: visit.origin(session.user),
    });
    let store = visit.store();
    if !store
        .admit(user, before.as_ref(), &writes, &drafts, visit.now)
        .await?
    {
        // The password was changed while it was checked.
        return refused_page(visit, Duration::ZERO);
    }
    let then = page::local_path(visit.form.text("then"));
    let mut response = page::see_other(&if user.has_second_factor {
        let then = page::encoded(then);
        format!("/sign-in/code?then={then}")
    } else {
        then.to_owned()
    });
    let cookies = [Some(visit.session_cookie(&token)), known];
    for cookie in cookies.into_iter().flatten() {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    Ok(response)
}

async fn refuse(visit: &Visit, email: Option<&Email>, refusal: Refusal) -> Result<Response, PageError> {
    let failed = FailedSignIn {
        user: refusal.account.user(),
        email: email.map(Email::as_str),
        wrong: "password",
        address: visit.client.address,
        now: visit.now,
    };
    unhurried(visit.store().note_failed_sign_in(&failed)).await?;
    refused_page(visit, refusal.wait)
}

/// The same page whether the address is unknown, the password wrong or the time not come to try again.
fn refused_page(visit: &Visit, wait: Duration) -> Result<Response, PageError> {
    let shown = SignInPage {
        frame: visit.frame("Sign in"),
        email: visit.form.text("email"),
        then: page::local_path(visit.form.text("then")),
        refused: true,
    };
    let page = page::with_status(StatusCode::UNPROCESSABLE_ENTITY, &shown)?;
    Ok(code::retry_after(page, wait))
}

/// `POST /sign-out`: ends the session, if there is one.
///
/// # Errors
/// [`PageError`] by its cause.
pub async fn sign_out(visit: Visit) -> Result<Response, PageError> {
    if let Some(session) = &visit.session {
        let draft = Draft::new(&visit.origin(session.user), Action::Logout, session.user, &[]);
        let drafts: Vec<_> = session.complete.then_some(draft).into_iter().collect();
        let ended = [sessions::end(session.id)];
        let ended = visit
            .store()
            .commit_own_action(session.user, &ended, &drafts, visit.now);
        ended.await?;
    }
    let mut response = page::see_other("/sign-in?done=signed-out");
    let gone = cookie::remove(cookie::Kind::Session, &visit.client);
    response.headers_mut().append(SET_COOKIE, gone);
    Ok(response)
}

#[cfg(test)]
mod tests {
    use sendpromptly_core::access::Role;

    use crate::store::rows::{self, Sql};
    use crate::testing::console::{House, PASSWORD, Person};

    async fn sign_in_again(house: &House, browser: &Person, email: &str) {
        let fields = [("email", email), ("password", PASSWORD)];
        let answer = house.post(browser, "/sign-in", &fields).await;
        assert_eq!(answer.status, 303, "{}", answer.body);
    }

    /// Who arrived and who left, in the order of the organization's log.
    async fn told(house: &House) -> Vec<(String, String)> {
        let query =
            Sql::new("SELECT actor, action FROM audit_entries WHERE organization_id = {} ORDER BY seq");
        let query = query.bind(house.world.organization.as_bytes());
        let found = query.all(house.world.store.reader()).await.unwrap();
        let text = |row, column| rows::get::<String>(row, column).unwrap();
        let entries = found.iter().map(|row| (text(row, "actor"), text(row, "action")));
        entries.filter(|(_, action)| action.starts_with("log")).collect()
    }

    #[tokio::test]
    async fn a_sign_in_over_a_live_session_tells_that_its_user_has_left() {
        let house = House::open().await;
        let ada = house.member("ada@example.com", Role::Admin).await;
        let bob = house.member("bob@example.com", Role::Viewer).await;
        sign_in_again(&house, &ada, &bob.email).await;
        let entry = |who: &Person, action: &str| (who.user.to_string(), action.to_owned());
        let expected = [entry(&ada, "logout"), entry(&bob, "login.succeeded")];
        assert_eq!(told(&house).await, expected);
        assert_eq!(
            house.get(&ada, "/account").await.status,
            303,
            "the session has ended"
        );

        // Of a session that lacks a code nobody was told that it began.
        let halfway = house.sign_in_halfway(&ada).await;
        sign_in_again(&house, &halfway, &bob.email).await;
        let after = told(&house).await.split_off(expected.len());
        assert_eq!(after, [entry(&bob, "login.succeeded")]);
    }
}
