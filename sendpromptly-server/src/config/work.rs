//! How the work behind the API goes.

use std::time::Duration;

use super::options;
use super::sources::Reader;
use super::value::{self, NotAllowed, duration};

/// How the work behind the API goes.
#[derive(Debug, Clone)]
pub struct WorkConfig {
    /// Writers that commit receipts and results.
    pub committers: u32,
    /// How often overdue events are looked for.
    pub sweep_interval: Duration,
}

impl WorkConfig {
    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let committers = reader.one(&options::COMMITTERS, |text| value::number(text, 1..=16));
        let sweep_interval = reader.one(&options::SWEEP_INTERVAL, sweep_interval);
        Some(Self {
            committers: committers?,
            sweep_interval: sweep_interval?,
        })
    }
}

fn sweep_interval(text: &str) -> Result<Duration, NotAllowed> {
    let interval = duration(text)?;
    let allowed = Duration::from_millis(10)..=Duration::from_secs(3_600);
    if allowed.contains(&interval) {
        Ok(interval)
    } else {
        Err(NotAllowed)
    }
}
