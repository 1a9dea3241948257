//! Lines of an audit export, which whoever verifies it did not write.

use sendpromptly_core::audit::{AuditKey, ExportLine, Walk};

/// A line that is read is written as a line that reads back as the same, and can be walked over. No checkpoint
/// passes as signed by a key that nobody has used.
pub fn audit_line(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    let Ok(line) = ExportLine::parse(text) else {
        return;
    };
    assert_eq!(ExportLine::parse(&line.to_json()).as_ref(), Ok(&line));
    match line {
        ExportLine::Entry(entry) => {
            let _ = Walk::new(entry.organization, []).step(&entry);
        }
        ExportLine::Checkpoint(signed) => {
            assert!(!AuditKey::from_seed([0; 32]).public().has_signed(&signed));
            let _ = Walk::new(signed.checkpoint.organization, [&signed]).finish(None);
        }
    }
}
