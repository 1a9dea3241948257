//! How the server is watched.

use std::net::SocketAddr;
use std::time::Duration;

use super::options;
use super::sources::{Reader, Source};
use super::value::{NotAllowed, duration};
use crate::callback::{AddressPolicy, RepairUrl};

/// How the server is watched.
#[derive(Debug, Clone)]
pub struct WatchConfig {
    /// Where metrics are told.
    pub metrics_listen: Option<SocketAddr>,
    /// The monitor that is called for as long as the server is ready.
    pub heartbeat_url: Option<RepairUrl>,
    /// How often it is called.
    pub heartbeat_interval: Duration,
}

impl WatchConfig {
    /// Where the monitor may stand: the operator names it, so also in a private network, and it may speak plain HTTP.
    #[must_use]
    pub fn heartbeat_policy() -> AddressPolicy {
        AddressPolicy {
            allow_private: true,
            ..AddressPolicy::default()
        }
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let metrics_listen = reader.optional(&options::METRICS_LISTEN, str::parse);
        let heartbeat_url = read_monitor(reader);
        let heartbeat_interval = reader.one(&options::HEARTBEAT_INTERVAL, interval);
        Some(Self {
            metrics_listen: metrics_listen?,
            heartbeat_url: heartbeat_url?,
            heartbeat_interval: heartbeat_interval?,
        })
    }
}

/// With more than an origin it may be a secret, and every user of the machine can read the command line.
fn read_monitor(reader: &mut Reader<'_>) -> Option<Option<RepairUrl>> {
    let option = &options::HEARTBEAT_URL;
    let url = reader.optional(option, monitor)?;
    let is_open = |url: &RepairUrl| url.as_str().trim_end_matches('/') == url.origin();
    match (&url, reader.source(option)) {
        (Some(url), Some(Source::Option)) if !is_open(url) => {
            let allowed =
                "without a path there, which may be a secret; give it in the file or the environment";
            reader.refuse(option, Source::Option, allowed);
            None
        }
        _ => Some(url),
    }
}

fn monitor(text: &str) -> Result<RepairUrl, NotAllowed> {
    RepairUrl::parse(text, &WatchConfig::heartbeat_policy()).map_err(|_| NotAllowed)
}

fn interval(text: &str) -> Result<Duration, NotAllowed> {
    let interval = duration(text)?;
    let allowed = Duration::from_secs(1)..=Duration::from_secs(3_600);
    allowed.contains(&interval).then_some(interval).ok_or(NotAllowed)
}
