//! Codes and passwords that forms bring to show once more who it is, and what is told where they are refused.

use std::time::Duration;

use askama::Template;
use hyper::StatusCode;
use hyper::header::{HeaderValue, RETRY_AFTER};
use sendpromptly_core::id::UserId;
use zeroize::Zeroizing;

use super::access::SignedIn;
use super::{PageError, Visit, page};
use crate::account::passwords::Checked;
use crate::account::second_factor::{CodeError, Typed};
use crate::http::Response;
use crate::store::failed_sign_ins::FailedSignIn;
use crate::store::rows::Sql;
use crate::store::second_factors::Taken;
use crate::store::sessions;

/// The field of a code that is asked for again.
pub(super) const STEP_UP_CODE: &str = "step_up_code";
/// The field of a password that is asked for again.
pub(super) const STEP_UP_PASSWORD: &str = "step_up_password";

/// Why a code or a password was not taken, as its page tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// In words.
    pub text: String,
    /// How long the next try must wait.
    pub wait: Duration,
    /// The page's status.
    pub status: StatusCode,
}

impl Refusal {
    fn wrong(text: &str, wait: Duration) -> Self {
        Self {
            text: text.to_owned(),
            wait,
            status: StatusCode::UNPROCESSABLE_ENTITY,
        }
    }

    /// What is told of this error, unless it is a fault of ours.
    ///
    /// # Errors
    /// [`PageError`] for the faults.
    pub fn of(error: CodeError) -> Result<Self, PageError> {
        match error {
            CodeError::Wrong(wait) => Ok(Self::wrong(
                "This code is not right, or it was used before. Each code is good once: type in the next one that \
                 your app shows.",
                wait,
            )),
            CodeError::Wait(wait) => Ok(Self {
                text: format!(
                    "Too many codes were wrong. The next one can be tried in {}.",
                    super::when::words(wait.max(Duration::from_secs(1)))
                ),
                wait,
                status: StatusCode::TOO_MANY_REQUESTS,
            }),
            CodeError::NotProposed => Ok(Self::wrong("This set-up has ended. Begin again.", Duration::ZERO)),
            CodeError::Vault(error) => Err(error.into()),
            CodeError::Store(error) => Err(error.into()),
        }
    }
}

/// A page that asks for a code or a password: with the status of the refusal that it tells of, if it tells of one.
///
/// # Errors
/// [`PageError::Internal`] where the template fails.
pub(super) fn asking(template: &impl Template, refusal: Option<&Refusal>) -> Result<Response, PageError> {
    match refusal {
        Some(refusal) => Ok(retry_after(
            page::with_status(refusal.status, template)?,
            refusal.wait,
        )),
        None => page::page(template),
    }
}

/// Tells programs when to come again, where they must wait.
pub(super) fn retry_after(mut response: Response, wait: Duration) -> Response {
    if !wait.is_zero() {
        let seconds = wait.as_millis().div_ceil(1_000);
        let seconds = HeaderValue::from(u64::try_from(seconds).unwrap_or(u64::MAX));
        response.headers_mut().insert(RETRY_AFTER, seconds);
    }
    response
}

/// Takes the code in this field and makes these writes with it.
///
/// # Errors
/// [`CodeError`] by its cause.
pub async fn take(
    visit: &Visit,
    user: UserId,
    code: Zeroizing<String>,
    writes: Vec<Sql>,
    drafts: Vec<sendpromptly_core::audit::Draft>,
) -> Result<Taken, CodeError> {
    let typed = Typed {
        user,
        code,
        place: &visit.place(),
        origin: &visit.origin(user),
        now: visit.now,
    };
    visit.console.second_factors.take(&typed, writes, drafts).await
}

/// Takes the code that the form brings to show once more who it is. Gives why not, where it is refused.
///
/// # Errors
/// [`PageError`] by its cause.
pub async fn show_code(visit: &Visit, who: &SignedIn) -> Result<Option<Refusal>, PageError> {
    let code = visit.form.secret(STEP_UP_CODE);
    let noted = vec![sessions::note_code(who.session, visit.now)];
    match take(visit, who.user, code, noted, Vec::new()).await {
        Ok(_) => Ok(None),
        Err(error) => {
            let refusal = Refusal::of(error)?;
            note_failure(visit, who.user, &who.email, Wrong::Code).await?;
            Ok(Some(refusal))
        }
    }
}

/// What was wrong.
#[derive(Debug, Clone, Copy)]
pub(super) enum Wrong {
    /// A code.
    Code,
    /// A password.
    Password,
}

/// Tells the audit log that a code or a password of this user was refused, wherever it was asked for.
///
/// # Errors
/// [`PageError`] by its cause.
pub(super) async fn note_failure(
    visit: &Visit,
    user: UserId,
    email: &str,
    wrong: Wrong,
) -> Result<(), PageError> {
    let failed = FailedSignIn {
        user: Some(user),
        email: Some(email),
        wrong: match wrong {
            Wrong::Code => "code",
            Wrong::Password => "password",
        },
        address: visit.client.address,
        now: visit.now,
    };
    Ok(visit.store().note_failed_sign_in(&failed).await?)
}

/// Takes the password that the form brings to show once more who it is. Gives why not, where it is refused.
///
/// # Errors
/// [`PageError`] by its cause.
pub async fn show_password(visit: &Visit, who: &SignedIn) -> Result<Option<Refusal>, PageError> {
    let password = visit.form.secret(STEP_UP_PASSWORD);
    let place = visit.place();
    let checked = visit
        .console
        .passwords
        .check_again(who.user, password, &place, visit.now);
    match checked.await? {
        Checked::Right(_, right) => {
            let mut writes = vec![sessions::note_password(who.session, visit.now)];
            writes.extend(right.succeeded());
            visit.store().commit_together(writes).await?;
            Ok(None)
        }
        Checked::Refused(refusal) => {
            note_failure(visit, who.user, &who.email, Wrong::Password).await?;
            let text = "The password is wrong. After several wrong tries the next ones are refused for a while, even \
                        with the right password.";
            Ok(Some(Refusal::wrong(text, refusal.wait)))
        }
    }
}
