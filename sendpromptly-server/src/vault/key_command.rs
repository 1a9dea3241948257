//! Master keys that a command prints: `age --decrypt`, the client of a key service, a script of one's own.
//!
//! The command is bounded in time and in what it prints, and ends with all that it has started. What it says to
//! its standard error is shown where it fails, but for what looks like a secret.

use std::io::{self, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use sendpromptly_core::master_keys::MasterKeys;
use zeroize::Zeroizing;

use super::key_ring::RingText;
use super::provider::ProviderError;
use crate::platform::programs;

#[cfg(test)]
mod tests;

/// How long a command may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// More than any ring has.
const MAX_PRINTED: usize = 64 * 1024;

/// Bytes of its standard error that are looked at.
const MAX_SAID: usize = 4 * 1024;

/// Characters of its standard error that are shown.
const MAX_SHOWN: usize = 400;

/// Letters and digits in a row of which no word of a message has so many, and every key has.
const LONGEST_WORD: usize = 20;

/// Why a command gave no master keys.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyCommandError {
    /// It could not be started.
    #[error("--master-key-command cannot be run: {0}")]
    Start(io::Error),
    /// It ended badly.
    #[error("--master-key-command ended with {status}{said}")]
    Failed {
        /// How.
        status: ExitStatus,
        /// What it said, after a colon.
        said: String,
    },
    /// It took too long, and was ended.
    #[error("--master-key-command did not end within {} s, and was ended{said}", patience.as_secs())]
    TooSlow {
        /// How long it had.
        patience: Duration,
        /// What it said, after a colon.
        said: String,
    },
    /// It printed too much, or no text.
    #[error("--master-key-command must print at most {MAX_PRINTED} bytes of text")]
    NoText,
}

/// A command that prints a ring of master keys.
#[derive(Debug)]
pub struct KeyCommand {
    line: String,
    patience: Duration,
}

impl KeyCommand {
    /// This one, as the shell reads it.
    #[must_use]
    pub const fn new(line: String) -> Self {
        Self {
            line,
            patience: PATIENCE,
        }
    }

    fn run(&self) -> Result<Zeroizing<String>, KeyCommandError> {
        let deadline = Instant::now() + self.patience;
        let mut group = Group::start(&self.line).map_err(KeyCommandError::Start)?;
        let Some((status, output)) = group.wait(deadline) else {
            return Err(KeyCommandError::TooSlow {
                patience: self.patience,
                said: group.said(),
            });
        };
        // Whoever prints on is ended by a closed pipe; that it failed is not the cause.
        if output.len() > MAX_PRINTED {
            return Err(KeyCommandError::NoText);
        }
        if !status.success() {
            let said = group.said();
            return Err(KeyCommandError::Failed { status, said });
        }
        let output = String::from_utf8(output.to_vec()).map(Zeroizing::new);
        output.map_err(|_| KeyCommandError::NoText)
    }
}

impl RingText for KeyCommand {
    fn source(&self) -> String {
        "what --master-key-command prints".to_owned()
    }

    fn read(&self) -> Result<MasterKeys, ProviderError> {
        let text = self.run()?;
        MasterKeys::parse(&text).map_err(|why| ProviderError::Ring {
            place: self.source(),
            why,
        })
    }
}

/// What a part of a running command came to.
enum Event {
    Printed(Zeroizing<Vec<u8>>),
    Said(Vec<u8>),
    Ended(io::Result<ExitStatus>),
}

/// A command and all that it has started: they share a process group, which ends with this value.
struct Group {
    id: u32,
    events: Receiver<Event>,
    said: Vec<u8>,
}

impl Group {
    fn start(line: &str) -> io::Result<Self> {
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", line])
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        programs::keep_options_from(&mut command);
        let child = command.spawn()?;
        let id = child.id();
        let (sender, events) = channel();
        watch(child, &sender);
        let said = Vec::new();
        Ok(Self { id, events, said })
    }

    /// Waits until it has ended and both its outputs are over, and gives how it ended and what it printed.
    fn wait(&mut self, deadline: Instant) -> Option<(ExitStatus, Zeroizing<Vec<u8>>)> {
        let (mut status, mut printed) = (None, None);
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.events.recv_timeout(left) {
                Ok(Event::Printed(bytes)) => printed = Some(bytes),
                Ok(Event::Said(bytes)) => self.said = bytes,
                Ok(Event::Ended(ended)) => status = ended.ok(),
                // Nobody sends any more: all of it is over.
                Err(RecvTimeoutError::Disconnected) => return status.zip(printed),
                Err(RecvTimeoutError::Timeout) => return None,
            }
        }
    }

    fn said(&mut self) -> String {
        self.end();
        while let Ok(event) = self.events.recv_timeout(Duration::from_secs(1)) {
            if let Event::Said(bytes) = event {
                self.said = bytes;
            }
        }
        shown(&self.said)
    }

    fn end(&self) {
        let group = i32::try_from(self.id).ok().and_then(Pid::from_raw);
        if let Some(group) = group {
            // Where nothing of it is left there is nothing to end.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.end();
    }
}

/// Reads both outputs and waits for the end, each on a thread of its own. A pipe that is not read further is
/// closed, which ends most who go on writing.
fn watch(mut child: Child, events: &Sender<Event>) {
    let (printed, said) = (child.stdout.take(), child.stderr.take());
    let sender = events.clone();
    thread::spawn(move || {
        let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_PRINTED + 1));
        if let Some(printed) = printed {
            let _ = printed.take(MAX_PRINTED as u64 + 1).read_to_end(&mut bytes);
        }
        let _ = sender.send(Event::Printed(bytes));
    });
    let sender = events.clone();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut said) = said {
            let _ = Read::by_ref(&mut said)
                .take(MAX_SAID as u64)
                .read_to_end(&mut bytes);
            let _ = sender.send(Event::Said(bytes));
            // What it says beyond that must not keep it waiting.
            let _ = io::copy(&mut said, &mut io::sink());
        }
    });
    let sender = events.clone();
    thread::spawn(move || {
        let _ = sender.send(Event::Ended(child.wait()));
    });
}

/// What a command said, on one line, without what may be a secret.
fn shown(said: &[u8]) -> String {
    let text = String::from_utf8_lossy(said);
    let words = text.split_whitespace().map(|word| {
        let mut rows = word.split(|c: char| !c.is_ascii_alphanumeric());
        if rows.any(|row| row.len() > LONGEST_WORD) {
            "[…]".to_owned()
        } else {
            word.chars().filter(|c| !c.is_control()).collect()
        }
    });
    let line = words.collect::<Vec<String>>().join(" ");
    let line: String = line.chars().take(MAX_SHOWN).collect();
    if line.is_empty() {
        line
    } else {
        format!(": {line}")
    }
}
