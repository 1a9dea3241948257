//! Mail as it reaches its readers: read from the folder where a server without SMTP writes it.

use std::fs;
use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::store::TestStore;
use crate::wait::eventually;

/// A message.
#[derive(Debug, Clone)]
pub struct Mail {
    /// Whom it is for, as the header says.
    pub to: String,
    /// What it is about.
    pub subject: String,
    /// Its text, as a reader sees it.
    pub text: String,
}

/// Every message that a server on this store has written, oldest first.
#[derive(Debug, Clone)]
pub struct Mailbox(PathBuf);

impl Mailbox {
    /// The messages of servers on this store.
    #[must_use]
    pub fn of(store: &TestStore) -> Self {
        Self(store.data_dir().join("mail"))
    }

    /// The messages in this folder.
    #[must_use]
    pub const fn in_directory(directory: PathBuf) -> Self {
        Self(directory)
    }

    /// The folder that they lie in.
    #[must_use]
    pub const fn directory(&self) -> &PathBuf {
        &self.0
    }

    /// Every message for this address so far.
    #[must_use]
    pub fn mails_to(&self, address: &str) -> Vec<Mail> {
        let mut mails = self.mails();
        mails.retain(|mail| mail.to.contains(address));
        mails
    }

    /// Waits until so many messages have come for this address, and gives the last of them.
    pub async fn nth_to(&self, address: &str, count: usize) -> Mail {
        eventually(&format!("{count} mails to {address}"), async || {
            self.mails_to(address).get(count - 1).cloned()
        })
        .await
    }

    fn mails(&self) -> Vec<Mail> {
        let Ok(entries) = fs::read_dir(&self.0) else {
            return Vec::new(); // nothing has been written yet
        };
        let paths = entries.map(|entry| entry.unwrap().path());
        let mut paths: Vec<_> = paths
            .filter(|path| path.extension().is_some_and(|e| e == "eml"))
            .collect();
        paths.sort();
        let raw = paths.iter().map(|path| fs::read_to_string(path).unwrap());
        raw.map(|raw| Mail::parse(&raw)).collect()
    }
}

impl Mail {
    /// Reads a message: its own text, or the first plain one of several parts.
    #[must_use]
    pub fn parse(raw: &str) -> Self {
        let raw = raw.replace("\r\n", "\n");
        let (head, body) = raw.split_once("\n\n").expect("a blank line ends the head");
        let header = |name| header(head, name);
        Self {
            to: header("to"),
            subject: header("subject"),
            text: plain_text(head, body),
        }
    }

    /// The links in it, in order, without scheme and host.
    #[must_use]
    pub fn paths(&self) -> Vec<String> {
        let words = self.text.split_whitespace();
        let links = words.filter_map(|word| word.strip_prefix("http"));
        let path = |link: &str| {
            let (_, rest) = link.split_once("://").expect("a link");
            rest.split_once('/').map(|(_, path)| format!("/{path}"))
        };
        links.filter_map(path).collect()
    }
}

/// A header with its continuation lines; `""` where it is absent.
fn header(head: &str, name: &str) -> String {
    let unfolded = head.replace("\n ", " ").replace("\n\t", " ");
    let value = unfolded.lines().find_map(|line| {
        let (known, value) = line.split_once(':')?;
        known.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
    });
    value.unwrap_or_default()
}

fn plain_text(head: &str, body: &str) -> String {
    let kind = header(head, "content-type");
    if let Some((_, boundary)) = kind.split_once("boundary=") {
        let boundary = boundary.split(';').next().unwrap().trim_matches('"');
        let between = format!("--{boundary}");
        let parts = body.split(&between).skip(1);
        let part = parts.map(str::trim_start).find(|part| {
            let head = part.split("\n\n").next().unwrap_or_default();
            header(head, "content-type").starts_with("text/plain")
        });
        let (head, body) = part.and_then(|part| part.split_once("\n\n")).expect("plain text");
        return plain_text(head, body);
    }
    match header(head, "content-transfer-encoding")
        .to_ascii_lowercase()
        .as_str()
    {
        "quoted-printable" => unquoted(body),
        "base64" => {
            let packed: String = body.split_whitespace().collect();
            String::from_utf8(STANDARD.decode(packed).unwrap()).unwrap()
        }
        _ => body.to_owned(),
    }
}

/// Quoted-printable text as it was.
fn unquoted(text: &str) -> String {
    let text = text.replace("=\n", "");
    let mut parts = text.split('=');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        bytes.push(u8::from_str_radix(&part[..2], 16).expect("two hex digits"));
        bytes.extend(part[2..].bytes());
    }
    String::from_utf8(bytes).unwrap()
}
