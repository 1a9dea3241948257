//! How mail leaves, and who may sign up.

use std::fmt;
use std::net::IpAddr;

use lettre::message::Mailbox;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::transport::smtp::{AsyncSmtpTransportBuilder, Error};
use lettre::{AsyncSmtpTransport, Tokio1Executor};
use url::{Host, Url};

use super::options;
use super::sources::{Reader, Source};
use super::value::{self, NotAllowed};

/// How mail leaves.
#[derive(Debug, Clone)]
pub struct MailConfig {
    /// The mail server; none in development, where mail is written to files.
    pub smtp: Option<SmtpUrl>,
    /// Whom mail comes from.
    pub from: Mailbox,
}

/// Who may make an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignUp {
    /// Anyone with an e-mail address.
    Open,
    /// Only who is invited.
    Invite,
}

/// A mail server, and how to sign in to it. It shows neither user nor password.
#[derive(Clone, PartialEq, Eq)]
pub struct SmtpUrl(Url);

impl MailConfig {
    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let smtp = reader.optional(&options::SMTP_URL, SmtpUrl::parse);
        let given = reader.source(&options::MAIL_FROM).is_some();
        let from = reader.one(&options::MAIL_FROM, str::parse::<Mailbox>);
        let smtp = smtp?;
        let source = reader.source(&options::SMTP_URL);
        if let (Some(url), Some(source)) = (&smtp, source) {
            if url.holds_password() && source == Source::Option {
                let allowed = value::not_as_an_option(&options::SMTP_URL);
                reader.refuse(&options::SMTP_URL, source, allowed);
                return None;
            }
            if !given {
                reader.refuse(&options::SMTP_URL, source, "given together with --mail-from");
                return None;
            }
        }
        Some(Self { smtp, from: from? })
    }
}

impl SignUp {
    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        reader.one(&options::SIGNUP, |text| match text {
            "open" => Ok(Self::Open),
            "invite" => Ok(Self::Invite),
            _ => Err(NotAllowed),
        })
    }
}

impl SmtpUrl {
    fn parse(text: &str) -> Result<Self, NotAllowed> {
        let url = Url::parse(text).map_err(|_| NotAllowed)?;
        let bare = matches!(url.scheme(), "smtp" | "smtps")
            && url.host_str().is_some_and(|host| !host.is_empty())
            && matches!(url.path(), "" | "/")
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty() == url.password().is_none();
        if bare { Ok(Self(url)) } else { Err(NotAllowed) }
    }

    /// Whether a password stands in it.
    #[must_use]
    pub fn holds_password(&self) -> bool {
        self.0.password().is_some()
    }

    /// A client for it. `smtps` speaks TLS from the start; `smtp` turns TLS on before anything is said, and
    /// refuses a server that does not, unless the server is on this machine.
    ///
    /// # Errors
    /// [`Error`] where TLS cannot be set up.
    pub fn client(&self) -> Result<AsyncSmtpTransportBuilder, Error> {
        let host = self.0.host_str().unwrap_or_default();
        let host = host.trim_matches(['[', ']']);
        let (tls, port) = match (self.0.scheme(), self.is_loopback()) {
            ("smtps", _) => (Tls::Wrapper(TlsParameters::new(host.to_owned())?), 465),
            (_, false) => (Tls::Required(TlsParameters::new(host.to_owned())?), 587),
            (_, true) => (Tls::None, 25),
        };
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host)
            .port(self.0.port().unwrap_or(port))
            .tls(tls);
        if let Some(password) = self.0.password() {
            builder = builder.credentials(Credentials::new(decoded(self.0.username()), decoded(password)));
        }
        Ok(builder)
    }

    fn is_loopback(&self) -> bool {
        let text = self.0.host_str().unwrap_or_default();
        match Host::parse(text) {
            Ok(Host::Ipv4(address)) => address.is_loopback(),
            Ok(Host::Ipv6(address)) => IpAddr::from(address).to_canonical().is_loopback(),
            Ok(Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
            Err(_) => false,
        }
    }
}

impl fmt::Display for SmtpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, host) = (self.0.scheme(), self.0.host_str().unwrap_or_default());
        write!(f, "{scheme}://{host}")?;
        self.0.port().map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

impl fmt::Debug for SmtpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What stands behind `%40` and its like.
fn decoded(text: &str) -> String {
    let plus = text.replace('+', "%2B"); // in a URL's user a plus is a plus
    let pairs = format!("a={plus}");
    let mut pairs = url::form_urlencoded::parse(pairs.as_bytes());
    pairs
        .next()
        .map_or_else(String::new, |(_, value)| value.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mail_server_is_a_host_with_or_without_a_sign_in() {
        for right in [
            "smtp://mail.example.com",
            "smtps://mail.example.com:465/",
            "smtp://me:pass%40word@mail.example.com:587",
            "smtp://127.0.0.1:2525",
            "smtp://[::1]:2525",
        ] {
            assert!(SmtpUrl::parse(right).is_ok(), "{right}");
        }
        for wrong in [
            "",
            "mail.example.com",
            "http://mail.example.com",
            "smtp://",
            "smtp://mail.example.com/path",
            "smtp://mail.example.com?tls=opportunistic",
            "smtp://me@mail.example.com",
        ] {
            assert!(SmtpUrl::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn only_on_this_machine_mail_may_go_without_tls() {
        for (text, loopback) in [
            ("smtp://127.0.0.1:25", true),
            ("smtp://[::1]:25", true),
            ("smtp://localhost", true),
            ("smtp://mail.example.com", false),
            ("smtp://192.0.2.1", false),
            ("smtp://localhost.example.com", false),
        ] {
            assert_eq!(SmtpUrl::parse(text).unwrap().is_loopback(), loopback, "{text}");
        }
    }

    #[test]
    fn user_and_password_are_decoded_and_do_not_print() {
        let url = SmtpUrl::parse("smtp://me%40x:p%2Fa+s%C3%A9@mail.example.com:587").unwrap();
        assert_eq!(
            format!("{url} {url:?}"),
            "smtp://mail.example.com:587 smtp://mail.example.com:587"
        );
        assert_eq!(decoded(url.0.username()), "me@x");
        assert_eq!(decoded(url.0.password().unwrap()), "p/a+sé");
    }
}
