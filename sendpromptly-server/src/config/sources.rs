//! Where options come from, and reading one with the right precedence.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Display;

use super::ConfigError;
use super::options::{self, ConfigOption, Form};

/// The configuration file, in the working directory.
pub const FILE: &str = "sendpromptly.toml";

/// The values that one place holds, by option name.
pub type Given = BTreeMap<&'static str, Vec<String>>;

/// What was given, in each place.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    options: Given,
    environment: Given,
    file: Given,
}

/// Where a value came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    Option,
    Environment,
    File,
}

impl Sources {
    /// Those of this process: the options given, its environment, and the file if there is one.
    ///
    /// # Errors
    /// [`ConfigError`] where a variable is not text, or the file is malformed or holds an unknown key.
    pub fn of_process(options: Given) -> Result<Self, ConfigError> {
        let file = match std::fs::read_to_string(FILE) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(ConfigError::one(format!("{FILE} cannot be read: {error}"))),
        };
        Self::of(options, std::env::vars_os(), &file)
    }

    pub(super) fn of(
        options: Given,
        variables: impl IntoIterator<Item = (OsString, OsString)>,
        file: &str,
    ) -> Result<Self, ConfigError> {
        Ok(Self {
            options,
            environment: read_environment(variables)?,
            file: parse_file(file)?,
        })
    }

    /// Nothing but these options.
    #[must_use]
    pub fn of_options(options: impl IntoIterator<Item = (&'static ConfigOption, String)>) -> Self {
        let mut sources = Self::default();
        for (option, value) in options {
            sources.options.entry(option.name).or_default().push(value);
        }
        sources
    }

    fn find(&self, option: &ConfigOption) -> Option<(Source, &[String])> {
        let places = [
            (Source::Option, &self.options),
            (Source::Environment, &self.environment),
            (Source::File, &self.file),
        ];
        places
            .into_iter()
            .find_map(|(source, values)| Some((source, values.get(option.name)?.as_slice())))
    }
}

fn read_environment(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Result<Given, ConfigError> {
    let mut found = Given::new();
    for (variable, value) in variables {
        let Some(variable) = variable.to_str().filter(|name| is_ours(name)) else {
            continue;
        };
        let option = options::ALL.iter().find(|option| option.variable() == variable);
        let option = option.ok_or_else(|| {
            let why = "is none of this program's; `sendpromptly --help` names them";
            ConfigError::one(format!("the environment variable {variable} {why}"))
        })?;
        let text = value
            .into_string()
            .map_err(|_| ConfigError::one(format!("the environment variable {variable} is not UTF-8")))?;
        found.insert(option.name, vec![text]);
    }
    Ok(found)
}

/// Whether a variable was meant for this program. Kubernetes makes variables of its own for a service of the
/// name `sendpromptly`: `SENDPROMPTLY_SERVICE_HOST`, `SENDPROMPTLY_PORT_8080_TCP` and others.
fn is_ours(variable: &str) -> bool {
    let name = variable.strip_prefix(options::VARIABLE_PREFIX);
    name.is_some_and(|name| name != "PORT" && !name.starts_with("PORT_") && !name.starts_with("SERVICE_"))
}

fn parse_file(text: &str) -> Result<Given, ConfigError> {
    let table: toml::Table = text
        .parse()
        .map_err(|error: toml::de::Error| ConfigError::one(malformed_file(text, &error)))?;
    let mut found = Given::new();
    for (key, value) in table {
        let option = options::ALL.iter().find(|option| option.name == key);
        let option = option.ok_or_else(|| ConfigError::one(unknown_key(&key)))?;
        let values = texts(&value)
            .ok_or_else(|| ConfigError::one(format!("`{key}` in {FILE} must be {}", option.allowed)))?;
        found.insert(option.name, values);
    }
    Ok(found)
}

/// Where the file is malformed. The library's own message would show the line, which may hold a password.
fn malformed_file(text: &str, error: &toml::de::Error) -> String {
    let before = error
        .span()
        .and_then(|span| text.get(..span.start))
        .unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    format!("{FILE} is not TOML: line {line}: {}", error.message())
}

fn unknown_key(key: &str) -> String {
    let meant = key.to_ascii_lowercase().replace('_', "-");
    if options::ALL.iter().any(|option| option.name == meant) {
        return format!("{FILE} holds the unknown key `{key}`; write `{meant}`");
    }
    let known: Vec<_> = options::ALL.iter().map(|option| option.name).collect();
    format!(
        "{FILE} holds the unknown key `{key}`; the keys are {}",
        known.join(", ")
    )
}

fn texts(value: &toml::Value) -> Option<Vec<String>> {
    match value {
        toml::Value::String(text) => Some(vec![text.clone()]),
        toml::Value::Integer(number) => Some(vec![number.to_string()]),
        toml::Value::Boolean(flag) => Some(vec![flag.to_string()]),
        toml::Value::Array(items) => {
            let items: Option<Vec<_>> = items.iter().map(texts).collect();
            items.map(|items| items.concat())
        }
        toml::Value::Float(_) | toml::Value::Datetime(_) | toml::Value::Table(_) => None,
    }
}

/// Reads options one after another and remembers what was wrong.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    sources: &'a Sources,
    faults: Vec<String>,
}

impl<'a> Reader<'a> {
    pub(super) const fn of(sources: &'a Sources) -> Self {
        Self {
            sources,
            faults: Vec::new(),
        }
    }

    pub(super) fn faults(self) -> Vec<String> {
        self.faults
    }

    /// The value of an option that has a default. `None`: it was wrong, which is remembered.
    pub(super) fn one<T, E>(
        &mut self,
        option: &ConfigOption,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Option<T> {
        self.optional(option, parse)?
    }

    /// The value of an option that may be left out.
    pub(super) fn optional<T, E>(
        &mut self,
        option: &ConfigOption,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Option<Option<T>> {
        let Some((source, values)) = self.sources.find(option) else {
            return Some(option.default.and_then(|default| parse(default).ok()));
        };
        let [value] = values else {
            self.refuse(option, source, "given once");
            return None;
        };
        match parse(value) {
            Ok(value) => Some(Some(value)),
            Err(_) => {
                self.refuse(option, source, option.allowed);
                None
            }
        }
    }

    /// The values of an option that may be given several times.
    pub(super) fn many<T, E>(
        &mut self,
        option: &ConfigOption,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Option<Vec<T>> {
        debug_assert_eq!(option.form, Form::Many);
        let Some((source, values)) = self.sources.find(option) else {
            return Some(Vec::new());
        };
        let items = values.iter().flat_map(|value| value.split(',')).map(str::trim);
        match items.map(parse).collect() {
            Ok(parsed) => Some(parsed),
            Err(_) => {
                self.refuse(option, source, option.allowed);
                None
            }
        }
    }

    /// Where an option's value came from.
    pub(super) fn source(&self, option: &ConfigOption) -> Option<Source> {
        self.sources.find(option).map(|(source, _)| source)
    }

    /// Remembers that a value cannot be used. The value itself may be a secret and is not repeated.
    pub(super) fn refuse(&mut self, option: &ConfigOption, source: Source, allowed: impl Display) {
        let name = option.name;
        let given = match source {
            Source::Option => format!("--{name}, given on the command line,"),
            Source::Environment => format!("the environment variable {}", option.variable()),
            Source::File => format!("`{name}` in {FILE}"),
        };
        let fault = format!("{given} must be {allowed}");
        self.faults.push(fault);
    }
}
