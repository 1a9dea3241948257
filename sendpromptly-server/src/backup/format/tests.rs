//! What is written is read again, and nothing that was cut off or changed is.

use std::fs;

use super::*;

fn header() -> Header {
    Header {
        backup: "00".repeat(16),
        store: Kind::Sqlite,
        made_at: "2027-01-15T08:00:00.000Z".to_owned(),
        program: "0.1.0".to_owned(),
        schema: vec!["m0001_spine".to_owned()],
        day_keys: 1,
        postgres: None,
    }
}

fn key() -> KeyRow {
    KeyRow {
        scope: "project".to_owned(),
        scope_id: [7; 16],
        purpose: "answer".to_owned(),
        day: 20_000,
        key: WrappedKey {
            id: [8; 16],
            kid: "mk-1".to_owned(),
            wrapped: vec![0, 1, 254, 255],
        },
    }
}

fn written(directory: &Path, content: &[u8]) -> PathBuf {
    let path = directory.join("a.backup");
    let file = File::create(&path).unwrap();
    let mut writer = Writer::begin(&file, Part::Main, &header(), &[key()]).unwrap();
    writer.copy(&mut &content[..]).unwrap();
    let (bytes, _) = writer.finish().unwrap();
    assert_eq!(fs::metadata(&path).unwrap().len(), bytes);
    path
}

#[test]
fn what_was_written_is_read_again() {
    let directory = tempfile::tempdir().unwrap();
    for content in [&b""[..], b"content", &[9; 3 * CHUNK / 2]] {
        let path = written(directory.path(), content);
        let sound = Sound::read(&path, Part::Main).unwrap();
        assert_eq!((&sound.header, &sound.keys[..]), (&header(), &[key()][..]));
        let mut read = Vec::new();
        sound.content().unwrap().read_to_end(&mut read).unwrap();
        assert_eq!(read, content);
    }
}

#[test]
fn no_cut_and_no_flipped_bit_is_read() {
    let directory = tempfile::tempdir().unwrap();
    let path = written(directory.path(), b"content");
    let whole = fs::read(&path).unwrap();
    for keep in 0..whole.len() {
        fs::write(&path, &whole[..keep]).unwrap();
        assert!(Sound::read(&path, Part::Main).is_err(), "the first {keep} bytes");
    }
    for at in 0..whole.len() {
        let mut changed = whole.clone();
        changed[at] ^= 1 << (at % 8);
        fs::write(&path, &changed).unwrap();
        assert!(Sound::read(&path, Part::Main).is_err(), "byte {at}");
    }
    fs::write(&path, [&whole[..], b"more"].concat()).unwrap();
    assert!(Sound::read(&path, Part::Main).is_err());
}

#[test]
fn a_file_of_another_kind_is_refused_in_words() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.backup");
    for (content, word) in [
        (&b"SQLite format 3\0"[..], "not a file that"),
        (b"SendPromptly backup keys v1\n", "without .keys"),
        (b"SendPromptly backup v2\n more", "another version"),
    ] {
        fs::write(&path, content).unwrap();
        let refused = Sound::read(&path, Part::Main).unwrap_err().to_string();
        assert!(refused.contains(word), "{refused}");
    }
}
