//! Options: the command line over the environment over `sendpromptly.toml`; a bad one is refused at start.

use sendpromptly_tests::command::Cli;
use sendpromptly_tests::store::TestStore;

use super::{assert_usage, empty_store};

/// Values that must be refused, each with a word of what is allowed.
const BAD: &[(&str, &[&str], &str)] = &[
    (
        "listen",
        &["", "8080", "localhost", "127.0.0.1", "127.0.0.1:99999"],
        "127.0.0.1:8080",
    ),
    (
        "database-url",
        &["mysql://h/d", "test.db", "sqlite://"],
        "postgres://",
    ),
    (
        "retry-schedule",
        &["", "1", "0s,,1m", "0s,soon", "8d", "-1s"],
        "0s,1m,10m",
    ),
    ("sweep-interval", &["", "0s", "1", "2h", "fast", "-1s"], "1s"),
    (
        "rate-limit",
        &["", "-1", "1.5", "many", "99999999999999999999"],
        "0",
    ),
    ("allow-private-callbacks", &["yes", "1", "TRUE", ""], "false"),
    (
        "callback-allow",
        &["10.0.0.0/33", "here", "10.0.0.0/8/8"],
        "10.0.0.0/8",
    ),
    ("committers", &["0", "17", "-1", "two"], "1"),
    ("trusted-proxy", &["10.0.0.0/99", "proxy"], "10.0.0.0/8"),
    (
        "public-url",
        &[
            "pay.example.com",
            "ftp://pay.example.com",
            "https://pay.example.com/path",
        ],
        "https://",
    ),
    ("log-format", &["xml", "JSON", ""], "json"),
];

#[tokio::test]
async fn a_bad_value_is_refused_with_its_name_its_source_and_what_is_allowed() {
    let (store, cli) = empty_store().await;
    for (name, values, allowed) in BAD {
        let (option, variable) = (format!("--{name}"), variable(name));
        for value in *values {
            let given = format!("{option}={value}");
            assert_usage(&cli.run(&["serve", &given]).await, &[&option, allowed]);
        }
        let value = values.last().unwrap();
        assert_usage(
            &cli.clone().with(&variable, *value).run(&["serve"]).await,
            &[&variable, allowed],
        );
        let file = in_file(&store, &cli, &format!("{name} = {value:?}\n"));
        assert_usage(&file.run(&["serve"]).await, &["sendpromptly.toml", name, allowed]);
    }
}

#[tokio::test]
async fn an_unknown_option_variable_or_key_is_refused() {
    let (store, cli) = empty_store().await;
    assert_usage(&cli.run(&["serve", "--listn", "127.0.0.1:0"]).await, &["--listn"]);
    let variable = cli.clone().with("SENDPROMPTLY_LISTN", "127.0.0.1:0");
    assert_usage(&variable.run(&["serve"]).await, &["SENDPROMPTLY_LISTN"]);
    let file = in_file(&store, &cli, "listn = \"127.0.0.1:0\"\n");
    assert_usage(&file.run(&["serve"]).await, &["sendpromptly.toml", "listn"]);
    let file = in_file(&store, &cli, "listen = \n");
    assert_usage(&file.run(&["serve"]).await, &["sendpromptly.toml"]);
}

#[tokio::test]
async fn everything_that_is_wrong_is_said_at_once() {
    let (_store, cli) = empty_store().await;
    let wrong = cli.with("SENDPROMPTLY_COMMITTERS", "none");
    let said = wrong
        .run(&["serve", "--sweep-interval", "soon", "--listen", "here"])
        .await;
    assert_usage(
        &said,
        &["SENDPROMPTLY_COMMITTERS", "--sweep-interval", "--listen"],
    );
}

#[tokio::test]
async fn an_option_wins_over_the_environment_and_that_over_the_file() {
    let (store, cli) = empty_store().await;
    // Whichever counts is bad, and says where it came from.
    let source = async |cli: &Cli, option: &[&str]| cli.run(&[&["serve"], option].concat()).await;
    let file = in_file(
        &store,
        &cli.without("SENDPROMPTLY_ALLOW_PRIVATE_CALLBACKS"),
        "committers = \"file\"\n",
    );
    let both = file.clone().with("SENDPROMPTLY_COMMITTERS", "environment");
    for (given, named) in [
        (source(&both, &["--committers", "option"]).await, "--committers"),
        (source(&both, &[]).await, "SENDPROMPTLY_COMMITTERS"),
        (source(&file, &[]).await, "sendpromptly.toml"),
    ] {
        assert_usage(&given, &[named, "1 to 16"]);
        assert_eq!(given.stderr.lines().count(), 1, "one source counts: {given:?}");
    }
}

#[tokio::test]
async fn a_secret_in_a_bad_value_is_not_repeated() {
    let (_store, cli) = empty_store().await;
    let said = cli
        .run(&["serve", "--database-url", "mysql://me:hunter2@db.internal/pay"])
        .await;
    assert_usage(&said, &["--database-url"]);
    assert!(!said.stderr.contains("hunter2"), "{said:?}");
}

/// The same with this configuration file in the working directory.
fn in_file(store: &TestStore, cli: &Cli, text: &str) -> Cli {
    std::fs::write(store.directory().join("sendpromptly.toml"), text).unwrap();
    cli.clone()
        .without("SENDPROMPTLY_DATABASE_URL")
        .without("SENDPROMPTLY_ALLOW_PRIVATE_CALLBACKS")
}

fn variable(name: &str) -> String {
    format!("SENDPROMPTLY_{}", name.to_uppercase().replace('-', "_"))
}
