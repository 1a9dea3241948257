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
        let status = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--package", "sendpromptly-server"])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .status()
            .unwrap();
        assert!(status.success(), "the program does not build");
    });
    // This executable lies in target/debug/deps, the program in target/debug.
    let own = std::env::current_exe().unwrap();
    own.ancestors().nth(2).unwrap().join("sendpromptly")
}
