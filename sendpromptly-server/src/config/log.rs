//! What is logged.

use tracing::Level;

use super::options;
use super::sources::Reader;
use super::value::NotAllowed;

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// What is logged.
#[derive(Debug, Clone)]
pub struct LogConfig {
    /// The least important level that is logged.
    pub level: Level,
    /// How.
    pub format: LogFormat,
}

impl LogConfig {
    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let level = reader.one(&options::LOG, level);
        let format = reader.one(&options::LOG_FORMAT, format);
        Some(Self {
            level: level?,
            format: format?,
        })
    }
}

fn level(text: &str) -> Result<Level, NotAllowed> {
    Ok(match text {
        "error" => Level::ERROR,
        "warn" => Level::WARN,
        "info" => Level::INFO,
        "debug" => Level::DEBUG,
        "trace" => Level::TRACE,
        _ => return Err(NotAllowed),
    })
}

fn format(text: &str) -> Result<LogFormat, NotAllowed> {
    match text {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err(NotAllowed),
    }
}
