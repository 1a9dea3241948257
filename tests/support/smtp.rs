//! A mail server that did not come from this repository's server code: Python's, in a process of its own.

use std::process::Stdio;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

use crate::python::sources;
use crate::wait::PATIENCE;

/// The mail server; it ends when it is dropped.
#[derive(Debug)]
pub struct SmtpSink {
    _child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    /// Where it listens, on loopback.
    pub port: u16,
}

impl SmtpSink {
    /// One with these options, which `smtp_sink.py` tells.
    pub async fn start(options: &[&str]) -> Self {
        let mut child = Command::new("python3")
            .arg(sources().join("support/smtp_sink.py"))
            .args(options)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let port = timeout(PATIENCE, lines.next_line()).await.unwrap().unwrap();
        Self {
            _child: child,
            lines,
            port: port.unwrap().parse().unwrap(),
        }
    }

    /// What came next: a message with its envelope, or a refusal.
    pub async fn next(&mut self) -> Value {
        let line = timeout(PATIENCE, self.lines.next_line()).await;
        let line = line.expect("mail comes in time").unwrap();
        serde_json::from_str(&line.expect("the mail server is alive")).unwrap()
    }
}
