//! The fields of forms and queries (`application/x-www-form-urlencoded`).

use std::fmt;

use url::form_urlencoded;
use zeroize::{Zeroize, Zeroizing};

/// Names of fields whose values are never put into a page again.
const SECRET: &[&str] = &[
    "password",
    "new_password",
    "repeat_password",
    "code",
    "provider_secret",
    "step_up_code",
    "step_up_password",
];

/// Fields, in the order in which they came. It does not print, and is wiped when dropped.
#[derive(Default, Clone)]
pub struct Form(Vec<(String, String)>);

impl Form {
    /// Reads the fields of a query or a body.
    #[must_use]
    pub fn parse(text: &[u8]) -> Self {
        Self(form_urlencoded::parse(text).into_owned().collect())
    }

    /// The field's text without white space around it; empty where it is not there.
    #[must_use]
    pub fn text(&self, name: &str) -> &str {
        self.raw(name).trim()
    }

    /// The field's text as what a list is filtered by; empty where it holds a control character, for nothing that
    /// is stored does.
    #[must_use]
    pub fn filter(&self, name: &str) -> &str {
        let text = self.text(name);
        if text.chars().any(char::is_control) {
            ""
        } else {
            text
        }
    }

    /// The field's text, to the letter.
    #[must_use]
    pub fn secret(&self, name: &str) -> Zeroizing<String> {
        Zeroizing::new(self.raw(name).to_owned())
    }

    /// Whether the field is there and not empty, as a checked box is.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        !self.text(name).is_empty()
    }

    /// Every value of a field that may stand several times.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let fields = self.0.iter().filter(move |(known, _)| known == name);
        fields.map(|(_, value)| value.trim())
    }

    /// The fields that a page may carry on for its visitor: no secret, and not the token of the form itself.
    pub fn to_carry_on(&self) -> impl Iterator<Item = &(String, String)> {
        let carried = |name: &str| !SECRET.contains(&name) && name != super::form_token::FIELD;
        self.0.iter().filter(move |(name, _)| carried(name))
    }

    /// Whether there is a field that must be typed anew when the form is sent again.
    #[must_use]
    pub fn holds_secret(&self) -> bool {
        let of_a_form = |name: &str| SECRET.contains(&name) && !name.starts_with("step_up_");
        self.0.iter().any(|(name, _)| of_a_form(name))
    }

    fn raw(&self, name: &str) -> &str {
        let field = self.0.iter().find(|(known, _)| known == name);
        field.map_or("", |(_, value)| value)
    }
}

impl Drop for Form {
    fn drop(&mut self) {
        for (_, value) in &mut self.0 {
            value.zeroize();
        }
    }
}

impl fmt::Debug for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Form(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_decoded_and_what_is_not_there_is_empty() {
        let form = Form::parse(b"name=+Ada+L%C3%B6we+&id=1&id=2&password=+a+b+");
        assert_eq!(form.text("name"), "Ada Löwe");
        assert_eq!(form.all("id").collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!(form.secret("password").as_str(), " a b ");
        assert!(!form.has("none") && form.text("none").is_empty());
    }

    #[test]
    fn a_page_carries_on_no_secret_and_no_token() {
        let form = Form::parse(b"form=x&reason=mistake&new_password=y&code=123456&step_up_code=1");
        let carried: Vec<_> = form.to_carry_on().map(|(name, _)| name.as_str()).collect();
        assert_eq!(carried, ["reason"]);
        assert!(form.holds_secret());
        assert!(!Form::parse(b"step_up_code=1&a=b").holds_secret());
    }
}
