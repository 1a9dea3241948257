//! The demo's configuration. It is the demo's own: neither the environment nor a file can lead it to a store that
//! somebody uses.

use std::path::Path;

use crate::command::CommandError;
use crate::config::options::{self, ConfigOption};
use crate::config::sources::Given;
use crate::config::{Config, Sources};

/// The options that may be given, with the demo's defaults: any free port, and no log but errors.
const TAKEN: [(&ConfigOption, &str); 2] = [(&options::LISTEN, "127.0.0.1:0"), (&options::LOG, "error")];

/// The configuration of a demo whose store is in this directory.
///
/// # Errors
/// [`CommandError::Usage`] where an option was given that the demo does not take, or with a wrong value.
pub(super) fn read(given: &Given, directory: &Path) -> Result<Config, CommandError> {
    let taken = |name: &str| TAKEN.iter().any(|(option, _)| option.name == name);
    if let Some(name) = given.keys().find(|name| !taken(name)) {
        return Err(CommandError::Usage(format!(
            "demo makes a store of its own and takes no --{name}; it takes --once, --listen and --log"
        )));
    }
    let directory = directory.to_str();
    let directory =
        directory.ok_or_else(|| CommandError::refused("the temporary directory's name is not UTF-8"))?;
    let fixed = [
        (&options::DATA_DIR, directory.to_owned()),
        (&options::ALLOW_PRIVATE_CALLBACKS, "true".to_owned()),
        (&options::SWEEP_INTERVAL, "50ms".to_owned()),
    ];
    let taken = TAKEN.into_iter().flat_map(|(option, default)| {
        let values = given.get(option.name).cloned();
        let values = values.unwrap_or_else(|| vec![default.to_owned()]);
        values.into_iter().map(move |value| (option, value))
    });
    Ok(Config::read(&Sources::of_options(
        fixed.into_iter().chain(taken),
    ))?)
}
