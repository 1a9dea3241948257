//! How mail leaves: over SMTP, or, in development, into files of a directory.

use std::fmt;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use lettre::message::{Mailbox, header::ContentType};
use lettre::transport::smtp;
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use sendpromptly_core::hex;
use sendpromptly_core::time::Timestamp;

use super::Letter;
use crate::config::MailConfig;
use crate::platform::directory;

/// How long connecting to one address of a mail server may take. Of what comes after, lettre bounds nothing.
const CONNECTING: Duration = Duration::from_secs(8);

/// How long sending one mail may take in all: less than a lease, and than a worker may be silent, with what it reads and
/// writes before and after.
const IN_ALL: Duration = Duration::from_secs(12);

/// Why a mail was not sent. It names no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The server says that there is no such mailbox, or takes nothing for it.
    #[error("the mail server refuses the mailbox ({0})")]
    Mailbox(String),
    /// The letter is not one: its address cannot be used.
    #[error("the letter cannot be written: {0}")]
    Letter(&'static str),
    /// Anything else, which may pass.
    #[error("{0}")]
    Failed(String),
}

/// How mail leaves.
#[derive(Clone)]
pub struct Transport {
    from: Mailbox,
    way: Way,
}

#[derive(Clone)]
enum Way {
    Smtp(AsyncSmtpTransport<Tokio1Executor>),
    Directory(PathBuf),
}

impl Transport {
    /// The way that the configuration names; without one, files in the data directory.
    ///
    /// # Errors
    /// [`SendError::Failed`] where the client for SMTP cannot be made.
    pub fn new(config: &MailConfig, data_dir: &Path) -> Result<Self, SendError> {
        let way = match &config.smtp {
            Some(server) => {
                let builder = server.client().map_err(|error| describe(&error))?;
                Way::Smtp(builder.timeout(Some(CONNECTING)).build())
            }
            None => Way::Directory(data_dir.join("mail")),
        };
        let from = config.from.clone();
        Ok(Self { from, way })
    }

    /// The directory that mail is written to, where it is not sent.
    #[must_use]
    pub fn directory(&self) -> Option<&Path> {
        match &self.way {
            Way::Smtp(_) => None,
            Way::Directory(path) => Some(path),
        }
    }

    /// Sends a letter.
    ///
    /// # Errors
    /// [`SendError`] by its cause.
    pub async fn send(&self, letter: &Letter, id: &[u8; 16], now: Timestamp) -> Result<(), SendError> {
        let message = self.message(letter, id, now)?;
        match &self.way {
            Way::Smtp(client) => match tokio::time::timeout(IN_ALL, client.send(message)).await {
                Ok(Ok(_)) => Ok(()),
                Ok(Err(error)) => Err(describe(&error)),
                Err(_) => Err(SendError::Failed("the mail server took too long".to_owned())),
            },
            Way::Directory(path) => {
                let file = path.join(format!("{:013}-{}.eml", now.as_millis().max(0), hex::encode(id)));
                let bytes = message.formatted();
                let written = tokio::task::spawn_blocking(move || write(&file, &bytes)).await;
                let written = written.map_err(|error| SendError::Failed(error.to_string()))?;
                written.map_err(|error| SendError::Failed(format!("the mail cannot be written: {error}")))
            }
        }
    }

    /// Whether the mail server answers, takes our sign-in and can be spoken to; nothing is sent.
    ///
    /// # Errors
    /// [`SendError`] by its cause.
    pub async fn check(&self) -> Result<(), SendError> {
        let Way::Smtp(client) = &self.way else {
            return Ok(());
        };
        match tokio::time::timeout(IN_ALL, client.test_connection()).await {
            Ok(Ok(true)) => Ok(()),
            Ok(Ok(false)) => Err(SendError::Failed(
                "the mail server ends the connection".to_owned(),
            )),
            Ok(Err(error)) => Err(describe(&error)),
            Err(_) => Err(SendError::Failed("the mail server took too long".to_owned())),
        }
    }

    /// The message. Its headers are built from types that encode what they are given, so a letter brings in no
    /// header of its own.
    fn message(&self, letter: &Letter, id: &[u8; 16], now: Timestamp) -> Result<Message, SendError> {
        let to = letter.to.parse().map_err(|_| SendError::Letter("its address"))?;
        let host = self.from.email.domain();
        let millis = u64::try_from(now.as_millis()).unwrap_or(0);
        Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, to))
            .subject(letter.subject.as_str())
            .date(SystemTime::UNIX_EPOCH + Duration::from_millis(millis))
            .message_id(Some(format!("<{}@{host}>", hex::encode(id))))
            .header(ContentType::TEXT_PLAIN)
            .body(letter.text.clone())
            .map_err(|_| SendError::Letter("its headers"))
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Transport(..)")
    }
}

/// What went wrong, without the server's own words: they may hold the address.
fn describe(error: &smtp::Error) -> SendError {
    if let Some(code) = error.status() {
        let code = code.to_string();
        return if matches!(code.as_str(), "550" | "551" | "553") {
            SendError::Mailbox(code)
        } else {
            SendError::Failed(format!("the mail server answers {code}"))
        };
    }
    let what = if error.is_timeout() {
        "the mail server took too long"
    } else if error.is_tls() {
        "TLS with the mail server failed"
    } else if error.is_client() {
        "the mail server cannot be spoken to: it offers no STARTTLS, or no sign-in that is known"
    } else if error.is_response() {
        "the mail server answers what cannot be read"
    } else {
        "the mail server cannot be reached"
    };
    SendError::Failed(what.to_owned())
}

/// Writes a file that is whole when it has its name.
fn write(file: &Path, bytes: &[u8]) -> std::io::Result<()> {
    directory::make_private(directory::of_file(file))?;
    let part = file.with_extension("part");
    let mut open = std::fs::OpenOptions::new();
    let mut part_file = open
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&part)?;
    part_file.write_all(bytes)?;
    std::fs::rename(&part, file)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn letter(to: &str, subject: &str) -> Letter {
        Letter {
            to: to.to_owned(),
            subject: subject.to_owned(),
            text: "Hello\n".to_owned(),
        }
    }

    fn into(directory: &Path) -> Transport {
        let config = MailConfig {
            smtp: None,
            from: "SendPromptly <us@example.com>".parse().unwrap(),
        };
        Transport::new(&config, directory).unwrap()
    }

    #[tokio::test]
    async fn in_development_a_mail_is_a_file_for_its_owner_only_and_later_ones_sort_last() {
        let directory = tempfile::tempdir().unwrap();
        let transport = into(directory.path());
        for (id, at) in [(9, 0), (1, 1)] {
            let letter = letter("a@example.com", "Hi");
            transport
                .send(&letter, &[id; 16], NOW.plus_millis(at))
                .await
                .unwrap();
        }
        let path = transport.directory().unwrap();
        assert_eq!(std::fs::metadata(path).unwrap().mode() & 0o777, 0o700);
        let mut files: Vec<_> = std::fs::read_dir(path)
            .unwrap()
            .map(|file| file.unwrap())
            .collect();
        files.sort_by_key(std::fs::DirEntry::file_name);
        assert_eq!(files.len(), 2);
        assert!(files[1].file_name().to_str().unwrap().contains("0101"));
        for file in files {
            assert_eq!(file.metadata().unwrap().mode() & 0o777, 0o600);
            let text = std::fs::read_to_string(file.path()).unwrap();
            assert!(text.contains("To: a@example.com\r\n"), "{text}");
            assert!(
                text.contains("Date: Fri, 15 Jan 2027 08:00:00 +0000\r\n"),
                "{text}"
            );
        }
    }

    #[tokio::test]
    async fn an_address_or_a_subject_adds_no_header() {
        let directory = tempfile::tempdir().unwrap();
        let transport = into(directory.path());
        let forged = letter("a@example.com\r\nBcc: b@example.com", "Hi");
        let sent = transport.send(&forged, &[1; 16], NOW).await;
        assert_eq!(sent, Err(SendError::Letter("its address")));
        let message = transport.message(
            &letter("a@example.com", "Hi\r\nBcc: b@example.com"),
            &[1; 16],
            NOW,
        );
        let text = String::from_utf8(message.unwrap().formatted()).unwrap();
        assert!(!text.contains("\nBcc:"), "{text}");
    }
}
