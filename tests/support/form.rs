//! A form on a page: what a browser would send of it.

use crate::markup::Element;

/// A form with the values that its fields have now.
#[derive(Debug, Clone)]
pub struct Form {
    /// The path it goes to.
    pub action: String,
    /// `GET` or `POST`.
    pub method: String,
    fields: Vec<Field>,
    buttons: Vec<Button>,
    pressed: Option<Button>,
}

#[derive(Debug, Clone)]
struct Field {
    name: String,
    value: String,
    kind: Kind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    /// Anything that is typed into, or hidden.
    Text,
    /// A box or a radio button, and whether it is on.
    Tick { on: bool, one_of: bool },
    /// A list to choose from.
    Choice(Vec<String>),
}

#[derive(Debug, Clone)]
struct Button {
    label: String,
    field: Option<(String, String)>,
    action: Option<String>,
}

impl Form {
    /// Reads a form of this page; controls elsewhere that name it by `form` belong to it.
    pub(crate) fn read(page: &Element, form: &Element, path: &str) -> Self {
        let method = form.attribute("method").unwrap_or("get").to_ascii_uppercase();
        let mut read = Self {
            action: form
                .attribute("action")
                .filter(|action| !action.is_empty())
                .unwrap_or(path)
                .to_owned(),
            method,
            fields: Vec::new(),
            buttons: Vec::new(),
            pressed: None,
        };
        read.add_controls(form, |control| control.attribute("form").is_none());
        if let Some(id) = form.attribute("id") {
            read.add_controls(page, |control| control.attribute("form") == Some(id));
        }
        read
    }

    fn add_controls(&mut self, within: &Element, belongs: impl Fn(&Element) -> bool) {
        for control in within.all("*").into_iter().filter(|control| belongs(control)) {
            if control.attribute("disabled").is_some() {
                continue;
            }
            let kind = control.attribute("type");
            match (control.name.as_str(), kind) {
                ("button", None | Some("submit")) | ("input", Some("submit")) => {
                    self.buttons.push(Button::read(control));
                }
                ("button", _) | ("input", Some("button" | "reset" | "image" | "file")) => {}
                ("input" | "select" | "textarea", _) => self.fields.extend(Field::read(control)),
                _ => {}
            }
        }
    }

    /// The names of its fields.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        self.fields.iter().map(|field| field.name.as_str()).collect()
    }

    /// The value that a field has now.
    #[must_use]
    pub fn value(&self, name: &str) -> &str {
        let field = self.fields.iter().find(|field| field.name == name);
        &field.unwrap_or_else(|| panic!("no field {name}: {self:?}")).value
    }

    /// Types this into a field, or chooses it from a list or among radio buttons.
    #[must_use]
    pub fn set(mut self, name: &str, value: impl Into<String>) -> Self {
        let value = value.into();
        let described = format!("{self:?}");
        let mut matched = false;
        for field in self.fields.iter_mut().filter(|field| field.name == name) {
            match &mut field.kind {
                Kind::Text => {
                    field.value.clone_from(&value);
                    matched = true;
                }
                Kind::Choice(options) => {
                    matched |= options.contains(&value);
                    field.value.clone_from(&value);
                }
                Kind::Tick { on, one_of } => {
                    let chosen = field.value == value;
                    *on = chosen || (*on && !*one_of);
                    matched |= chosen;
                }
            }
        }
        assert!(matched, "{name} cannot be {value:?}: {described}");
        self
    }

    /// Ticks the box of this name and value off again.
    #[must_use]
    pub fn untick(mut self, name: &str, value: &str) -> Self {
        let fields = self.fields.iter_mut();
        let field = fields.into_iter().find(|f| f.name == name && f.value == value);
        match field.map(|field| &mut field.kind) {
            Some(Kind::Tick { on, .. }) => *on = false,
            _ => panic!("no box {name}={value}"),
        }
        self
    }

    /// Puts a value in place of whatever a field has, or adds the field: what no browser would do, but others might.
    #[must_use]
    pub fn forge(mut self, name: &str, value: impl Into<String>) -> Self {
        self.fields.retain(|field| field.name != name);
        self.fields.push(Field {
            name: name.to_owned(),
            value: value.into(),
            kind: Kind::Text,
        });
        self
    }

    /// Takes a field away, as no browser would.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.fields.retain(|field| field.name != name);
        self
    }

    /// Presses the button with this label, in place of the first one.
    #[must_use]
    pub fn press(mut self, label: &str) -> Self {
        let found = self.buttons.iter().find(|button| button.label == label);
        let button = found.unwrap_or_else(|| panic!("no button {label}: {:?}", self.buttons));
        self.pressed = Some(button.clone());
        self
    }

    /// Where it goes with the button that is pressed.
    #[must_use]
    pub fn target(&self) -> &str {
        let button = self.pressed.as_ref().or(self.buttons.first());
        button
            .and_then(|button| button.action.as_deref())
            .unwrap_or(&self.action)
    }

    /// What is sent, as `application/x-www-form-urlencoded`.
    #[must_use]
    pub fn encoded(&self) -> String {
        let sent = |field: &&Field| !matches!(field.kind, Kind::Tick { on: false, .. });
        let fields = self.fields.iter().filter(sent);
        let mut pairs: Vec<(&str, &str)> = fields
            .map(|field| (field.name.as_str(), field.value.as_str()))
            .collect();
        let button = self.pressed.as_ref().or(self.buttons.first());
        if let Some((name, value)) = button.and_then(|button| button.field.as_ref()) {
            pairs.push((name, value));
        }
        urlencoded(&pairs)
    }
}

impl Field {
    fn read(control: &Element) -> Option<Self> {
        let name = control.attribute("name")?.to_owned();
        let (value, kind) = match control.name.as_str() {
            // A line break right after the tag is none of the text.
            "textarea" => {
                let text = control.raw_text();
                (text.strip_prefix('\n').unwrap_or(&text).to_owned(), Kind::Text)
            }
            "select" => chosen(control),
            _ => typed(control),
        };
        Some(Self { name, value, kind })
    }
}

/// The value and kind of an `input`.
fn typed(control: &Element) -> (String, Kind) {
    let value = control.attribute("value");
    let kind = match control.attribute("type") {
        Some(tick @ ("checkbox" | "radio")) => Kind::Tick {
            on: control.attribute("checked").is_some(),
            one_of: tick == "radio",
        },
        _ => Kind::Text,
    };
    let absent = if kind == Kind::Text { "" } else { "on" };
    (value.unwrap_or(absent).to_owned(), kind)
}

/// The value and kind of a `select`.
fn chosen(control: &Element) -> (String, Kind) {
    let value = |option: &Element| {
        let text = || option.text();
        option.attribute("value").map_or_else(text, str::to_owned)
    };
    let options: Vec<String> = control.all("option").into_iter().map(value).collect();
    let selected = control.first("option[selected]").map(value);
    let first = options.first().cloned().unwrap_or_default();
    (selected.unwrap_or(first), Kind::Choice(options))
}

impl Button {
    fn read(control: &Element) -> Self {
        let value = control.attribute("value").unwrap_or_default();
        let label = match control.name.as_str() {
            "button" => control.text(),
            _ => value.to_owned(),
        };
        let name = control.attribute("name");
        Self {
            label,
            field: name.map(|name| (name.to_owned(), value.to_owned())),
            action: control.attribute("formaction").map(str::to_owned),
        }
    }
}

/// Names and values as `application/x-www-form-urlencoded`.
#[must_use]
pub fn urlencoded(pairs: &[(&str, &str)]) -> String {
    let pair = |(name, value): &(&str, &str)| format!("{}={}", escaped(name), escaped(value));
    pairs.iter().map(pair).collect::<Vec<_>>().join("&")
}

fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'*' | b'-' | b'.' | b'_' => escaped.push(byte.into()),
            b' ' => escaped.push('+'),
            b'\n' => escaped.push_str("%0D%0A"),
            _ => escaped.push_str(&format!("%{byte:02X}")),
        }
    }
    escaped
}
