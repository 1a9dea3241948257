//! A JSON object, read field by field, without looking into values that nobody asks for.

use std::fmt;
use std::str::FromStr;

use serde::Deserializer as _;
use serde::de::{Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::fields::{BodyError, FieldErrors, MAX_FIELDS};

/// The top level of a body: names and raw values.
pub(super) struct Object<'a> {
    fields: Vec<(String, &'a RawValue)>,
    errors: FieldErrors,
}

/// Which texts a field takes.
#[derive(Clone, Copy)]
pub(super) struct TextRule {
    /// The most Unicode characters.
    pub(super) max: usize,
    /// Whether line breaks and tabs may stand in it.
    pub(super) lines: bool,
}

impl<'a> Object<'a> {
    pub(super) fn parse(body: &'a [u8]) -> Result<Self, BodyError> {
        let wrong = |message: String| BodyError::Invalid(FieldErrors::one("body", message));
        let text = std::str::from_utf8(body).map_err(|_| wrong("must be UTF-8".to_owned()))?;
        let mut reader = Reader {
            fields: Vec::with_capacity(10),
            ..Reader::default()
        };
        let read = reader.read(text);
        if reader.too_many {
            return Err(BodyError::TooManyFields);
        }
        read.map_err(|error| wrong(format!("must be one JSON object: {}", plain(&error))))?;
        if let Some(name) = reader.duplicate {
            return Err(wrong(format!("the field {name:?} stands twice")));
        }
        Ok(Self {
            fields: reader.fields,
            errors: FieldErrors::default(),
        })
    }

    /// The raw value of a field; `null` is the field left out.
    pub(super) fn raw(&self, name: &str) -> Option<&'a str> {
        let (_, value) = self.fields.iter().find(|(field, _)| field == name)?;
        Some(value.get()).filter(|raw| *raw != "null")
    }

    pub(super) fn wrong(&mut self, field: &'static str, message: impl Into<String>) {
        self.errors.add(field, message);
    }

    /// A field that need not be there.
    pub(super) fn text(&mut self, field: &'static str, rule: TextRule) -> Option<String> {
        let raw = self.raw(field)?;
        let Ok(text) = serde_json::from_str::<String>(raw) else {
            self.wrong(field, "must be a string");
            return None;
        };
        match rule.check(&text) {
            Ok(()) => Some(text),
            Err(message) => {
                self.wrong(field, message);
                None
            }
        }
    }

    /// A field that must be there and not blank.
    pub(super) fn required_text(&mut self, field: &'static str, rule: TextRule) -> Option<String> {
        if self.raw(field).is_none() {
            self.wrong(field, "is required");
            return None;
        }
        let text = self.text(field, rule)?;
        if text.trim().is_empty() {
            self.wrong(field, "must not be blank");
            return None;
        }
        Some(text)
    }

    /// A field that holds an id or one of a set of words, if it is there.
    pub(super) fn parsed<T: FromStr<Err: fmt::Display>>(&mut self, field: &'static str) -> Option<T> {
        let raw = self.raw(field)?;
        let parsed = match serde_json::from_str::<String>(raw) {
            Ok(text) => text.parse().map_err(|error: T::Err| error.to_string()),
            Err(_) => Err("must be a string".to_owned()),
        };
        parsed.map_err(|message| self.wrong(field, message)).ok()
    }

    /// The same for a field that must be there.
    pub(super) fn required<T: FromStr<Err: fmt::Display>>(&mut self, field: &'static str) -> Option<T> {
        if self.raw(field).is_none() {
            self.wrong(field, "is required");
        }
        self.parsed(field)
    }

    /// An integer in this range, written without fraction or exponent, if it is there.
    pub(super) fn integer(&mut self, field: &'static str, min: u32, max: u32) -> Option<u32> {
        let raw = self.raw(field)?;
        let digits = raw.bytes().all(|byte| byte.is_ascii_digit());
        match raw.parse() {
            Ok(number) if digits && (min..=max).contains(&number) => Some(number),
            _ => {
                self.wrong(field, format!("must be an integer from {min} to {max}"));
                None
            }
        }
    }

    /// The value, unless a field is wrong.
    pub(super) fn finish<T>(self, value: Option<T>) -> Result<T, BodyError> {
        match value {
            Some(value) if self.errors.is_empty() => Ok(value),
            _ => Err(BodyError::Invalid(self.errors)),
        }
    }
}

impl TextRule {
    /// A line of at most so many Unicode characters.
    pub(super) const fn line(max: usize) -> Self {
        Self { max, lines: false }
    }

    fn check(self, text: &str) -> Result<(), String> {
        let control = |c: char| c.is_control() && !(self.lines && matches!(c, '\n' | '\r' | '\t'));
        if text.chars().any(control) {
            return Err("must not hold control characters".to_owned());
        }
        // A text has no more characters than bytes, so a short one is not counted.
        if text.len() > self.max && text.chars().count() > self.max {
            return Err(format!("must be at most {} characters", self.max));
        }
        Ok(())
    }
}

/// A parser's message without the position, which helps nobody in a one-line body.
fn plain(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.split(" at line ").next().unwrap_or_default().to_owned()
}

/// Reads the fields into place, so that what was seen counts even where the text after it is not JSON.
#[derive(Default)]
struct Reader<'a> {
    fields: Vec<(String, &'a RawValue)>,
    too_many: bool,
    duplicate: Option<String>,
}

impl<'de> Reader<'de> {
    fn read(&mut self, text: &'de str) -> Result<(), serde_json::Error> {
        let mut json = serde_json::Deserializer::from_str(text);
        (&mut json).deserialize_map(self)?;
        json.end()
    }

    fn keep(&mut self, name: String, value: &'de RawValue) {
        if self.fields.iter().any(|(known, _)| *known == name) {
            self.duplicate = Some(name);
        } else {
            self.fields.push((name, value));
        }
    }
}

impl<'de> Visitor<'de> for &mut Reader<'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<(), M::Error> {
        let mut count = 0;
        while let Some(name) = map.next_key::<String>()? {
            count += 1;
            if count > MAX_FIELDS {
                self.too_many = true;
                return Err(M::Error::custom("too many fields"));
            }
            self.keep(name, map.next_value()?);
        }
        Ok(())
    }
}
