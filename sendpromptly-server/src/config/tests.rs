//! Which values options take.

use std::collections::BTreeMap;
use std::time::Duration;

use super::keys::{KeyFile, MasterKeySource};
use super::log::LogFormat;
use super::options::{ALL, ConfigOption};
use super::*;
use crate::store::DatabaseUrl;

mod key_sources;
mod three_sources;

/// Reads options from the three places: `(name, value)` on the command line and in the environment, and text
/// of the file.
fn read(given: &[(&'static str, &str)], variables: &[(&str, &str)], file: &str) -> Result<Config, String> {
    let mut options: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (name, value) in given {
        options.entry(*name).or_default().push((*value).to_owned());
    }
    let variables = variables.iter().map(|(name, value)| (name.into(), value.into()));
    let sources = Sources::of(options, variables, file).map_err(|error| error.to_string())?;
    Config::read(&sources).map_err(|error| error.to_string())
}

fn read_default() -> Config {
    read(&[], &[], "").unwrap()
}

fn master_file(config: &Config) -> &KeyFile {
    match &config.keys.master {
        MasterKeySource::File(file) => file,
        other => panic!("{other:?} is no file"),
    }
}

#[test]
fn the_defaults_are_safe_and_on_loopback() {
    let config = read_default();
    assert_eq!(config.http.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(config.http.rate_limit, 100);
    assert!(!config.callbacks.policy.allow_private && config.callbacks.policy.allowed_ranges.is_empty());
    assert_eq!(
        config.callbacks.schedule,
        sendpromptly_core::replay::RetrySchedule::default()
    );
    assert_eq!(
        (config.work.committers, config.work.sweep_interval),
        (1, Duration::from_secs(1))
    );
    assert_eq!(
        config.storage.database,
        DatabaseUrl::Sqlite("./sendpromptly-data/sendpromptly.db".into())
    );
    assert_eq!(
        (config.log.level, config.log.format),
        (tracing::Level::INFO, LogFormat::Text)
    );
    for file in [master_file(&config), &config.keys.audit, &config.keys.checkpoints] {
        assert!(file.path.starts_with("./sendpromptly-data") && !file.named);
    }
}

#[test]
fn every_default_is_a_value_that_its_option_takes() {
    for option in ALL {
        if let Some(default) = option.default {
            assert!(
                read(&[(option.name, default)], &[], "").is_ok(),
                "{}",
                option.name
            );
        }
    }
}

/// One value that each option refuses.
const WRONG: &[(&str, &[&str])] = &[
    ("data-dir", &[""]),
    ("database-url", &["", "a.db", "mysql://h/d", "sqlite://:memory:"]),
    ("pg-bin-dir", &[""]),
    ("master-key-file", &[""]),
    ("master-keys", &["", "k1", "k1:0123", "k1:zz,k2:zz"]),
    ("master-key-command", &["", " "]),
    ("audit-key-file", &[""]),
    ("checkpoint-file", &[""]),
    (
        "listen",
        &[
            "",
            "8080",
            "localhost:8080",
            "127.0.0.1",
            "127.0.0.1:65536",
            "0.0.0.0:-1",
        ],
    ),
    (
        "public-url",
        &[
            "",
            "pay.example.com",
            "ftp://a.example",
            "https://a.example/path",
            "https://u@a.example",
            "https://a.example/?q",
        ],
    ),
    ("tls-cert", &[""]),
    ("tls-key", &[""]),
    ("redirect-listen", &["", "80", "localhost:80", "0.0.0.0"]),
    ("trusted-proxy", &["", "10.0.0.0/33", "proxy", "10.0.0.0/8,"]),
    ("rate-limit", &["", "-1", "1.5", "+1", "1000001", "many"]),
    ("committers", &["0", "17", "two"]),
    ("sweep-interval", &["", "1", "9ms", "2h", "1 s", "-1s"]),
    ("retry-schedule", &["", "0s,", "soon", "0s;1m", "8d"]),
    ("signup", &["", "closed", "OPEN", "true"]),
    (
        "smtp-url",
        &[
            "",
            "mail.example.com",
            "http://a.example",
            "smtp://",
            "smtp://a.example?tls=none",
        ],
    ),
    (
        "mail-from",
        &["", "pay", "Pay <>", "pay@", "a@b.example, c@d.example"],
    ),
    ("stripe-webhook-secret", &["", "whsec a", "whsec_ä"]),
    ("stripe-api-key", &["", "sk test"]),
    ("stripe-price", &["", "price 1"]),
    (
        "stripe-api-url",
        &["", "stripe", "ftp://a.example", "https://api.stripe.com/v1"],
    ),
    ("billing-grace", &["", "7", "61d", "-1d"]),
    (
        "callback-allow",
        &["", "0.0.0.0/0", "127.0.0.0/8", "169.254.0.0/16", "8.8.8.0/24"],
    ),
    ("callback-ca", &[""]),
    ("allow-private-callbacks", &["", "yes", "1", "TRUE"]),
    ("metrics-listen", &["", "9464", "localhost:9464"]),
    (
        "heartbeat-url",
        &[
            "",
            "monitor.example",
            "ftp://monitor.example",
            "https://u@monitor.example",
        ],
    ),
    ("heartbeat-interval", &["", "0s", "2h", "60"]),
    ("log", &["", "loud", "INFO"]),
    ("log-requests", &["", "some", "ALL", "true"]),
    ("log-format", &["", "xml", "JSON"]),
];

#[test]
fn a_bad_value_is_refused_with_its_name_its_source_and_what_is_allowed() {
    let tried: Vec<_> = WRONG.iter().map(|(name, _)| *name).collect();
    assert_eq!(
        tried,
        ALL.iter().map(|option| option.name).collect::<Vec<_>>(),
        "an option without a case"
    );
    for (option, (_, values)) in ALL.iter().zip(WRONG) {
        let variable = option.variable();
        for value in *values {
            let in_file = format!("{} = \"{value}\"", option.name);
            let by = [
                (
                    read(&[(option.name, value)], &[], ""),
                    format!("--{}", option.name),
                ),
                (read(&[], &[(&variable, value)], ""), variable.clone()),
                (
                    read(&[], &[], &in_file),
                    format!("`{}` in sendpromptly.toml", option.name),
                ),
            ];
            for (outcome, source) in by {
                refused(option, value, &source, outcome);
            }
        }
    }
}

fn refused(option: &ConfigOption, value: &str, source: &str, outcome: Result<Config, String>) {
    let said = outcome.expect_err(&format!("--{} {value:?}", option.name));
    for part in [option.allowed, source] {
        assert!(said.contains(part), "{part:?} is not in {said:?}");
    }
    assert_eq!(said.lines().count(), 1, "{said}");
}

#[test]
fn all_that_is_wrong_is_told_at_once() {
    let said = read(
        &[("listen", "x"), ("rate-limit", "x")],
        &[("SENDPROMPTLY_LOG", "x")],
        "",
    )
    .unwrap_err();
    assert_eq!(said.lines().count(), 3, "{said}");
}

#[test]
fn a_monitors_path_never_comes_by_the_command_line() {
    let secret = "https://monitor.example/ping/canary";
    let said = read(&[("heartbeat-url", secret)], &[], "").unwrap_err();
    assert!(
        said.contains("without a path") && !said.contains("canary"),
        "{said}"
    );
    let query = "https://monitor.example/?canary";
    assert!(read(&[("heartbeat-url", query)], &[], "").is_err());
    for open in ["https://monitor.example", "http://127.0.0.1:8000/"] {
        assert!(read(&[("heartbeat-url", open)], &[], "").is_ok(), "{open}");
    }
    assert!(read(&[], &[("SENDPROMPTLY_HEARTBEAT_URL", secret)], "").is_ok());
    let in_file = format!("heartbeat-url = \"{secret}\"");
    assert!(read(&[], &[], &in_file).is_ok());
}

#[test]
fn links_lead_to_where_the_server_is_reached() {
    let address = "127.0.0.1:8443".parse().unwrap();
    let base = |options: &[(&'static str, &str)]| read(options, &[], "").unwrap().http.base_url(address);
    let tls = [("tls-cert", "cert.pem"), ("tls-key", "key.pem")];
    assert_eq!(base(&[]), "http://127.0.0.1:8443");
    assert_eq!(base(&tls), "https://127.0.0.1:8443");
    let public = [&tls[..], &[("public-url", "https://pay.example.com")]].concat();
    assert_eq!(base(&public), "https://pay.example.com");
}

#[test]
fn stripes_secrets_never_come_by_the_command_line_and_its_options_stand_together() {
    let secret = ("SENDPROMPTLY_STRIPE_WEBHOOK_SECRET", "whsec_1,whsec_2");
    let key = ("SENDPROMPTLY_STRIPE_API_KEY", "sk_test_canary");
    for name in ["stripe-webhook-secret", "stripe-api-key"] {
        let said = read(&[(name, "whsec_canary")], &[secret], "").unwrap_err();
        assert!(
            said.contains("never on the command line") && !said.contains("canary"),
            "{said}"
        );
    }
    assert!(read_default().billing.is_none());
    let billing = read(&[], &[secret], "").unwrap().billing.unwrap();
    assert_eq!((billing.webhook_secrets.len(), billing.api.is_some()), (2, false));
    assert_eq!(billing.grace, Duration::from_secs(7 * 86_400));
    let billing = read(&[("stripe-price", "price_1")], &[secret, key], "")
        .unwrap()
        .billing
        .unwrap();
    assert!(!format!("{billing:?}").contains("canary"), "{billing:?}");
    assert!(!billing.api.unwrap().policy.allow_private);
    type Given<'a> = &'a [(&'static str, &'a str)];
    let cases: [(Given<'_>, Given<'_>, &str); 4] = [
        (&[], &[key], "--stripe-webhook-secret"),
        (&[("stripe-price", "price_1")], &[], "--stripe-webhook-secret"),
        (&[], &[secret, key], "--stripe-price"),
        (&[("stripe-price", "price_1")], &[secret], "--stripe-api-key"),
    ];
    for (options, variables, needs) in cases {
        let said = read(options, variables, "").unwrap_err();
        assert!(said.contains(&format!("given together with {needs}")), "{said}");
    }
    let five = ("SENDPROMPTLY_STRIPE_WEBHOOK_SECRET", "a,b,c,d,e");
    assert!(read(&[], &[five], "").unwrap_err().contains("at most 4"));
}

#[test]
fn a_password_comes_by_variable_or_file_and_never_by_the_command_line() {
    for url in ["postgres://u:hunter2@h/d", "postgres://u@h/d?password=hunter2"] {
        let said = read(&[("database-url", url)], &[], "").unwrap_err();
        assert!(
            said.contains("SENDPROMPTLY_DATABASE_URL") && !said.contains("hunter2"),
            "{said}"
        );
        let config = read(&[], &[("SENDPROMPTLY_DATABASE_URL", url)], "").unwrap();
        assert!(!format!("{config:?}").contains("hunter2"));
        assert!(read(&[], &[], &format!("database-url = \"{url}\"")).is_ok());
    }
    assert!(read(&[("database-url", "postgres://u@h/d")], &[], "").is_ok());
}

#[test]
fn certificate_and_key_stand_together_and_a_redirect_needs_both() {
    let (certificate, key) = (("tls-cert", "/run/tls/full.pem"), ("tls-key", "/run/tls/key.pem"));
    let redirect = ("redirect-listen", "0.0.0.0:80");
    let tls = |given: &[_]| read(given, &[], "").map(|config| config.http.tls);
    assert_eq!(tls(&[]), Ok(None));
    let whole = tls(&[certificate, key, redirect]).unwrap().unwrap();
    assert_eq!(whole.files.certificate.to_str(), Some("/run/tls/full.pem"));
    assert_eq!(whole.redirect_listen, Some("0.0.0.0:80".parse().unwrap()));
    assert_eq!(tls(&[certificate, key]).unwrap().unwrap().redirect_listen, None);
    for (given, option, needs) in [
        (&[certificate][..], "--tls-cert", "--tls-key"),
        (&[key], "--tls-key", "--tls-cert"),
        (&[certificate, redirect], "--tls-cert", "--tls-key"),
        (&[redirect], "--redirect-listen", "--tls-cert and --tls-key"),
    ] {
        let said = tls(given).unwrap_err();
        let expected = format!("{option}, given on the command line, must be given together with {needs}");
        assert_eq!(said, expected);
    }
    let by_variable = [("SENDPROMPTLY_TLS_KEY", "/run/tls/key.pem")];
    let said = read(&[], &by_variable, "").unwrap_err();
    assert!(
        said.contains("the environment variable SENDPROMPTLY_TLS_KEY must be given together"),
        "{said}"
    );
}

#[test]
fn the_documentation_tells_of_every_option_what_the_program_knows() {
    let page = include_str!("../../../docs/configuration.md");
    for option in ALL {
        let default = option
            .default
            .map_or("–".to_owned(), |default| format!("`{default}`"));
        let row = format!("| `--{}` | `{}` | {default} |", option.name, option.variable());
        assert!(
            page.contains(&row),
            "docs/configuration.md has no row that begins\n{row}"
        );
    }
    let rows = page.lines().filter(|line| line.starts_with("| `--")).count();
    assert_eq!(
        rows,
        ALL.len(),
        "docs/configuration.md tells of an option that is none"
    );
}
