//! Reading checkpoint files, and holding what they hold against public keys.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use sendpromptly_core::audit::{ExportLine, SignedCheckpoint};

use crate::vault::audit_key::KnownKeys;

/// A line of a checkpoint file that proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {why}")]
pub struct BadLine {
    /// Which line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub why: String,
}

/// What a file holds.
#[derive(Debug, Default)]
pub struct CheckpointFile {
    /// The checkpoints whose signatures hold.
    pub checkpoints: Vec<SignedCheckpoint>,
    /// The lines that are no such checkpoint.
    pub bad: Vec<BadLine>,
    /// Whether it ends within a line, as a crash leaves it. That line counts for nothing.
    pub broken_end: bool,
}

/// Reads a checkpoint file, or an export, whose entries are passed over.
///
/// # Errors
/// [`io::Error`] where the file cannot be read.
pub fn read(path: &Path, keys: &KnownKeys) -> io::Result<CheckpointFile> {
    Ok(parse(&fs::read_to_string(path)?, keys))
}

/// Reads the checkpoints that are wanted and whose signatures hold, line by line.
pub(super) fn read_some(
    path: &Path,
    keys: &KnownKeys,
    wanted: impl Fn(&SignedCheckpoint) -> bool,
) -> io::Result<Vec<SignedCheckpoint>> {
    let mut found = Vec::new();
    for line in BufReader::new(File::open(path)?).lines() {
        if let Ok(ExportLine::Checkpoint(signed)) = ExportLine::parse(&line?)
            && wanted(&signed)
            && keys.have_signed(&signed)
        {
            found.push(signed);
        }
    }
    Ok(found)
}

fn parse(text: &str, keys: &KnownKeys) -> CheckpointFile {
    let mut file = CheckpointFile::default();
    let whole = text.rfind('\n').map_or(0, |end| end + 1);
    file.broken_end = whole < text.len();
    for (index, line) in text[..whole].lines().enumerate() {
        let bad = |why: String| BadLine { line: index + 1, why };
        match ExportLine::parse(line) {
            Ok(ExportLine::Entry(_)) => {}
            Ok(ExportLine::Checkpoint(signed)) if keys.have_signed(&signed) => file.checkpoints.push(signed),
            Ok(ExportLine::Checkpoint(_)) => file.bad.push(bad(
                "the checkpoint's signature is no known audit key's: it was changed, or signed by another key"
                    .to_owned(),
            )),
            Err(error) => file.bad.push(bad(error.to_string())),
        }
    }
    file
}

#[cfg(test)]
mod tests {
    use sendpromptly_core::audit::{AuditKey, Checkpoint, CheckpointKind, Head, INSTANCE};
    use sendpromptly_core::time::Timestamp;

    use super::*;

    fn line(key: &AuditKey, seq: u64) -> String {
        let head = Head { seq, ..Head::EMPTY };
        let at = Timestamp::from_millis(1_800_000_000_000);
        let signed = key.sign(Checkpoint::new(INSTANCE, CheckpointKind::Periodic, head, at));
        ExportLine::Checkpoint(signed).to_json() + "\n"
    }

    #[test]
    fn a_changed_a_foreign_and_a_malformed_checkpoint_are_found_by_their_lines() {
        let key = AuditKey::from_seed([7; 32]);
        let good = line(&key, 3);
        let changed = good.replace("\"seq\":3", "\"seq\":4");
        let foreign = line(&AuditKey::from_seed([8; 32]), 5);
        let file = parse(
            &format!("{good}{changed}{foreign}{{}}\n{good}"),
            &key.public().into(),
        );
        assert_eq!(file.checkpoints.len(), 2);
        assert_eq!(file.bad.iter().map(|bad| bad.line).collect::<Vec<_>>(), [2, 3, 4]);
        assert!(!file.broken_end);
    }

    #[test]
    fn a_line_that_a_crash_cut_off_counts_for_nothing() {
        let key = AuditKey::from_seed([7; 32]);
        let good = line(&key, 3);
        let file = parse(&format!("{good}{}", &good[..40]), &key.public().into());
        assert_eq!(
            (file.checkpoints.len(), file.bad.len(), file.broken_end),
            (1, 0, true)
        );
        assert!(parse("", &key.public().into()).checkpoints.is_empty());
    }
}
