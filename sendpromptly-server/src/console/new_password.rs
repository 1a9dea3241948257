//! A password that somebody chooses: typed twice, judged, and refused in words.

use super::Visit;
use crate::account::password::{Password, PasswordError};

/// The fields of a form in which a password is chosen.
pub(super) const FIELD: &str = "new_password";
const REPEATED: &str = "repeat_password";

/// The password that the form holds, or why it is not taken. `own` are texts that a guesser would try for this
/// user.
pub(super) fn chosen(visit: &Visit, own: &[&str]) -> Result<Password, String> {
    let (first, second) = (visit.form.secret(FIELD), visit.form.secret(REPEATED));
    if first != second {
        return Err("The two passwords differ. Type the same one twice.".to_owned());
    }
    Password::new(first, own).map_err(in_words)
}

fn in_words(error: PasswordError) -> String {
    let text = error.to_string();
    let rest = text.strip_prefix('t').unwrap_or(&text);
    format!("T{rest}.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_a_sentence() {
        assert_eq!(
            in_words(PasswordError::Length),
            "The password must have 12 to 128 characters."
        );
    }
}
