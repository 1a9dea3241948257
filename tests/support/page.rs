//! A page of the console as it came, and what a reader finds on it.

use std::cell::OnceCell;

use crate::form::Form;
use crate::http::Answer;
use crate::markup::Element;

/// A page, or whatever else answered a navigation.
#[derive(Debug, Clone)]
pub struct Page {
    /// The path and query that it was asked for at.
    pub url: String,
    /// The answer as it came.
    pub answer: Answer,
    document: OnceCell<Element>,
}

impl Page {
    pub(crate) const fn new(url: String, answer: Answer) -> Self {
        Self {
            url,
            answer,
            document: OnceCell::new(),
        }
    }

    /// The status.
    #[must_use]
    pub const fn status(&self) -> u16 {
        self.answer.status
    }

    /// The header of this name, which must not stand twice.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.answer.header(name)
    }

    /// Where a redirect leads: path and query, at this server.
    #[must_use]
    pub fn location(&self) -> Option<&str> {
        self.header("location")
    }

    /// The page itself; it must have come, and be a page.
    pub fn ok(self) -> Self {
        assert_eq!(self.status(), 200, "{}: {:?}", self.url, self.answer);
        let kind = self.header("content-type").unwrap_or_default();
        assert!(kind.starts_with("text/html"), "{}: {kind}", self.url);
        self
    }

    /// The page's markup as a tree.
    pub fn document(&self) -> &Element {
        self.document.get_or_init(|| Element::parse(&self.answer.text()))
    }

    /// All that can be read on it.
    #[must_use]
    pub fn text(&self) -> String {
        self.document().one("body").text()
    }

    /// Whether the selector names anything on it; see [`Element::all`].
    #[must_use]
    pub fn has(&self, selector: &str) -> bool {
        self.document().first(selector).is_some()
    }

    /// Every element that the selector names.
    #[must_use]
    pub fn all(&self, selector: &str) -> Vec<&Element> {
        self.document().all(selector)
    }

    /// The text of the one element that the selector names, as `[data-test=notice]`.
    #[must_use]
    pub fn text_of(&self, selector: &str) -> String {
        self.document().one(selector).text()
    }

    /// The texts of every element that the selector names.
    #[must_use]
    pub fn texts_of(&self, selector: &str) -> Vec<String> {
        let found = self.document().all(selector);
        found.into_iter().map(Element::text).collect()
    }

    /// The target of the one link that reads so.
    #[must_use]
    pub fn link(&self, text: &str) -> String {
        let mut links = self.all("a[href]");
        links.retain(|link| link.text() == text);
        let mut targets: Vec<_> = links.into_iter().map(|link| link.must_have("href")).collect();
        targets.dedup();
        assert_eq!(
            targets.len(),
            1,
            "links {text:?} on {}: {}",
            self.url,
            self.text()
        );
        targets[0].to_owned()
    }

    /// Every form on it.
    #[must_use]
    pub fn forms(&self) -> Vec<Form> {
        let document = self.document();
        let forms = document.all("form").into_iter();
        forms.map(|form| Form::read(document, form, &self.url)).collect()
    }

    /// The one form whose action holds this.
    #[must_use]
    pub fn form(&self, action: &str) -> Form {
        let mut forms = self.forms();
        let actions: Vec<_> = forms.iter().map(|form| form.action.clone()).collect();
        forms.retain(|form| form.action.contains(action));
        assert_eq!(
            forms.len(),
            1,
            "forms to {action} on {}, which has {actions:?}: {}",
            self.url,
            self.text()
        );
        forms.remove(0)
    }
}
