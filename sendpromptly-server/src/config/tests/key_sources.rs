//! Where keys come from.

use super::*;

#[test]
fn a_moved_file_is_told_from_one_in_the_data_directory() {
    let config = read(
        &[
            ("audit-key-file", "/run/keys/audit.key"),
            ("data-dir", "/var/lib/sp"),
        ],
        &[],
        "",
    )
    .unwrap();
    let master = master_file(&config);
    assert!(config.keys.audit.named && !master.named);
    assert_eq!(master.path.to_str(), Some("/var/lib/sp/master.key"));
}

#[test]
fn master_keys_come_by_variable_or_file_and_never_by_the_command_line() {
    let keys = format!("k2:{},k1:{}", "ab".repeat(32), "cd".repeat(32));
    let variable = [("SENDPROMPTLY_MASTER_KEYS", keys.as_str())];
    let config = read(&[], &variable, "").unwrap();
    let MasterKeySource::Given(ring) = &config.keys.master else {
        panic!("given keys")
    };
    assert_eq!(ring.kids().collect::<Vec<_>>(), ["k2", "k1"]);
    assert!(!format!("{config:?}").contains("abab"));
    let lines = format!(
        "master-keys = \"\"\"\n# two of them\n{}\n\"\"\"",
        keys.replace(',', "\n")
    );
    assert!(read(&[], &[], &lines).is_ok());
    let said = read(&[("master-keys", &keys)], &[], "").unwrap_err();
    assert!(
        said.contains("never on the command line") && !said.contains("abab"),
        "{said}"
    );
}

#[test]
fn master_keys_come_from_one_place() {
    let keys = format!("k1:{}", "ab".repeat(32));
    let variable = ("SENDPROMPTLY_MASTER_KEYS", keys.as_str());
    let (file, command) = (
        ("master-key-file", "/run/master.key"),
        ("master-key-command", "cat ring"),
    );
    for (given, variables, said) in [
        (
            &[file, command][..],
            &[][..],
            "--master-key-command, given on the command line, must be given without --master-key-file",
        ),
        (
            &[file],
            &[variable],
            "the environment variable SENDPROMPTLY_MASTER_KEYS must be given without --master-key-file",
        ),
        (
            &[command],
            &[variable],
            "--master-key-command, given on the command line, must be given without --master-keys",
        ),
        (
            &[file, command],
            &[variable],
            "must be given without --master-key-file and --master-keys",
        ),
    ] {
        let refused = read(given, variables, "").unwrap_err();
        assert!(refused.contains(said) && !refused.contains("abab"), "{refused}");
    }
    assert!(matches!(
        read(&[command], &[], "").unwrap().keys.master,
        MasterKeySource::Command(_)
    ));
}
