//! Every option, once: its name, its default and what it may be.

/// An option of the command line, also an environment variable and a key of the configuration file.
#[derive(Debug)]
pub struct ConfigOption {
    /// Its name, without the dashes in front.
    pub name: &'static str,
    /// What stands for its value in the help.
    pub value: &'static str,
    /// The value where none is given.
    pub default: Option<&'static str>,
    /// What it is for.
    pub about: &'static str,
    /// What it may be: "must be …".
    pub allowed: &'static str,
    /// How it is written.
    pub form: Form,
}

/// How an option's value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// One value.
    One,
    /// `true` or `false`; the option alone means `true`.
    Flag,
    /// Any number of values: the option several times, or joined by commas.
    Many,
}

impl ConfigOption {
    /// The environment variable that holds it: `SENDPROMPTLY_DATA_DIR` for `data-dir`.
    #[must_use]
    pub fn variable(&self) -> String {
        let name = self.name.to_ascii_uppercase().replace('-', "_");
        format!("{VARIABLE_PREFIX}{name}")
    }
}

/// What every environment variable of this program begins with.
pub const VARIABLE_PREFIX: &str = "SENDPROMPTLY_";

macro_rules! options {
    ($($constant:ident = $name:literal $value:literal $form:ident, $default:expr, $about:literal, $allowed:literal;)*) => {
        $(
            #[doc = concat!("`--", $name, "`: ", $about, ".")]
            pub const $constant: ConfigOption = ConfigOption {
                name: $name,
                value: $value,
                default: $default,
                about: $about,
                allowed: $allowed,
                form: Form::$form,
            };
        )*

        /// Every one, in the order of the documentation.
        pub const ALL: &[ConfigOption] = &[$($constant),*];
    };
}

options! {
    DATA_DIR = "data-dir" "DIR" One, Some("./sendpromptly-data"),
        "the directory for the SQLite file, keys and checkpoints; made if it is not there",
        "a path";
    DATABASE_URL = "database-url" "URL" One, None,
        "the database; a SQLite file in the data directory where none is given",
        "sqlite://PATH (sqlite:///var/lib/app.db) or postgres://USER@HOST/DATABASE";
    PG_BIN_DIR = "pg-bin-dir" "DIR" One, None,
        "where pg_dump and pg_restore lie, by which a PostgreSQL database is backed up; looked for in PATH where none is given",
        "a path";
    MASTER_KEY_FILE = "master-key-file" "FILE" One, None,
        "the master keys; made as master.key in the data directory where none is given",
        "the path of a file that is there";
    MASTER_KEYS = "master-keys" "KEYS" One, None,
        "the master keys themselves, in place of a file",
        "NAME:KEY with a KEY of 64 hex digits, one a line or joined by commas, and never on the command line";
    MASTER_KEY_COMMAND = "master-key-command" "COMMAND" One, None,
        "a command that prints the master keys as their file holds them, in place of a file",
        "a command for /bin/sh, such as age --decrypt --identity /run/id.txt keys.age";
    AUDIT_KEY_FILE = "audit-key-file" "FILE" One, None,
        "the key that signs audit checkpoints; made as audit.key in the data directory where none is given",
        "the path of a file that is there";
    CHECKPOINT_FILE = "checkpoint-file" "FILE" One, None,
        "where audit checkpoints are appended; audit.checkpoints in the data directory where none is given",
        "the path of a file in a directory that is there";
    LISTEN = "listen" "ADDRESS:PORT" One, Some("127.0.0.1:8080"),
        "where the API listens",
        "an IP address and a port, such as 127.0.0.1:8080 or [::1]:8080";
    PUBLIC_URL = "public-url" "URL" One, None,
        "how this server is reached from outside",
        "an http:// or https:// URL without path, such as https://pay.example.com";
    TLS_CERT = "tls-cert" "FILE" One, None,
        "the certificate for HTTPS, and after it those that lead to its authority; with it --listen speaks HTTPS only",
        "the path of a file of certificates in PEM";
    TLS_KEY = "tls-key" "FILE" One, None,
        "the private key of --tls-cert",
        "the path of a private key in PEM";
    REDIRECT_LISTEN = "redirect-listen" "ADDRESS:PORT" One, None,
        "where plain HTTP is sent on to HTTPS; needs --tls-cert",
        "an IP address and a port, such as 0.0.0.0:80 or [::]:80";
    TRUSTED_PROXY = "trusted-proxy" "CIDR" Many, None,
        "a range of proxies whose X-Forwarded-For and X-Forwarded-Proto count",
        "an address or a range such as 10.0.0.0/8";
    RATE_LIMIT = "rate-limit" "N" One, Some("100"),
        "requests a second for each project, with bursts to twice that; 0 lifts it",
        "a whole number from 0 to 1000000";
    COMMITTERS = "committers" "N" One, Some("1"),
        "how many writers commit receipts and results; SQLite uses one",
        "a whole number from 1 to 16";
    SWEEP_INTERVAL = "sweep-interval" "DURATION" One, Some("1s"),
        "how often overdue events are looked for",
        "a duration from 10ms to 1h, such as 1s";
    RETRY_SCHEDULE = "retry-schedule" "DURATIONS" One, Some("0s,1m,10m,1h,6h"),
        "the delays before each attempt of a callback",
        "1 to 32 durations of at most 7d joined by commas, such as 0s,1m,10m";
    SIGNUP = "signup" "open|invite" One, Some("open"),
        "who may make an account in the console: anyone with an e-mail address, or only who is invited",
        "open or invite";
    SMTP_URL = "smtp-url" "URL" One, None,
        "the mail server; without one, for development, mail is written to files in the data directory",
        "smtp://HOST:PORT or smtps://HOST:PORT, with USER:PASSWORD@ before the host where it wants a sign-in";
    MAIL_FROM = "mail-from" "ADDRESS" One, Some("SendPromptly <sendpromptly@localhost>"),
        "whom mail comes from",
        "an e-mail address, such as SendPromptly <pay@example.com>";
    STRIPE_WEBHOOK_SECRET = "stripe-webhook-secret" "SECRET" Many, None,
        "what Stripe signs its webhooks to /webhooks/stripe with; with it organizations pay, and without it everything is allowed",
        "one to four of Stripe's signing secrets (whsec_...), and never on the command line";
    STRIPE_API_KEY = "stripe-api-key" "KEY" One, None,
        "the key to Stripe's API, by which owners are led to checkout and billing portal",
        "a key of Stripe's (sk_live_... or rk_live_...), and never on the command line";
    STRIPE_PRICE = "stripe-price" "PRICE" One, None,
        "what organizations subscribe to at Stripe",
        "the id of a recurring price (price_...)";
    STRIPE_API_URL = "stripe-api-url" "URL" One, Some("https://api.stripe.com"),
        "where Stripe's API is; another one is for tests",
        "an https:// URL without path, or http:// for a double of your own";
    BILLING_GRACE = "billing-grace" "DURATION" One, Some("7d"),
        "how long receipts are taken on after a payment of the subscription is missing",
        "a duration of at most 60d, such as 7d";
    CALLBACK_ALLOW = "callback-allow" "CIDR" Many, None,
        "a private range in which repair endpoints lie; https is still required",
        "a range within 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, 100.64.0.0/10 or fc00::/7";
    CALLBACK_CA = "callback-ca" "FILE" One, None,
        "certificates in PEM of an authority that repair endpoints may have, beside the system's",
        "the path of a file of certificates in PEM";
    ALLOW_PRIVATE_CALLBACKS = "allow-private-callbacks" "true|false" Flag, Some("false"),
        "for development only: callbacks may go to any address, without https",
        "true or false";
    METRICS_LISTEN = "metrics-listen" "ADDRESS:PORT" One, None,
        "where metrics are told to Prometheus, at /metrics and to anyone who asks",
        "an IP address and a port that only your own machines reach, such as 127.0.0.1:9464";
    HEARTBEAT_URL = "heartbeat-url" "URL" One, None,
        "a monitor that is called for as long as the server is ready, and wakes somebody when the calls stop",
        "an http:// or https:// URL";
    HEARTBEAT_INTERVAL = "heartbeat-interval" "DURATION" One, Some("1m"),
        "how often the monitor of --heartbeat-url is called",
        "a duration from 1s to 1h, such as 1m";
    LOG = "log" "LEVEL" One, Some("info"),
        "how much is logged to standard error",
        "error, warn, info, debug or trace";
    LOG_REQUESTS = "log-requests" "all|refused|none" One, Some("refused"),
        "which requests have a line in the log: all, those that were refused or failed, or only faults of the server",
        "all, refused or none";
    LOG_FORMAT = "log-format" "FORMAT" One, Some("text"),
        "how log lines are written",
        "text or json";
}
