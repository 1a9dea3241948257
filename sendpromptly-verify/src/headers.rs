//! Headers from any source: pairs, maps, and `http::HeaderMap` behind the feature `http`.

use std::collections::{BTreeMap, HashMap};

/// Where the headers of a callback are looked up.
///
/// Slices, arrays, vectors and maps of (name, value) are such a source, so whatever a framework has can be
/// collected into one:
///
/// ```
/// use sendpromptly_verify::{Found, Headers};
///
/// let headers = [("X-SendPromptly-Nonce", "00112233445566778899aabbccddeeff")];
/// assert!(matches!(headers.find("x-sendpromptly-nonce"), Found::Once(_)));
/// assert_eq!(headers.find("x-sendpromptly-timestamp"), Found::Nowhere);
/// ```
pub trait Headers {
    /// Finds a header by its lower-case name. Names are compared without regard to case.
    fn find<'h>(&'h self, name: &str) -> Found<'h>;
}

/// What a look-up of a header gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found<'h> {
    /// It is not there.
    Nowhere,
    /// It stands once, with this value.
    Once(&'h [u8]),
    /// It stands twice or more, which no sender of callbacks does.
    Repeated,
}

impl<'h> FromIterator<&'h [u8]> for Found<'h> {
    fn from_iter<I: IntoIterator<Item = &'h [u8]>>(values: I) -> Self {
        let mut values = values.into_iter();
        match (values.next(), values.next()) {
            (None, _) => Self::Nowhere,
            (Some(value), None) => Self::Once(value),
            (Some(_), Some(_)) => Self::Repeated,
        }
    }
}

fn find_in<'h, N, V>(pairs: impl Iterator<Item = (&'h N, &'h V)>, name: &str) -> Found<'h>
where
    N: AsRef<str> + 'h,
    V: AsRef<[u8]> + 'h,
{
    pairs
        .filter(|(known, _)| known.as_ref().eq_ignore_ascii_case(name))
        .map(|(_, value)| value.as_ref())
        .collect()
}

impl<N: AsRef<str>, V: AsRef<[u8]>> Headers for [(N, V)] {
    fn find<'h>(&'h self, name: &str) -> Found<'h> {
        find_in(self.iter().map(|(name, value)| (name, value)), name)
    }
}

impl<N: AsRef<str>, V: AsRef<[u8]>, const COUNT: usize> Headers for [(N, V); COUNT] {
    fn find<'h>(&'h self, name: &str) -> Found<'h> {
        self.as_slice().find(name)
    }
}

impl<N: AsRef<str>, V: AsRef<[u8]>> Headers for Vec<(N, V)> {
    fn find<'h>(&'h self, name: &str) -> Found<'h> {
        self.as_slice().find(name)
    }
}

impl<N: AsRef<str>, V: AsRef<[u8]>, S> Headers for HashMap<N, V, S> {
    fn find<'h>(&'h self, name: &str) -> Found<'h> {
        find_in(self.iter(), name)
    }
}

impl<N: AsRef<str>, V: AsRef<[u8]>> Headers for BTreeMap<N, V> {
    fn find<'h>(&'h self, name: &str) -> Found<'h> {
        find_in(self.iter(), name)
    }
}

impl<H: Headers + ?Sized> Headers for &H {
    fn find<'h>(&'h self, name: &str) -> Found<'h> {
        (**self).find(name)
    }
}

#[cfg(feature = "http")]
impl Headers for http::HeaderMap {
    fn find<'h>(&'h self, name: &str) -> Found<'h> {
        self.get_all(name)
            .iter()
            .map(http::HeaderValue::as_bytes)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_source_finds_without_regard_to_case_and_notices_a_repeat() {
        let pairs = vec![("X-A", "1"), ("x-b", "2"), ("X-B", "3")];
        let sources: [&dyn Headers; 4] = [
            &pairs,
            &[("X-A", "1"), ("x-b", "2"), ("X-B", "3")],
            &pairs.iter().copied().collect::<HashMap<_, _>>(),
            &pairs.iter().copied().collect::<BTreeMap<_, _>>(),
        ];
        for headers in sources {
            assert_eq!(headers.find("x-a"), Found::Once(b"1"));
            assert_eq!(headers.find("x-b"), Found::Repeated);
            assert_eq!(headers.find("x-c"), Found::Nowhere);
        }
    }

    #[cfg(feature = "http")]
    #[test]
    fn a_header_map_is_a_source() {
        let mut headers = http::HeaderMap::new();
        headers.append("X-A", http::HeaderValue::from_static("1"));
        headers.append("X-B", http::HeaderValue::from_static("2"));
        headers.append("x-b", http::HeaderValue::from_static("3"));
        assert_eq!(headers.find("x-a"), Found::Once(b"1"));
        assert_eq!(headers.find("x-b"), Found::Repeated);
        assert_eq!(headers.find("x-c"), Found::Nowhere);
    }
}
