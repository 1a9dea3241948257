//! Command line, environment and file: which of them wins, and what each may say.

use super::*;

#[test]
fn options_go_over_variables_and_variables_over_the_file() {
    let file = "rate-limit = 3\nsweep-interval = \"3s\"\nlog-format = \"json\"\n";
    let variables = [
        ("SENDPROMPTLY_RATE_LIMIT", "2"),
        ("SENDPROMPTLY_SWEEP_INTERVAL", "2s"),
    ];
    let config = read(&[("rate-limit", "1")], &variables, file).unwrap();
    assert_eq!(config.http.rate_limit, 1);
    assert_eq!(config.work.sweep_interval, Duration::from_secs(2));
    assert_eq!(config.log.format, LogFormat::Json);
}

#[test]
fn an_unknown_key_of_the_file_is_refused_with_its_name() {
    let said = read(&[], &[], "listne = \"127.0.0.1:1\"\n").unwrap_err();
    assert!(
        said.contains("`listne`") && said.contains("the keys are data-dir"),
        "{said}"
    );
    let said = read(&[], &[], "data_dir = \"x\"\n").unwrap_err();
    assert!(said.contains("write `data-dir`"), "{said}");
    let said = read(&[], &[], "[listen]\naddress = 1\n").unwrap_err();
    assert!(said.contains("`listen`"), "{said}");
}

#[test]
fn an_unknown_variable_is_refused_and_those_of_kubernetes_are_not() {
    let said = read(&[], &[("SENDPROMPTLY_LISTN", "127.0.0.1:1")], "").unwrap_err();
    assert!(said.contains("SENDPROMPTLY_LISTN"), "{said}");
    let made = [
        ("SENDPROMPTLY_SERVICE_HOST", "10.0.0.1"),
        ("SENDPROMPTLY_PORT", "tcp://10.0.0.1:8080"),
        ("SENDPROMPTLY_PORT_8080_TCP", "tcp://10.0.0.1:8080"),
        ("sendpromptly_listen", "x"),
        ("PATH", "x"),
    ];
    assert!(read(&[], &made, "").is_ok());
}

#[test]
fn a_malformed_file_is_told_by_its_line_and_not_repeated() {
    let said = read(
        &[],
        &[],
        "rate-limit = 1\ndatabase-url = \"postgres://u:hunter2@h/d\n",
    )
    .unwrap_err();
    assert!(said.contains("line 2") && !said.contains("hunter2"), "{said}");
}

#[test]
fn an_option_of_many_values_stands_several_times_or_joined_by_commas() {
    let ranges = |config: Config| config.callbacks.policy.allowed_ranges.len();
    let given = [
        ("callback-allow", "10.0.0.0/8"),
        ("callback-allow", "fd00::/8,192.168.1.0/24"),
    ];
    assert_eq!(ranges(read(&given, &[], "").unwrap()), 3);
    let variable = [("SENDPROMPTLY_CALLBACK_ALLOW", "10.0.0.0/8, fd00::/8")];
    assert_eq!(ranges(read(&[], &variable, "").unwrap()), 2);
    let file = "callback-allow = [\"10.0.0.0/8\", \"fd00::/8\"]";
    assert_eq!(ranges(read(&[], &[], file).unwrap()), 2);
}

#[test]
fn an_option_of_one_value_given_twice_is_refused() {
    let said = read(&[("log", "info"), ("log", "debug")], &[], "").unwrap_err();
    assert!(
        said.contains("--log") && said.contains("must be given once"),
        "{said}"
    );
    assert!(read(&[], &[], "log = [\"info\", \"debug\"]").is_err());
}

#[test]
fn numbers_and_booleans_of_the_file_need_no_quotes() {
    let config = read(&[], &[], "rate-limit = 7\nallow-private-callbacks = true\n").unwrap();
    assert!(config.http.rate_limit == 7 && config.callbacks.policy.allow_private);
}
