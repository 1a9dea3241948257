//! Commands that print a ring, and commands that do not.

use super::*;

const KEY: &str = "5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a";

/// Long enough on a busy machine for a command that ends by itself.
const WHILE: Duration = Duration::from_secs(20);

fn command(line: &str, patience: Duration) -> KeyCommand {
    KeyCommand {
        line: line.to_owned(),
        patience,
    }
}

fn refusal(line: &str, patience: Duration) -> String {
    let refused = command(line, patience).read().unwrap_err().to_string();
    assert!(refused.contains("--master-key-command"), "{refused}");
    assert!(!refused.contains("5a5a5a"), "{refused}");
    refused
}

#[test]
fn what_a_command_prints_is_the_ring() {
    let line = format!("echo '# a remark'; printf 'k2:{KEY}\\n' | cat; echo k1:{KEY}; echo ready >&2");
    let keys = command(&line, WHILE).read().unwrap();
    assert_eq!(keys.kids().collect::<Vec<_>>(), ["k2", "k1"]);
}

#[test]
fn a_command_that_fails_is_told_with_what_it_said_and_without_secrets() {
    let said = refusal(
        &format!("echo k1:{KEY}; echo 'no identity matched' >&2; exit 3"),
        WHILE,
    );
    assert!(said.contains("exit status: 3: no identity matched"), "{said}");
    let said = refusal(
        &format!("echo \"bad key {KEY} in /etc/keys/a.age\" >&2; exit 1"),
        WHILE,
    );
    assert!(said.contains("bad key […] in /etc/keys/a.age"), "{said}");
    let said = refusal(
        "printf 'AGE-SECRET-KEY-1QQPQQPQQPQQPQQPQQPQQPQQ\\033[2J' >&2; exit 1",
        WHILE,
    );
    assert!(!said.contains("QQP") && !said.contains('\u{1b}'), "{said}");
    let said = refusal("no-such-program-here", WHILE);
    assert!(
        said.contains("exit status: 127") && said.contains("not found"),
        "{said}"
    );
    let said = refusal("yes 'a word' | head -c 100000 >&2; exit 1", WHILE);
    assert!(said.len() < 600, "{said}");
}

#[test]
fn a_command_that_hangs_is_ended_with_all_that_it_started() {
    let directory = tempfile::tempdir().unwrap();
    let started = directory.path().join("started");
    let line = format!(
        "sleep 1000 & echo $! > {}; echo waiting >&2; sleep 1000",
        started.display()
    );
    let said = refusal(&line, Duration::from_secs(3));
    assert!(
        said.contains("did not end within 3 s") && said.contains(": waiting"),
        "{said}"
    );
    let pid = std::fs::read_to_string(&started).unwrap();
    let runs = || {
        let state = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim()));
        state.is_ok_and(|state| !state.contains(") Z "))
    };
    let begin = Instant::now();
    while runs() {
        assert!(begin.elapsed() < WHILE, "what it started goes on");
        thread::yield_now();
    }
}

#[test]
fn a_command_that_prints_no_ring_is_refused() {
    for (line, words) in [
        ("true", "there is no key in it"),
        ("echo garbage", "line 1 must be"),
        (&format!("echo k1:{KEY}; echo k2:{}", &KEY[2..]), "line 2 must be"),
        (&format!("echo k1:{KEY}; echo k1:{KEY}"), "another line has"),
        ("printf '\\377\\376'", "bytes of text"),
        ("yes k1", "at most 65536 bytes"),
        ("yes k1 & true", "at most 65536 bytes"),
        ("head -c 65537 /dev/zero", "at most 65536 bytes"),
    ] {
        let said = refusal(line, WHILE);
        assert!(said.contains(words), "{line}: {said}");
    }
}

#[test]
fn a_command_sees_none_of_the_programs_own_variables() {
    // The variable is the test runner's, where it runs the black-box tests, and else not there.
    let said = refusal("env | grep -c ^SENDPROMPTLY_ >&2; exit 1", WHILE);
    assert!(said.ends_with(": 0"), "{said}");
}
