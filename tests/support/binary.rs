//! The program under test.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::once::once_per_run;

/// The path of `sendpromptly`: what `SENDPROMPTLY_BIN` names, else the workspace's own, built once in a run.
pub fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| match std::env::var_os("SENDPROMPTLY_BIN") {
        Some(path) => std::path::absolute(path).unwrap(),
        None => build(),
    })
}

fn build() -> PathBuf {
    once_per_run("build", || {
        let mut build = Command::new(env!("CARGO"));
        build
            .args(["build", "--quiet", "--package", "sendpromptly-server"])
            .current_dir(env!("CARGO_MANIFEST_DIR"));
        // What the runner says of this package would make build scripts run again, and all that stands on them.
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
                build.env_remove(&name);
            }
        }
        let status = build.status().unwrap();
        assert!(status.success(), "the program does not build");
    });
    // This executable lies in target/debug/deps, the program in target/debug.
    let own = std::env::current_exe().unwrap();
    own.ancestors().nth(2).unwrap().join("sendpromptly")
}
