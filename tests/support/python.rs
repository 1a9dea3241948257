//! Programs from PyPI, which `tests/setup` installs by `tests/requirements.txt`.

use std::path::{Path, PathBuf};

use tokio::process::Command;

/// The directory of the tests' sources.
#[must_use]
pub fn sources() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A command that runs this program from the tests' virtual environment.
#[must_use]
pub fn installed(program: &str) -> Command {
    let path: PathBuf = sources().join("../.venv/bin").join(program);
    assert!(
        path.exists(),
        "{} is not installed: run tests/setup",
        path.display()
    );
    Command::new(path)
}
