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

/// Which requests have a line in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogRequests {
    /// All of them.
    All,
    /// Those that were refused or failed.
    Refused,
    /// Those that failed by the server's own fault.
    None,
}

/// What is logged.
#[derive(Debug, Clone)]
pub struct LogConfig {
    /// The least important level that is logged.
    pub level: Level,
    /// How.
    pub format: LogFormat,
    /// Which requests have a line.
    pub requests: LogRequests,
}

impl LogConfig {
    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let level = reader.one(&options::LOG, level);
        let format = reader.one(&options::LOG_FORMAT, format);
        let requests = reader.one(&options::LOG_REQUESTS, requests);
        Some(Self {
            level: level?,
            format: format?,
            requests: requests?,
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

fn requests(text: &str) -> Result<LogRequests, NotAllowed> {
    match text {
        "all" => Ok(LogRequests::All),
        "refused" => Ok(LogRequests::Refused),
        "none" => Ok(LogRequests::None),
        _ => Err(NotAllowed),
    }
}

fn format(text: &str) -> Result<LogFormat, NotAllowed> {
    match text {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err(NotAllowed),
    }
}
