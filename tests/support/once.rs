//! Things that every test of a run shares, made by whichever comes first.
//!
//! The runner gives each test a process of its own, so what is shared lies in a directory named after the
//! runner's process.

use std::fs::{self, File};
use std::os::unix::process::parent_id;
use std::path::PathBuf;

/// The process whose end is the end of the run: the runner's where there is one, else our own.
#[must_use]
pub fn runner_pid() -> u32 {
    match std::env::var_os("NEXTEST") {
        Some(_) => parent_id(),
        None => std::process::id(),
    }
}

/// A path of this run and no other.
#[must_use]
pub fn run_path(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("sendpromptly-{name}-{}", runner_pid()))
}

/// Does this once in a run; the others wait until it is done.
pub fn once_per_run(name: &str, work: impl FnOnce()) {
    let lock = File::create(run_path(&format!("{name}.lock"))).unwrap();
    lock.lock().unwrap();
    let done = run_path(&format!("{name}.done"));
    // A process id comes round again: what an earlier run left behind does not count.
    let current = fs::read_to_string(&done).is_ok_and(|started| started == runner_started());
    if !current {
        work();
        fs::write(&done, runner_started()).unwrap();
    }
}

/// When the runner's process was started, in the kernel's ticks.
fn runner_started() -> String {
    let stat = fs::read_to_string(format!("/proc/{}/stat", runner_pid())).unwrap();
    let (_, after_name) = stat.rsplit_once(')').unwrap();
    after_name.split_whitespace().nth(19).unwrap().to_owned()
}
