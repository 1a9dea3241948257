//! A payload as a provider sends it: an event about a paid invoice, of 4 KiB, whose ids differ from one to the next.

/// Where `~` stands, a payload has a random letter or digit.
const TEMPLATE: &str = include_str!("payload.json");

/// Bytes of a payload.
pub(crate) const SIZE: usize = TEMPLATE.len();

/// A payload like no other.
pub(crate) fn payload() -> String {
    let mut payload = String::with_capacity(SIZE);
    for text in TEMPLATE.split_inclusive('~') {
        let fixed = text.trim_end_matches('~');
        payload.push_str(fixed);
        payload.extend((fixed.len()..text.len()).map(|_| fastrand::alphanumeric()));
    }
    payload
}
