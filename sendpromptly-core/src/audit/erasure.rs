//! Which details name somebody by an e-mail address, and so are erased when that somebody's account is deleted.
//! An entry whose details are gone still proves itself: it only commits to them.

use serde_json::Value;

/// Whether an entry's details name this e-mail address, given in lower case: as a field, or within a text that
/// somebody wrote. An address that is a part of a longer one is another one.
///
/// ```
/// use sendpromptly_core::audit::names_address;
///
/// assert!(names_address(r#"{"reason":"Ada@example.com asked for it."}"#, "ada@example.com"));
/// assert!(!names_address(r#"{"email":"ada@example.com.au"}"#, "ada@example.com"));
/// ```
#[must_use]
pub fn names_address(details: &str, address: &str) -> bool {
    match serde_json::from_str(details) {
        Ok(value) => any_text(&value, &|text| text_names(text, address)),
        Err(_) => text_names(details, address),
    }
}

/// The texts of an entry's details that may be e-mail addresses, in lower case: whole values with an `@`.
#[must_use]
pub fn addresses_in(details: &str) -> Vec<String> {
    let Ok(Value::Object(fields)) = serde_json::from_str(details) else {
        return Vec::new();
    };
    let texts = fields.values().filter_map(Value::as_str);
    texts
        .filter(|text| text.contains('@') && !text.contains(char::is_whitespace))
        .map(str::to_ascii_lowercase)
        .collect()
}

fn any_text(value: &Value, test: &impl Fn(&str) -> bool) -> bool {
    match value {
        Value::String(text) => test(text),
        Value::Array(items) => items.iter().any(|item| any_text(item, test)),
        Value::Object(fields) => fields
            .iter()
            .any(|(name, item)| test(name) || any_text(item, test)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

fn text_names(text: &str, address: &str) -> bool {
    let text = text.to_ascii_lowercase();
    let mut found = text.match_indices(address);
    !address.is_empty()
        && found.any(|(start, _)| {
            let (before, after) = (&text[..start], &text[start + address.len()..]);
            begins_here(before) && ends_here(after)
        })
}

/// What stands before is no part of the same address.
fn begins_here(before: &str) -> bool {
    let last = before.chars().next_back();
    !last.is_some_and(|c| c.is_alphanumeric() || "._%+-".contains(c))
}

/// What stands after is no part of the same host name; a full stop may end a sentence.
fn ends_here(after: &str) -> bool {
    let mut rest = after.chars();
    match rest.next() {
        Some('.') => !rest.next().is_some_and(char::is_alphanumeric),
        Some(c) => !c.is_alphanumeric() && c != '-',
        None => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADA: &str = "ada@example.com";

    fn named(text: &str) -> bool {
        names_address(&serde_json::json!({ "reason": text }).to_string(), ADA)
    }

    #[test]
    fn an_address_is_found_as_a_field_and_within_free_text() {
        assert!(names_address(
            r#"{"address":"192.0.2.1","email":"ADA@Example.com"}"#,
            ADA
        ));
        for text in [
            "ada@example.com",
            "ask ada@example.com.",
            "(ada@example.com)",
            "mailto:ada@example.com?subject=x",
            "first\nada@example.com\nlast",
            "<Ada@EXAMPLE.com>, and \"ada@example.com\"",
            "'ada@example.com'",
            "x.ada@example.com, ada@example.com",
            "é:ada@example.com…",
        ] {
            assert!(named(text), "{text}");
        }
    }

    #[test]
    fn another_address_that_holds_it_is_left_alone() {
        for text in [
            "vada@example.com",
            "x.ada@example.com",
            "to+ada@example.com",
            "ada@example.com.au",
            "ada@example.community",
            "ada@example.com-x.org",
            "ada@example",
            "ada at example.com",
            "",
        ] {
            assert!(!named(text), "{text}");
        }
        assert!(!names_address(r#"{"email":"bob@example.com"}"#, ADA));
        assert!(!names_address(r#"{"email":"bob@example.com"}"#, ""));
    }

    #[test]
    fn details_that_are_no_json_are_looked_through_as_text() {
        assert!(names_address("ada@example.com", ADA));
        assert!(!names_address("{", ADA));
    }

    #[test]
    fn earlier_addresses_are_read_from_whole_fields() {
        let details =
            r#"{"address":"192.0.2.1","email":"Old@Example.com","reason":"write to bob@example.com"}"#;
        assert_eq!(addresses_in(details), ["old@example.com"]);
        assert!(addresses_in("nonsense").is_empty());
    }
}
