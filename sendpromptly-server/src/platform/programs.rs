//! Programs that this one starts.

use std::process::Command;

use crate::config::options::VARIABLE_PREFIX;

/// Keeps this program's own options from one that it starts: they may hold passwords and keys, and are none of its
/// business.
pub fn keep_options_from(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with(VARIABLE_PREFIX) {
            command.env_remove(name);
        }
    }
}
