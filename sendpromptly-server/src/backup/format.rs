//! The bytes of a backup's files, as `docs/data.md` tells them: a line that names the format, a header, data
//! keys, the content, and the SHA-256 of all that.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use sendpromptly_core::hex;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::BackupError;
use crate::store::Dialect;
use crate::store::data_keys::WrappedKey;
use crate::store::key_rows::KeyRow;

/// Bytes of the checksum at the end.
const CHECKSUM: u64 = 32;
/// Bytes read at once.
const CHUNK: usize = 1 << 20;
/// More than any header has.
const MAX_HEADER: u32 = 1 << 20;

/// What every file of ours begins with, whatever its version.
const FAMILY: &[u8] = b"SendPromptly backup";

/// Which of a backup's two files it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// The store.
    Main,
    /// The data keys that go by days.
    Keys,
}

impl Part {
    const fn first_line(self) -> &'static [u8] {
        match self {
            Self::Main => b"SendPromptly backup v1\n",
            Self::Keys => b"SendPromptly backup keys v1\n",
        }
    }
}

/// What a backup tells of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// The backup's own id, the same in both of its files: 32 hex digits.
    pub backup: String,
    /// Which kind of database its content is of.
    pub store: Kind,
    /// When it was made.
    pub made_at: String,
    /// The version of the program that made it.
    pub program: String,
    /// The steps of the schema, in their order.
    pub schema: Vec<String>,
    /// How many data keys go by days. They lie in the file beside.
    pub day_keys: usize,
    /// On PostgreSQL: the schema in which the tables lay, and the major version of `pg_dump`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub postgres: Option<Postgres>,
}

/// What a dump of PostgreSQL needs beside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Postgres {
    /// The schema in which the tables lay.
    pub schema: String,
    /// The major version of `pg_dump`.
    pub dumped_by: u32,
}

/// A kind of database, as a header names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A SQLite file.
    Sqlite,
    /// What `pg_dump` writes in its custom format.
    Postgres,
}

impl From<Dialect> for Kind {
    fn from(dialect: Dialect) -> Self {
        match dialect {
            Dialect::Sqlite => Self::Sqlite,
            Dialect::Postgres => Self::Postgres,
        }
    }
}

/// Writes a file of a backup.
pub(super) struct Writer<'a> {
    to: &'a File,
    hash: Sha256,
    bytes: u64,
}

impl<'a> Writer<'a> {
    /// Writes all that stands before the content.
    pub(super) fn begin(to: &'a File, part: Part, header: &Header, keys: &[KeyRow]) -> io::Result<Self> {
        let mut writer = Self {
            to,
            hash: Sha256::new(),
            bytes: 0,
        };
        let header = serde_json::to_vec(header)?;
        let length = u32::try_from(header.len()).map_err(io::Error::other)?;
        let keys = key_lines(keys);
        writer.write_all(part.first_line())?;
        writer.write_all(&length.to_be_bytes())?;
        writer.write_all(&header)?;
        writer.write_all(&(keys.len() as u64).to_be_bytes())?;
        writer.write_all(keys.as_bytes())?;
        Ok(writer)
    }

    /// Copies all of this into it.
    pub(super) fn copy(&mut self, from: &mut impl Read) -> io::Result<()> {
        let mut chunk = vec![0; CHUNK];
        loop {
            match from.read(&mut chunk)? {
                0 => return Ok(()),
                read => self.write_all(&chunk[..read])?,
            }
        }
    }

    /// Writes the checksum; gives it, and how many bytes the file has.
    pub(super) fn finish(self) -> io::Result<(u64, [u8; 32])> {
        let sum: [u8; 32] = self.hash.finalize().into();
        let mut to = self.to;
        to.write_all(&sum)?;
        Ok((self.bytes + CHECKSUM, sum))
    }
}

impl Write for Writer<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.to.write(bytes)?;
        self.hash.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A file of a backup whose checksum holds.
#[derive(Debug)]
pub(super) struct Sound {
    path: PathBuf,
    pub(super) header: Header,
    pub(super) keys: Vec<KeyRow>,
    /// Where the content begins, and where it ends.
    content: (u64, u64),
}

impl Sound {
    /// Reads the whole file against its checksum.
    pub(super) fn read(path: &Path, part: Part) -> Result<Self, BackupError> {
        let failed = |error| BackupError::io(path, error);
        let broken = |why: &'static str| BackupError::Broken {
            path: path.to_owned(),
            why,
        };
        let mut file = File::open(path).map_err(failed)?;
        must_be_of_this_format(&mut file, path, part)?;
        let length = file.metadata().map_err(failed)?.len();
        let end = length.checked_sub(CHECKSUM).ok_or(broken(CUT_OFF))?;
        if !sum_holds(&mut file, end).map_err(failed)? {
            return Err(broken(CUT_OFF));
        }
        file.seek(SeekFrom::Start(part.first_line().len() as u64))
            .map_err(failed)?;
        let (header, keys) = read_front(&mut BufReader::new(&file)).map_err(|_| broken(UNREADABLE))?;
        let front = part.first_line().len() as u64 + header.0 + keys.0;
        Ok(Self {
            path: path.to_owned(),
            header: header.1,
            keys: keys.1,
            content: (front, end),
        })
    }

    /// Where it lies.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The content, to be read once.
    pub(super) fn content(&self) -> Result<impl Read + use<>, BackupError> {
        let failed = |error| BackupError::io(&self.path, error);
        let mut file = File::open(&self.path).map_err(failed)?;
        file.seek(SeekFrom::Start(self.content.0)).map_err(failed)?;
        Ok(file.take(self.content.1 - self.content.0))
    }
}

const CUT_OFF: &str = "its checksum does not hold: it was cut off or changed";
const UNREADABLE: &str = "its header cannot be read";

fn must_be_of_this_format(file: &mut File, path: &Path, part: Part) -> Result<(), BackupError> {
    let expected = part.first_line();
    let mut first = Vec::new();
    Read::by_ref(file)
        .take(expected.len() as u64)
        .read_to_end(&mut first)
        .map_err(|error| BackupError::io(path, error))?;
    if first == expected {
        return Ok(());
    }
    Err(BackupError::Broken {
        path: path.to_owned(),
        why: match (first.starts_with(FAMILY), part) {
            (false, _) => "it is not a file that `sendpromptly backup` has made",
            (true, Part::Main) if first.starts_with(b"SendPromptly backup key") => {
                "it holds keys only; name the file beside it, without .keys"
            }
            (true, _) => "it is of another version's format, or was changed",
        },
    })
}

/// Whether the checksum behind this many bytes is theirs.
fn sum_holds(file: &mut File, end: u64) -> io::Result<bool> {
    file.seek(SeekFrom::Start(0))?;
    let mut hash = Sha256::new();
    let mut left = end;
    let mut chunk = vec![0; CHUNK];
    while left > 0 {
        let wanted = CHUNK.min(usize::try_from(left).unwrap_or(CHUNK));
        let read = file.read(&mut chunk[..wanted])?;
        if read == 0 {
            return Ok(false);
        }
        hash.update(&chunk[..read]);
        left -= read as u64;
    }
    let mut stored = [0; 32];
    file.read_exact(&mut stored)?;
    let computed: [u8; 32] = hash.finalize().into();
    Ok(stored == computed)
}

/// Header and keys, each with how many bytes they take.
type Front = ((u64, Header), (u64, Vec<KeyRow>));

fn read_front(from: &mut impl Read) -> io::Result<Front> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let header_length = u32::from_be_bytes(length);
    if header_length > MAX_HEADER {
        return Err(io::Error::other(UNREADABLE));
    }
    let mut header = vec![0; header_length as usize];
    from.read_exact(&mut header)?;
    let mut length = [0; 8];
    from.read_exact(&mut length)?;
    let keys_length = u64::from_be_bytes(length);
    let mut keys = String::new();
    let read = from.take(keys_length).read_to_string(&mut keys)?;
    if read as u64 != keys_length {
        return Err(io::Error::other(UNREADABLE));
    }
    let keys = keys.lines().map(parse_key).collect::<Option<Vec<_>>>();
    Ok((
        (4 + u64::from(header_length), serde_json::from_slice(&header)?),
        (8 + keys_length, keys.ok_or_else(|| io::Error::other(UNREADABLE))?),
    ))
}

/// A data key as a line of JSON.
#[derive(Serialize, Deserialize)]
struct KeyLine {
    id: String,
    scope: String,
    scope_id: String,
    purpose: String,
    day: i64,
    kid: String,
    wrapped: String,
}

fn key_lines(keys: &[KeyRow]) -> String {
    let mut lines = String::new();
    for row in keys {
        let line = KeyLine {
            id: hex::encode(&row.key.id),
            scope: row.scope.clone(),
            scope_id: hex::encode(&row.scope_id),
            purpose: row.purpose.clone(),
            day: row.day,
            kid: row.key.kid.clone(),
            wrapped: hex::encode(&row.key.wrapped),
        };
        lines += &serde_json::json!(line).to_string();
        lines.push('\n');
    }
    lines
}

fn parse_key(line: &str) -> Option<KeyRow> {
    let line: KeyLine = serde_json::from_str(line).ok()?;
    Some(KeyRow {
        scope: line.scope,
        scope_id: hex::decode(&line.scope_id)?,
        purpose: line.purpose,
        day: line.day,
        key: WrappedKey {
            id: hex::decode(&line.id)?,
            kid: line.kid,
            wrapped: bytes(&line.wrapped)?,
        },
    })
}

fn bytes(digits: &str) -> Option<Vec<u8>> {
    let pairs = digits.as_bytes().chunks(2);
    pairs
        .map(|pair| hex::decode::<1>(std::str::from_utf8(pair).ok()?).map(|[byte]| byte))
        .collect()
}

#[cfg(test)]
mod tests;
