//! Signing up: an address, a password and a name for the organization. Nothing is made before the address is
//! confirmed, and the answer is the same whether the address has an account or not.

use askama::Template;
use hyper::StatusCode;
use sendpromptly_core::project::Name;

use super::page::{self, Frame};
use super::unhurried::unhurried;
use super::{PageError, Visit, new_password};
use crate::account::email::Email;
use crate::account::link::LinkKind;
use crate::account::password::Password;
use crate::config::SignUp as Who;
use crate::http::{Response, network};
use crate::mail::Letter;
use crate::platform::entropy;
use crate::store::mail_rates::Counted;
use crate::store::sign_ups::{self, SignUp};

/// Told where too many sign up from one network.
const TOO_MANY: &str =
    "There were too many sign-ups from your network within this hour. Try again in an hour.";

#[derive(Template)]
#[template(path = "sign_up.html")]
struct SignUpPage<'a> {
    frame: Frame,
    open: bool,
    email: &'a str,
    organization: &'a str,
    refusal: Option<String>,
}

#[derive(Template)]
#[template(path = "mail_sent.html")]
pub(super) struct MailSentPage {
    pub(super) frame: Frame,
    pub(super) text: &'static str,
    pub(super) again: &'static str,
}

/// `GET /sign-up`.
///
/// # Errors
/// [`PageError`] by its cause.
pub async fn form(visit: Visit) -> Result<Response, PageError> {
    page::page(&SignUpPage {
        frame: visit.frame("Sign up"),
        open: is_open(&visit),
        email: "",
        organization: "",
        refusal: None,
    })
}

/// `POST /sign-up`.
///
/// # Errors
/// [`PageError`] by its cause.
pub async fn sign_up(visit: Visit) -> Result<Response, PageError> {
    if !is_open(&visit) {
        return refused(&visit, None);
    }
    match given(&visit) {
        Ok((email, organization, password)) => {
            if !may_sign_up(&visit).await? {
                return refused(&visit, Some(TOO_MANY.to_owned()));
            }
            let password_hash = visit.console.hasher.hash(password).await?;
            unhurried(answer(&visit, &email, organization, password_hash)).await?;
            Ok(page::see_other("/sign-up/sent"))
        }
        Err(refusal) => refused(&visit, Some(refusal)),
    }
}

/// `GET /sign-up/sent`: the mail is on its way.
///
/// # Errors
/// [`PageError`] by its cause.
pub async fn sent(visit: Visit) -> Result<Response, PageError> {
    page::page(&MailSentPage {
        frame: visit.frame("Look into your mail"),
        text: "We have sent you a mail. Open the link in it to confirm your address and to go on.",
        again: "/sign-up",
    })
}

/// Counts a sign-up for its network, whatever comes of it: a stranger must not have us write to all the world.
async fn may_sign_up(visit: &Visit) -> Result<bool, PageError> {
    let counted = [Counted::SignUpsFrom(network(visit.client.address))];
    let counted = visit.store().commit_mail(&counted, Vec::new(), visit.now);
    Ok(counted.await?)
}

fn is_open(visit: &Visit) -> bool {
    visit.console.setting.sign_up == Who::Open
}

fn given(visit: &Visit) -> Result<(Email, Name, Password), String> {
    let email = Email::parse(visit.form.text("email"));
    let email = email.map_err(|error| format!("The address {error}."))?;
    let name = visit.form.text("organization").parse::<Name>();
    let name = name.map_err(|error| format!("The organization's name {error}."))?;
    let password = new_password::chosen(visit, &[email.as_str(), name.as_str()])?;
    Ok((email, name, password))
}

fn refused(visit: &Visit, refusal: Option<String>) -> Result<Response, PageError> {
    let open = is_open(visit);
    let status = if open {
        StatusCode::UNPROCESSABLE_ENTITY
    } else {
        StatusCode::FORBIDDEN
    };
    let shown = SignUpPage {
        frame: visit.frame("Sign up"),
        open,
        email: visit.form.text("email"),
        organization: visit.form.text("organization"),
        refusal,
    };
    page::with_status(status, &shown)
}

/// One mail and one transaction, whatever is known of the address.
async fn answer(
    visit: &Visit,
    email: &Email,
    organization: Name,
    password_hash: String,
) -> Result<(), PageError> {
    let (post, now, key) = (&visit.console.setting.post, visit.now, email.key());
    let known = visit.store().addressee(&key).await?;
    let writes = match known {
        Some(user) => vec![
            post.seal(&Letter::known_address(&user.email, post.base_url()), now)
                .await?,
        ],
        None => {
            let id = entropy::ordered_id(now);
            let link = post.link(LinkKind::SignUp, id, None, now);
            let mail = post
                .seal(&Letter::confirm_address(email.as_str(), &link.url), now)
                .await?;
            let new = SignUp {
                id,
                email: email.as_str().to_owned(),
                email_key: key.clone(),
                password_hash,
                organization_name: organization.into_string(),
                created_at: now,
            };
            sign_ups::insert(&new, &link.row)
                .into_iter()
                .chain([mail])
                .collect()
        }
    };
    if visit
        .store()
        .commit_mail(&[Counted::To(LinkKind::SignUp, &key)], writes, now)
        .await?
    {
        post.wake();
    }
    Ok(())
}
