//! Where in a provider's event something stands: a JSON pointer (RFC 6901).

use std::fmt;
use std::str::FromStr;

use serde_json::Value;

/// The most characters of a pointer.
const MAX: usize = 256;

/// The most characters of a reference, as in receipts.
const MAX_REFERENCE: usize = 255;

/// A JSON pointer to a value inside an event, such as `/data/object/customer`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pointer(String);

/// A text that is no pointer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a JSON pointer must start with '/' and have at most {MAX} characters, with ~0 for '~' and ~1 for '/' in a name, \
     such as /data/object/customer"
)]
pub struct PointerError;

impl Pointer {
    /// The reference that stands there: a text that a receipt could bear as `internal_reference`, or a whole number.
    #[must_use]
    pub fn reference(&self, event: &Value) -> Option<String> {
        let text = match event.pointer(&self.0)? {
            Value::String(text) => text.clone(),
            Value::Number(number) if number.is_i64() || number.is_u64() => number.to_string(),
            _ => return None,
        };
        let fits = !text.trim().is_empty()
            && !text.chars().any(char::is_control)
            && text.chars().count() <= MAX_REFERENCE;
        fits.then_some(text)
    }
}

impl FromStr for Pointer {
    type Err = PointerError;

    fn from_str(text: &str) -> Result<Self, PointerError> {
        let escapes_are_known = text
            .split('~')
            .skip(1)
            .all(|after| after.starts_with('0') || after.starts_with('1'));
        let fits = text.starts_with('/')
            && text.chars().count() <= MAX
            && !text.chars().any(char::is_control)
            && escapes_are_known;
        if fits {
            Ok(Self(text.to_owned()))
        } else {
            Err(PointerError)
        }
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pointer_leads_to_a_text_or_a_whole_number() {
        let event = json!({
            "customer": "cus_1", "order": 42, "large": u64::MAX, "a/b": {"m~n": "deep"}, "list": ["x", "y"],
            "blank": " ", "half": 0.5, "none": null, "object": {}, "lines": "a\nb", "long": "ü".repeat(256),
        });
        for (pointer, found) in [
            ("/customer", Some("cus_1")),
            ("/order", Some("42")),
            ("/large", Some("18446744073709551615")),
            ("/a~1b/m~0n", Some("deep")),
            ("/list/1", Some("y")),
            ("/blank", None),
            ("/half", None),
            ("/none", None),
            ("/object", None),
            ("/lines", None),
            ("/long", None),
            ("/missing/there", None),
        ] {
            let pointer: Pointer = pointer.parse().unwrap();
            assert_eq!(pointer.reference(&event).as_deref(), found, "{pointer}");
        }
    }

    #[test]
    fn what_is_no_pointer_is_refused() {
        for wrong in [
            "",
            "customer",
            "$.customer",
            "/a~2",
            "/a~",
            "/a\nb",
            &format!("/{}", "x".repeat(256)),
        ] {
            assert_eq!(wrong.parse::<Pointer>(), Err(PointerError), "{wrong:?}");
        }
    }
}
