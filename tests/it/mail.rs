//! Mail: it leaves over SMTP, waits where the server does not take it, and holds no secret in the database.

use sendpromptly_tests::command::Cli;
use sendpromptly_tests::mail::Mail;
use sendpromptly_tests::newcomer::Newcomer;
use sendpromptly_tests::on_both_stores;
use sendpromptly_tests::server::{Options, Server};
use sendpromptly_tests::smtp::SmtpSink;
use sendpromptly_tests::store::{StoreKind, TestStore};
use sendpromptly_tests::tls::Authority;
use sendpromptly_tests::wait::eventually;

on_both_stores!(
    a_mail_leaves_over_smtp_and_its_row_goes,
    a_mail_that_is_not_taken_is_tried_again,
    a_mailbox_that_is_not_there_is_given_up_and_logged_without_its_address,
    a_mail_that_waits_outlives_the_server_and_cannot_be_read_in_the_database,
);

const FROM: &str = "Pay <pay@example.com>";

fn options(sink: &SmtpSink) -> Options {
    let options = Options::quick().set("--smtp-url", format!("smtp://127.0.0.1:{}", sink.port));
    options.set("--mail-from", FROM)
}

async fn a_mail_leaves_over_smtp_and_its_row_goes(kind: StoreKind) {
    let mut sink = SmtpSink::start(&[]).await;
    let store = TestStore::new(kind).await;
    let server = Server::start(&store, &options(&sink)).await;
    Newcomer::new(&server, "ada@example.com")
        .ask_to_sign_up("Acme")
        .await;
    let got = sink.next().await;
    assert!(
        got["from"].as_str().unwrap().starts_with("<pay@example.com>"),
        "{got}"
    );
    assert_eq!(got["to"][0], "<ada@example.com>");
    let raw = got["message"].as_str().unwrap();
    assert!(raw.contains("From: Pay <pay@example.com>\r\n"), "{raw}");
    assert!(
        raw.contains("\r\nMessage-ID: <") && raw.contains("\r\nDate: "),
        "{raw}"
    );
    let mail = Mail::parse(raw);
    assert_eq!(mail.paths().len(), 1, "{}", mail.text);
    assert!(!store.data_dir().join("mail").exists());
    let sql = store.sql().await;
    eventually("the outbox is empty", async || {
        (sql.rows("outbox").await == 0).then_some(())
    })
    .await;
}

async fn a_mail_that_is_not_taken_is_tried_again(kind: StoreKind) {
    let mut sink = SmtpSink::start(&["--refuse", "451", "1"]).await;
    let store = TestStore::new(kind).await;
    let server = Server::start(&store, &options(&sink)).await;
    Newcomer::new(&server, "ada@example.com")
        .ask_to_sign_up("Acme")
        .await;
    assert_eq!(sink.next().await["refused"], "451");
    let sql = store.sql().await;
    eventually("the mail waits", async || {
        let waits = "SELECT count(*) AS n FROM outbox WHERE lease_token IS NULL AND tries = 1";
        (sql.count(waits).await == 1).then_some(())
    })
    .await;
    sql.run("UPDATE outbox SET due_at = 0").await;
    assert_eq!(sink.next().await["to"][0], "<ada@example.com>");
}

async fn a_mailbox_that_is_not_there_is_given_up_and_logged_without_its_address(kind: StoreKind) {
    let mut sink = SmtpSink::start(&["--refuse", "550", "1"]).await;
    let store = TestStore::new(kind).await;
    let server = Server::start(&store, &options(&sink)).await;
    Newcomer::new(&server, "ada@example.com")
        .ask_to_sign_up("Acme")
        .await;
    assert_eq!(sink.next().await["refused"], "550");
    let log = eventually("it is logged", async || {
        Some(server.log()).filter(|log| log.contains("a mail was given up"))
    })
    .await;
    assert!(!log.contains("ada@example.com"), "{log}");
    let sql = store.sql().await;
    eventually("its row is gone", async || {
        (sql.rows("outbox").await == 0).then_some(())
    })
    .await;
}

async fn a_mail_that_waits_outlives_the_server_and_cannot_be_read_in_the_database(kind: StoreKind) {
    let store = TestStore::new(kind).await;
    let nobody = SmtpSink::start(&["--refuse", "451", "1000"]).await;
    let mut server = Server::start(&store, &options(&nobody)).await;
    Newcomer::new(&server, "ada@example.com")
        .ask_to_sign_up("Acme")
        .await;
    let sql = store.sql().await;
    let sealed = format!("SELECT {} AS t FROM outbox", sql.hex_of_bytes("sealed"));
    let sealed = sql.texts(&sealed).await;
    assert_eq!(sealed.len(), 1);
    let plain: String = b"ada@example.com"
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert!(!sealed[0].to_lowercase().contains(&plain));
    server.kill().await;
    sql.run("UPDATE outbox SET due_at = 0").await;
    let mut sink = SmtpSink::start(&[]).await;
    let _server = Server::start(&store, &options(&sink)).await;
    assert_eq!(sink.next().await["to"][0], "<ada@example.com>");
}

#[tokio::test]
async fn over_smtps_the_server_is_verified_and_signed_in_to() {
    let store = TestStore::new(StoreKind::Sqlite).await;
    let authority = Authority::new();
    let identity = authority.certify_in(&store.directory());
    let root = store.directory().join("root.pem");
    std::fs::write(&root, authority.pem()).unwrap();
    let (certificate, key) = (
        identity.certificate.to_str().unwrap(),
        identity.key.to_str().unwrap(),
    );
    let sign_in = ["--sign-in", "me", "p@ss/word", "--tls", certificate, key];
    let mut sink = SmtpSink::start(&sign_in).await;
    let url = format!("smtps://me:p%40ss%2Fword@localhost:{}", sink.port);
    let cli = Cli::on(&store).with("SENDPROMPTLY_SMTP_URL", &url);
    let cli = cli.with("SENDPROMPTLY_MAIL_FROM", FROM);
    // Whose certificate nobody vouches for gets no password.
    let doubted = cli.run(&["doctor"]).await;
    assert_eq!(doubted.code, 1);
    assert!(
        doubted.stdout.contains("wrong   mail: smtps://localhost"),
        "{}",
        doubted.stdout
    );
    assert!(!doubted.stdout.contains("p%40ss"), "{}", doubted.stdout);
    let trusting = cli.with("SSL_CERT_FILE", &root);
    let found = trusting.run(&["doctor"]).await;
    assert!(
        found.stdout.contains("takes our sign-in; nothing was sent"),
        "{}",
        found.stdout
    );
    let options = Options::quick().environment("SENDPROMPTLY_SMTP_URL", &url);
    let options = options
        .set("--mail-from", FROM)
        .environment("SSL_CERT_FILE", root.to_str().unwrap());
    let server = Server::start(&store, &options).await;
    Newcomer::new(&server, "ada@example.com")
        .ask_to_sign_up("Acme")
        .await;
    assert_eq!(sink.next().await["to"][0], "<ada@example.com>");
    assert!(!server.log().contains("p%40ss"), "{}", server.log());
}

#[tokio::test]
async fn a_mail_server_on_loopback_needs_no_tls_and_a_password_is_no_option() {
    let store = TestStore::new(StoreKind::Sqlite).await;
    let cli = Cli::on(&store);
    let secret = [
        "doctor",
        "--smtp-url",
        "smtps://me:hunter2@mail.example.com",
        "--mail-from",
        FROM,
    ];
    let refused = cli.run(&secret).await;
    assert_eq!(refused.code, 2);
    assert!(
        refused.stderr.contains("SENDPROMPTLY_SMTP_URL"),
        "{}",
        refused.stderr
    );
    assert!(!refused.stderr.contains("hunter2"), "{}", refused.stderr);
    let alone = cli.run(&["doctor", "--smtp-url", "smtp://127.0.0.1:1"]).await;
    assert_eq!(alone.code, 2);
    assert!(alone.stderr.contains("--mail-from"), "{}", alone.stderr);
    let advised = cli.run(&["doctor"]).await;
    assert!(
        advised.stdout.contains("advice  mail: no --smtp-url"),
        "{}",
        advised.stdout
    );
}
