//! Markup as a tree, and the nodes in it that a short selector names.
//!
//! It reads what the console writes and is stricter than a browser: every element is closed, every attribute
//! quoted, every reference known. A page that is not so fails the test that looks at it.

const VOID: [&str; 8] = ["br", "col", "hr", "img", "input", "link", "meta", "source"];

/// Their content is text, whatever it looks like.
const RAW: [&str; 4] = ["script", "style", "textarea", "title"];

/// An element with all that is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Element {
    /// Its name, in lower case.
    pub name: String,
    attributes: Vec<(String, String)>,
    children: Vec<Node>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Node {
    Element(Element),
    Text(String),
}

impl Element {
    /// The whole of a page, as an element without a name.
    #[must_use]
    pub fn parse(page: &str) -> Self {
        let mut open = vec![Self::named("")];
        let mut rest = page;
        while let Some(start) = rest.find('<') {
            let (text, markup) = rest.split_at(start);
            push_text(&mut open, text);
            rest = read_markup(&mut open, markup);
        }
        push_text(&mut open, rest);
        assert_eq!(open.len(), 1, "<{}> is never closed", open[open.len() - 1].name);
        open.remove(0)
    }

    fn named(name: &str) -> Self {
        Self {
            name: name.to_ascii_lowercase(),
            attributes: Vec::new(),
            children: Vec::new(),
        }
    }

    /// The attribute of this name; `""` where it stands without a value.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&str> {
        let mut named = self.attributes.iter().filter(|(known, _)| known == name);
        named.next().map(|(_, value)| value.as_str())
    }

    /// The attribute that must be there.
    #[must_use]
    pub fn must_have(&self, name: &str) -> &str {
        self.attribute(name)
            .unwrap_or_else(|| panic!("<{}> has no {name}: {self:?}", self.name))
    }

    /// The text in it, as a reader sees it: each run of white space is one space.
    #[must_use]
    pub fn text(&self) -> String {
        let mut raw = String::new();
        self.collect_text(&mut raw);
        raw.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// The text in it to the letter, as in `pre` and `textarea`.
    #[must_use]
    pub fn raw_text(&self) -> String {
        let mut raw = String::new();
        self.collect_text(&mut raw);
        raw
    }

    fn collect_text(&self, into: &mut String) {
        for child in &self.children {
            match child {
                Node::Text(text) => into.push_str(text),
                Node::Element(child) if matches!(child.name.as_str(), "script" | "style") => {}
                Node::Element(child) => {
                    // What stands in two cells or paragraphs is not one word.
                    let apart = !matches!(child.name.as_str(), "a" | "b" | "code" | "em" | "span" | "strong");
                    into.push_str(if apart { " " } else { "" });
                    child.collect_text(into);
                    into.push_str(if apart { " " } else { "" });
                }
            }
        }
    }

    /// Every element below this one that the selector names, in the order of the page.
    ///
    /// A selector is one or more steps, each inside the one before: `nav a[aria-current]`,
    /// `[data-test=incident] .state`, `form#settings input[name="timeout"]`, `tbody *`.
    #[must_use]
    pub fn all(&self, selector: &str) -> Vec<&Self> {
        let steps: Vec<Step> = selector.split_whitespace().map(Step::parse).collect();
        assert!(!steps.is_empty(), "an empty selector");
        let mut found = Vec::new();
        self.search(&steps, &mut found);
        found
    }

    fn search<'a>(&'a self, steps: &[Step<'_>], found: &mut Vec<&'a Self>) {
        for child in self.elements() {
            let matches = steps[0].matches(child);
            if matches && steps.len() == 1 {
                found.push(child);
            }
            // What is inside a match may go on with the next step. It may also match this step again, which
            // finds nothing new unless it is the last.
            child.search(
                if matches && steps.len() > 1 {
                    &steps[1..]
                } else {
                    steps
                },
                found,
            );
        }
    }

    /// The first element that the selector names.
    #[must_use]
    pub fn first(&self, selector: &str) -> Option<&Self> {
        self.all(selector).into_iter().next()
    }

    /// The one element that the selector names.
    #[must_use]
    pub fn one(&self, selector: &str) -> &Self {
        let found = self.all(selector);
        assert_eq!(found.len(), 1, "{selector} in: {}", self.text());
        found[0]
    }

    fn elements(&self) -> impl Iterator<Item = &Self> {
        self.children.iter().filter_map(|child| match child {
            Node::Element(element) => Some(element),
            Node::Text(_) => None,
        })
    }
}

/// One step of a selector.
struct Step<'a> {
    name: Option<&'a str>,
    conditions: Vec<Condition<'a>>,
}

enum Condition<'a> {
    Has(&'a str),
    Is(&'a str, &'a str),
    Class(&'a str),
}

impl<'a> Step<'a> {
    fn parse(step: &'a str) -> Self {
        let end = step.find(['[', '#', '.']).unwrap_or(step.len());
        let (name, mut rest) = step.split_at(end);
        let mut conditions = Vec::new();
        while let Some(kind) = rest.chars().next() {
            let inner = &rest[1..];
            let end = match kind {
                '[' => inner.find(']').unwrap_or_else(|| panic!("{step}: no `]`")),
                _ => inner.find(['[', '#', '.']).unwrap_or(inner.len()),
            };
            let word = &inner[..end];
            conditions.push(match kind {
                '#' => Condition::Is("id", word),
                '.' => Condition::Class(word),
                _ => match word.split_once('=') {
                    Some((name, value)) => Condition::Is(name, value.trim_matches('"')),
                    None => Condition::Has(word),
                },
            });
            rest = inner[end..].trim_start_matches(']');
        }
        Self {
            name: Some(name).filter(|name| !matches!(*name, "" | "*")),
            conditions,
        }
    }

    fn matches(&self, element: &Element) -> bool {
        let holds = |condition: &Condition<'_>| match condition {
            Condition::Has(name) => element.attribute(name).is_some(),
            Condition::Is(name, value) => element.attribute(name) == Some(value),
            Condition::Class(class) => {
                let classes = element.attribute("class").unwrap_or_default();
                classes.split_whitespace().any(|known| known == *class)
            }
        };
        self.name.is_none_or(|name| name == element.name) && self.conditions.iter().all(holds)
    }
}

/// Reads what begins with `<`; gives what follows it.
fn read_markup<'a>(open: &mut Vec<Element>, markup: &'a str) -> &'a str {
    if let Some(rest) = markup.strip_prefix("<!--") {
        return after(rest, "-->");
    }
    if markup.starts_with("<!") {
        return after(markup, ">");
    }
    if let Some(rest) = markup.strip_prefix("</") {
        let (name, rest) = rest.split_once('>').expect("an end tag ends");
        close(open, name.trim());
        return rest;
    }
    let (element, self_closing, rest) = read_start_tag(&markup[1..]);
    let name = element.name.clone();
    open.push(element);
    if self_closing || VOID.contains(&name.as_str()) {
        close(open, &name);
        return rest;
    }
    if RAW.contains(&name.as_str()) {
        let end = format!("</{name}>");
        let length = rest.find(&end).unwrap_or_else(|| panic!("no {end}"));
        push_text(open, &rest[..length]);
        return &rest[length..];
    }
    rest
}

fn read_start_tag(tag: &str) -> (Element, bool, &str) {
    let end = tag.find([' ', '\n', '\t', '/', '>']).expect("a start tag ends");
    let mut element = Element::named(&tag[..end]);
    let mut rest = tag[end..].trim_start();
    loop {
        if let Some(rest) = rest.strip_prefix("/>") {
            return (element, true, rest);
        }
        if let Some(rest) = rest.strip_prefix('>') {
            return (element, false, rest);
        }
        let end = rest
            .find(|c: char| c.is_whitespace() || "=/>".contains(c))
            .expect("an attribute ends");
        let name = rest[..end].to_ascii_lowercase();
        assert!(!name.is_empty(), "no attribute: {rest:.40}");
        assert!(
            element.attribute(&name).is_none(),
            "{name} stands twice in <{}>",
            element.name
        );
        rest = &rest[end..];
        let mut value = String::new();
        if let Some(quoted) = rest.strip_prefix('=') {
            let quote = quoted.chars().next().filter(|c| "\"'".contains(*c));
            let quote = quote.unwrap_or_else(|| panic!("{name} of <{}> is not quoted", element.name));
            let (raw, after) = quoted[1..].split_once(quote).expect("a quote ends");
            value = decoded(raw);
            rest = after;
        }
        element.attributes.push((name, value));
        rest = rest.trim_start();
    }
}

fn close(open: &mut Vec<Element>, name: &str) {
    let element = open.pop().unwrap();
    assert!(
        element.name.eq_ignore_ascii_case(name) && !open.is_empty(),
        "</{name}> closes <{}>",
        element.name
    );
    let parent = open.last_mut().unwrap();
    parent.children.push(Node::Element(element));
}

fn push_text(open: &mut [Element], text: &str) {
    if !text.is_empty() {
        let parent = open.last_mut().unwrap();
        let raw = matches!(parent.name.as_str(), "script" | "style");
        let text = if raw { text.to_owned() } else { decoded(text) };
        parent.children.push(Node::Text(text));
    }
}

fn after<'a>(text: &'a str, end: &str) -> &'a str {
    text.split_once(end).unwrap_or_else(|| panic!("no {end}")).1
}

/// The text with its references resolved.
fn decoded(text: &str) -> String {
    let mut parts = text.split('&');
    let mut decoded = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (reference, rest) = part
            .split_once(';')
            .unwrap_or_else(|| panic!("a bare & before {part:.20}"));
        decoded.push(character(reference));
        decoded.push_str(rest);
    }
    decoded
}

fn character(reference: &str) -> char {
    let named = match reference {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        "nbsp" => Some('\u{a0}'),
        _ => None,
    };
    let number = match reference.strip_prefix('#') {
        Some(hex) if hex.starts_with(['x', 'X']) => u32::from_str_radix(&hex[1..], 16).ok(),
        Some(decimal) => decimal.parse().ok(),
        None => None,
    };
    named
        .or_else(|| number.and_then(char::from_u32))
        .unwrap_or_else(|| panic!("&{reference}; is unknown"))
}
