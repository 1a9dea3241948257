//! Headers from any source: pairs, maps, and `http::HeaderMap` behind the feature `http`.

use std::collections::{BTreeMap, HashMap};

/// A source of headers: names and values, in any order.
///
/// Slices, arrays, vectors and maps of (name, value) are such a source, so whatever a framework has can be
/// collected into one, or implement the trait in a line:
///
/// ```
/// use sendpromptly_verify::Headers;
///
/// struct Request { fields: Vec<(String, Vec<u8>)> }
///
/// impl Headers for Request {
///     fn pairs(&self) -> impl Iterator<Item = (&str, &[u8])> {
///         self.fields.iter().map(|(name, value)| (name.as_str(), value.as_slice()))
///     }
/// }
/// ```
pub trait Headers {
    /// Every header, as often as it stands. Names are compared without regard to case; values are taken as
    /// they are, so spaces around them must be gone.
    fn pairs(&self) -> impl Iterator<Item = (&str, &[u8])>;
}

impl<N: AsRef<str>, V: AsRef<[u8]>> Headers for [(N, V)] {
    fn pairs(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.iter().map(|(name, value)| (name.as_ref(), value.as_ref()))
    }
}

impl<N: AsRef<str>, V: AsRef<[u8]>, const COUNT: usize> Headers for [(N, V); COUNT] {
    fn pairs(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.as_slice().pairs()
    }
}

impl<N: AsRef<str>, V: AsRef<[u8]>> Headers for Vec<(N, V)> {
    fn pairs(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.as_slice().pairs()
    }
}

impl<N: AsRef<str>, V: AsRef<[u8]>, S> Headers for HashMap<N, V, S> {
    fn pairs(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.iter().map(|(name, value)| (name.as_ref(), value.as_ref()))
    }
}

impl<N: AsRef<str>, V: AsRef<[u8]>> Headers for BTreeMap<N, V> {
    fn pairs(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.iter().map(|(name, value)| (name.as_ref(), value.as_ref()))
    }
}

impl<H: Headers + ?Sized> Headers for &H {
    fn pairs(&self) -> impl Iterator<Item = (&str, &[u8])> {
        (**self).pairs()
    }
}

#[cfg(feature = "http")]
impl Headers for http::HeaderMap {
    fn pairs(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.iter().map(|(name, value)| (name.as_str(), value.as_bytes()))
    }
}

/// A header's value, where it stands once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found<'h> {
    Nowhere,
    Once(&'h [u8]),
    Repeated,
}

/// Looks for some headers, all in one pass.
#[inline]
pub(crate) fn find<'h, const COUNT: usize>(
    headers: &'h (impl Headers + ?Sized),
    names: [&str; COUNT],
) -> [Found<'h>; COUNT] {
    let mut found = [Found::Nowhere; COUNT];
    for (name, value) in headers.pairs() {
        for (found, wanted) in found.iter_mut().zip(names) {
            if name.eq_ignore_ascii_case(wanted) {
                *found = match found {
                    Found::Nowhere => Found::Once(value),
                    _ => Found::Repeated,
                };
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAIRS: [(&str, &str); 3] = [("X-A", "1"), ("x-b", "2"), ("X-B", "3")];

    fn check(headers: &impl Headers) {
        let expected = [Found::Repeated, Found::Nowhere, Found::Once(b"1".as_slice())];
        assert_eq!(find(headers, ["x-b", "x-c", "x-a"]), expected);
    }

    #[test]
    fn every_source_finds_without_regard_to_case_and_notices_a_repeat() {
        check(&PAIRS);
        check(&PAIRS.as_slice());
        check(&Vec::from(PAIRS));
        check(&HashMap::from(PAIRS));
        check(&BTreeMap::from(PAIRS));
    }

    #[cfg(feature = "http")]
    #[test]
    fn a_header_map_is_a_source() {
        let mut headers = http::HeaderMap::new();
        for (name, value) in PAIRS {
            headers.append(name, http::HeaderValue::from_static(value));
        }
        check(&headers);
    }
}
