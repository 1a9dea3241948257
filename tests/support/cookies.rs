//! The cookies that a browser keeps for one site.

use crate::http::Answer;

/// A cookie as it was set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cookie {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
    /// What was said beside it, such as `HttpOnly` or `SameSite=Lax`, as it was written.
    pub attributes: Vec<String>,
}

/// All that are kept.
#[derive(Debug, Clone, Default)]
pub struct Cookies(Vec<Cookie>);

impl Cookies {
    /// The cookie of this name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Cookie> {
        self.0.iter().find(|cookie| cookie.name == name)
    }

    /// The value of the cookie that must be there.
    #[must_use]
    pub fn value(&self, name: &str) -> String {
        let cookie = self.find(name);
        cookie
            .unwrap_or_else(|| panic!("no cookie {name}: {self:?}"))
            .value
            .clone()
    }

    /// Keeps this value under this name, whoever made it.
    pub fn set(&mut self, name: &str, value: &str) {
        self.remove(name);
        self.0.push(Cookie {
            name: name.to_owned(),
            value: value.to_owned(),
            attributes: Vec::new(),
        });
    }

    /// Forgets one.
    pub fn remove(&mut self, name: &str) {
        self.0.retain(|cookie| cookie.name != name);
    }

    /// The header that a browser sends of them.
    #[must_use]
    pub fn header(&self) -> Option<String> {
        let pair = |cookie: &Cookie| format!("{}={}", cookie.name, cookie.value);
        let pairs: Vec<_> = self.0.iter().map(pair).collect();
        Some(pairs.join("; ")).filter(|pairs| !pairs.is_empty())
    }

    /// Keeps what an answer sets, and forgets what it takes back. Over plain HTTP, which this is, a browser
    /// refuses a `Secure` cookie.
    pub(crate) fn keep(&mut self, answer: &Answer) {
        for (_, set) in answer.headers.iter().filter(|(name, _)| name == "set-cookie") {
            let cookie = Cookie::parse(set);
            let prefixed = cookie.name.starts_with("__");
            if prefixed || cookie.says("secure") {
                continue;
            }
            assert!(cookie.says("path=/"), "{set}: only pages below its own get it");
            self.remove(&cookie.name);
            if !cookie.says("max-age=0") {
                self.0.push(cookie);
            }
        }
    }
}

impl Cookie {
    fn parse(set: &str) -> Self {
        let mut parts = set.split(';').map(str::trim);
        let (name, value) = parts.next().unwrap().split_once('=').expect("a cookie");
        Self {
            name: name.to_owned(),
            value: value.to_owned(),
            attributes: parts.map(str::to_owned).collect(),
        }
    }

    /// Whether this was said beside it, in any case.
    #[must_use]
    pub fn says(&self, attribute: &str) -> bool {
        let mut said = self.attributes.iter();
        said.any(|said| said.eq_ignore_ascii_case(attribute))
    }
}
