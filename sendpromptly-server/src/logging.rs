//! Log lines, to standard error.

use tracing::Level;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

use crate::config::LogConfig;
use crate::config::log::LogFormat;

/// Logs this program's lines down to `level`, and only the warnings of its libraries: what those would say
/// beside may hold what customers sent.
pub fn start(config: &LogConfig, level: Level) {
    let own = Targets::new()
        .with_target("sendpromptly_server", level)
        .with_default(LevelFilter::WARN.min(level.into()));
    let lines = fmt::layer().with_writer(std::io::stderr);
    let lines = match config.format {
        LogFormat::Text => lines
            .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
            .boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    // A second start in one process, as a test may have, keeps the first.
    let _ = tracing_subscriber::registry()
        .with(lines.with_filter(own))
        .try_init();
}
