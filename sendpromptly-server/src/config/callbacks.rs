//! How repair endpoints are called.

use std::path::PathBuf;

use sendpromptly_core::replay::RetrySchedule;

use super::options;
use super::sources::Reader;
use super::value::{self, NotAllowed, duration};
use crate::callback::AddressPolicy;

/// How repair endpoints are called.
#[derive(Debug, Clone)]
pub struct CallbackConfig {
    /// Which addresses may be called.
    pub policy: AddressPolicy,
    /// A file of certificates trusted beside the system's.
    pub ca: Option<PathBuf>,
    /// When attempts are made.
    pub schedule: RetrySchedule,
}

impl CallbackConfig {
    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let allow_private = reader.one(&options::ALLOW_PRIVATE_CALLBACKS, str::parse);
        let allowed_ranges = reader.many(&options::CALLBACK_ALLOW, str::parse);
        let ca = reader.optional(&options::CALLBACK_CA, value::path);
        let schedule = reader.one(&options::RETRY_SCHEDULE, schedule);
        Some(Self {
            policy: AddressPolicy {
                allow_private: allow_private?,
                allowed_ranges: allowed_ranges?,
            },
            ca: ca?,
            schedule: schedule?,
        })
    }
}

fn schedule(text: &str) -> Result<RetrySchedule, NotAllowed> {
    let delays: Result<Vec<_>, _> = text.split(',').map(str::trim).map(duration).collect();
    RetrySchedule::new(&delays?).map_err(|_| NotAllowed)
}
