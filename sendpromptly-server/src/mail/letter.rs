//! The letters that are written: plain, short text, with what to do for whoever did not ask for it.

use std::fmt;

use askama::Template;
use sendpromptly_core::access::Role;
use serde::{Deserialize, Serialize};

/// Characters of a name that a letter shows.
const MOST_OF_A_NAME: usize = 60;

/// A letter. It may hold a link, so it does not print.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Letter {
    /// The address that it goes to.
    pub to: String,
    /// Its subject, one line.
    pub subject: String,
    /// Its text.
    pub text: String,
}

macro_rules! letters {
    ($($name:ident $path:literal { $($field:ident),* })*) => {$(
        #[derive(Template)]
        #[template(path = $path, escape = "none")]
        struct $name<'a> { $($field: &'a str),* }
    )*};
}

letters! {
    ConfirmAddress "mail/confirm_address.txt" { link }
    KnownAddress "mail/known_address.txt" { sign_in, reset }
    Reset "mail/reset.txt" { link }
    PasswordChanged "mail/password_changed.txt" { reset }
    Invitation "mail/invitation.txt" { organization, invited_by, role, link }
    ChangeEmail "mail/change_email.txt" { link }
    EmailChanged "mail/email_changed.txt" { email }
}

impl Letter {
    /// Asks whoever signed up to confirm the address.
    #[must_use]
    pub fn confirm_address(to: &str, link: &str) -> Self {
        Self::new(to, "Confirm your e-mail address", &ConfirmAddress { link })
    }

    /// Tells a user that somebody tried to sign up with the user's address.
    #[must_use]
    pub fn known_address(to: &str, base_url: &str) -> Self {
        let (sign_in, reset) = (format!("{base_url}/sign-in"), format!("{base_url}/reset"));
        let text = KnownAddress {
            sign_in: &sign_in,
            reset: &reset,
        };
        Self::new(to, "You have an account already", &text)
    }

    /// Lets a user choose a new password.
    #[must_use]
    pub fn reset(to: &str, link: &str) -> Self {
        Self::new(to, "Choose a new password", &Reset { link })
    }

    /// Tells a user that the password was changed.
    #[must_use]
    pub fn password_changed(to: &str, base_url: &str) -> Self {
        let reset = format!("{base_url}/reset");
        Self::new(
            to,
            "Your password was changed",
            &PasswordChanged { reset: &reset },
        )
    }

    /// Invites somebody into an organization.
    #[must_use]
    pub fn invitation(to: &str, organization: &str, invited_by: &str, role: Role, link: &str) -> Self {
        let organization = &plain(organization);
        let text = Invitation {
            organization,
            invited_by,
            role: role.as_str(),
            link,
        };
        Self::new(to, &format!("You are invited to {organization}"), &text)
    }

    /// Asks a user to confirm a new address.
    #[must_use]
    pub fn change_email(to: &str, link: &str) -> Self {
        Self::new(to, "Confirm your new e-mail address", &ChangeEmail { link })
    }

    /// Tells a user at the old address that there is a new one.
    #[must_use]
    pub fn email_changed(to: &str, email: &str) -> Self {
        Self::new(to, "Your e-mail address was changed", &EmailChanged { email })
    }

    fn new(to: &str, subject: &str, text: &impl Template) -> Self {
        Self {
            to: to.to_owned(),
            subject: subject.to_owned(),
            // Rendering into a text fails only where formatting a value does, and these are texts.
            text: text.render().unwrap_or_default(),
        }
    }
}

impl fmt::Debug for Letter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Letter(..)")
    }
}

/// A name that somebody chose, fit for a letter to somebody else: one line, short, and without what mail programs
/// make a link of.
pub(crate) fn plain(name: &str) -> String {
    let shown = name.chars().map(|c| match c {
        '.' | '/' | ':' | '@' | '<' | '>' | '\\' => ' ',
        c if c.is_control() || ('\u{200b}'..='\u{206f}').contains(&c) => ' ',
        c => c,
    });
    let shown: String = shown.take(MOST_OF_A_NAME).collect();
    shown.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_brings_no_header_no_link_and_no_second_line_into_a_letter() {
        let name = "Acme\r\nBcc: all@example.com\n\nClick https://evil.example/now\u{202e}";
        let letter = Letter::invitation("a@example.com", name, "b@example.com", Role::Admin, "L");
        assert_eq!(
            letter.subject,
            "You are invited to Acme Bcc all example com Click https evil example now"
        );
        assert!(!letter.text.contains("evil.example"), "{}", letter.text);
    }

    #[test]
    fn every_letter_says_what_it_is_and_what_to_do_for_whoever_did_not_ask() {
        let base = "https://pay.example.com";
        let link = "https://pay.example.com/links/0a";
        for letter in [
            Letter::confirm_address("a@example.com", link),
            Letter::known_address("a@example.com", base),
            Letter::reset("a@example.com", link),
            Letter::password_changed("a@example.com", base),
            Letter::invitation("a@example.com", "Acme", "b@example.com", Role::Viewer, link),
            Letter::change_email("a@example.com", link),
            Letter::email_changed("a@example.com", "new@example.com"),
        ] {
            assert!(letter.text.contains("SendPromptly"), "{}", letter.subject);
            assert!(letter.text.contains("not"), "{}", letter.subject);
            assert!(letter.text.lines().count() < 20, "{}", letter.subject);
        }
    }
}
