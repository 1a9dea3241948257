//! How values are written.

use std::time::Duration;

/// Why a text is not a value. What is allowed stands with the option.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not such a value")]
pub struct NotAllowed;

/// Reads a duration: a whole number and `ms`, `s`, `m`, `h` or `d`.
///
/// # Errors
/// [`NotAllowed`] for any other form, and for one beyond 2^64 ms.
///
/// ```
/// use std::time::Duration;
/// use sendpromptly_server::config::value::duration;
///
/// assert_eq!(duration("10m")?, Duration::from_secs(600));
/// assert!(duration("10").is_err());
/// # Ok::<(), sendpromptly_server::config::value::NotAllowed>(())
/// ```
pub fn duration(text: &str) -> Result<Duration, NotAllowed> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| NotAllowed)?;
    let millis = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(NotAllowed),
    };
    number
        .checked_mul(millis)
        .map(Duration::from_millis)
        .ok_or(NotAllowed)
}

/// Reads a whole number within a range.
pub(super) fn number(text: &str, allowed: std::ops::RangeInclusive<u32>) -> Result<u32, NotAllowed> {
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(NotAllowed); // the library would take a leading +
    }
    let number = text.parse().map_err(|_| NotAllowed)?;
    if allowed.contains(&number) {
        Ok(number)
    } else {
        Err(NotAllowed)
    }
}

/// What an option is allowed to be whose password was given on the command line.
pub(super) fn not_as_an_option(option: &super::options::ConfigOption) -> String {
    format!(
        "without a password, for other users can read command lines; give it by the environment variable {} or the file {}",
        option.variable(),
        super::sources::FILE
    )
}

/// Reads a path.
pub(super) fn path(text: &str) -> Result<std::path::PathBuf, NotAllowed> {
    if text.is_empty() || text.contains('\0') {
        return Err(NotAllowed);
    }
    Ok(text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_a_number_and_a_unit() {
        let millis = |text| duration(text).map(|duration| duration.as_millis());
        assert_eq!(
            ["0s", "100ms", "2s", "3m", "4h", "5d"].map(millis),
            [0, 100, 2_000, 180_000, 14_400_000, 432_000_000].map(Ok)
        );
        for wrong in [
            "",
            "5",
            "s",
            "-1s",
            "+1s",
            "1.5s",
            "1 s",
            "1S",
            "1w",
            "99999999999999999999s",
            "18446744073709551615d",
        ] {
            assert_eq!(duration(wrong), Err(NotAllowed), "{wrong}");
        }
    }

    #[test]
    fn a_number_is_digits_within_its_range() {
        assert_eq!(number("16", 1..=16), Ok(16));
        for wrong in ["0", "17", "+1", "", "1e0", "4294967297"] {
            assert_eq!(number(wrong, 1..=16), Err(NotAllowed), "{wrong}");
        }
    }
}
