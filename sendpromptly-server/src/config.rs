//! What the program is told to do: options over environment variables over `sendpromptly.toml`.
//!
//! [`options`] lists every option once; the command line, the environment, the file and
//! `docs/configuration.md` all go by that list. Each section reads its own options and refuses what it cannot
//! use, so that nothing starts on a value that was not meant.

use std::fmt;

pub mod billing;
pub mod callbacks;
pub mod http;
pub mod keys;
pub mod log;
pub mod mail;
pub mod options;
pub mod sources;
pub mod storage;
#[cfg(test)]
mod tests;
pub mod value;
pub mod watch;
pub mod work;

pub use billing::{BillingConfig, StripeApi, StripeKey};
pub use callbacks::CallbackConfig;
pub use http::{HttpConfig, TlsConfig};
pub use keys::KeyConfig;
pub use log::LogConfig;
pub use mail::{MailConfig, SignUp};
pub use sources::Sources;
pub use storage::StorageConfig;
pub use watch::WatchConfig;
pub use work::WorkConfig;

use sources::Reader;

/// The whole configuration, checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where data lies.
    pub storage: StorageConfig,
    /// Where keys and checkpoints lie.
    pub keys: KeyConfig,
    /// How the API is reached.
    pub http: HttpConfig,
    /// How repair endpoints are called.
    pub callbacks: CallbackConfig,
    /// How mail leaves.
    pub mail: MailConfig,
    /// Who may make an account.
    pub sign_up: SignUp,
    /// Whether organizations pay, and how.
    pub billing: Option<BillingConfig>,
    /// How the work behind the API goes.
    pub work: WorkConfig,
    /// How the server is watched.
    pub watch: WatchConfig,
    /// What is logged.
    pub log: LogConfig,
}

/// What is wrong with a configuration: every fault, each in a sentence that names the option, where its value
/// came from and what is allowed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError {
    faults: Vec<String>,
}

impl ConfigError {
    /// One fault.
    #[must_use]
    pub fn one(fault: impl Into<String>) -> Self {
        Self {
            faults: vec![fault.into()],
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.faults.join("\n"))
    }
}

impl Config {
    /// Reads and checks every option.
    ///
    /// # Errors
    /// [`ConfigError`] with all that is wrong at once.
    pub fn read(sources: &Sources) -> Result<Self, ConfigError> {
        let mut reader = Reader::of(sources);
        let storage = StorageConfig::read(&mut reader);
        let keys = storage
            .as_ref()
            .and_then(|storage| KeyConfig::read(&mut reader, &storage.data_dir));
        let http = HttpConfig::read(&mut reader);
        let callbacks = CallbackConfig::read(&mut reader);
        let mail = MailConfig::read(&mut reader);
        let sign_up = SignUp::read(&mut reader);
        let billing = BillingConfig::read(&mut reader);
        let work = WorkConfig::read(&mut reader);
        let watch = WatchConfig::read(&mut reader);
        let log = LogConfig::read(&mut reader);
        let whole = || {
            Some(Self {
                storage: storage?,
                keys: keys?,
                http: http?,
                callbacks: callbacks?,
                mail: mail?,
                sign_up: sign_up?,
                billing: billing?,
                work: work?,
                watch: watch?,
                log: log?,
            })
        };
        let whole = whole();
        let faults = reader.faults();
        whole.filter(|_| faults.is_empty()).ok_or(ConfigError { faults })
    }
}
