//! E-mail addresses.

/// An e-mail address as it was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Email(String);

/// Why a text is no e-mail address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be an e-mail address such as owner@example.com, at most 254 ASCII characters")]
pub struct EmailError;

impl Email {
    /// Reads an address in the form in which people have them: dot-atoms, an `@` and a host name with a dot
    /// (RFC 5321 without quoted names and address literals).
    ///
    /// # Errors
    /// [`EmailError`] for any other form.
    pub fn parse(text: &str) -> Result<Self, EmailError> {
        let (local, domain) = text.rsplit_once('@').ok_or(EmailError)?;
        let fits = text.len() <= 254 && local.len() <= 64;
        if fits && is_dot_atom(local) && is_host_name(domain) {
            Ok(Self(text.to_owned()))
        } else {
            Err(EmailError)
        }
    }

    /// The address.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What is before the `@`.
    #[must_use]
    pub fn local(&self) -> &str {
        self.0.rsplit_once('@').map_or("", |(local, _)| local)
    }

    /// The form of it that is unique: nobody tells two mailboxes apart by case.
    #[must_use]
    pub fn key(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}

fn is_dot_atom(text: &str) -> bool {
    let is_atom = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+/=?^_`{|}~-".contains(&byte);
    text.split('.')
        .all(|atom| !atom.is_empty() && atom.bytes().all(is_atom))
}

fn is_host_name(text: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.contains('.') && text.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_name_and_a_host() {
        for right in ["owner@example.com", "a.b+c@shop.example.co.uk", "O'Neil@x-y.org"] {
            assert!(Email::parse(right).is_ok(), "{right}");
        }
        for wrong in [
            "",
            "owner",
            "@example.com",
            "owner@",
            "owner@localhost",
            "a b@example.com",
            "a..b@example.com",
            ".a@example.com",
            "a@-x.com",
            "a@x..com",
            "a@example.com\n",
            "a@[127.0.0.1]",
            "é@example.com",
            "a\0@example.com",
        ] {
            assert_eq!(Email::parse(wrong), Err(EmailError), "{wrong}");
        }
    }

    #[test]
    fn addresses_that_differ_in_case_are_one() {
        let key = |text| Email::parse(text).unwrap().key();
        assert_eq!(key("Owner@Example.com"), key("owner@example.com"));
    }
}
