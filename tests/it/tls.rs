//! HTTPS of the server's own: what is spoken, a certificate that changes while it runs, and handshakes that fail.

use std::time::Duration;

use rustls::ProtocolVersion;
use sendpromptly_tests::api::RECEIPT;
use sendpromptly_tests::bodies::{receipt, unique};
use sendpromptly_tests::command::Cli;
use sendpromptly_tests::http::{Connection, Request};
use sendpromptly_tests::http2::Http2;
use sendpromptly_tests::https::HttpsWorld;
use sendpromptly_tests::store::{StoreKind, TestStore};
use sendpromptly_tests::tls::{Authority, HOST, replace};
use sendpromptly_tests::wait::eventually;

async fn start() -> HttpsWorld {
    HttpsWorld::start(StoreKind::Sqlite).await
}

fn ask() -> Request {
    Request::new("GET", "/healthz")
}

#[tokio::test]
async fn tls_1_2_and_1_3_carry_http_1_and_http_2() {
    let world = start().await;
    let address = world.server.address;
    for (version, known) in [
        (&rustls::version::TLS12, ProtocolVersion::TLSv1_2),
        (&rustls::version::TLS13, ProtocolVersion::TLSv1_3),
    ] {
        for (offered, chosen) in [
            (&[b"http/1.1" as &[u8]][..], Some(&b"http/1.1"[..])),
            (&[b"http/1.1", b"h2"], Some(b"h2")),
            (&[], None),
        ] {
            let client = world.authority.client_of(&[version], offered);
            let handshake = client.handshake(address).await;
            assert_eq!(handshake.version, Some(known));
            assert_eq!(handshake.protocol.as_deref(), chosen);
        }
        let client = world.authority.client_of(&[version], &[]);
        assert_eq!(client.send(address, &ask()).await.status, 200);
    }
}

#[tokio::test]
async fn receipts_are_accepted_over_both_versions_of_http() {
    let world = start().await;
    let api = world.api();
    let request = |key: &str| api.request(RECEIPT, key, &receipt("evt_1"));
    let first = world.send(&request("key-1")).await;
    assert_eq!(first.verdict(), "202", "{}", first.text());
    let by_http_2 = world.authority.client_of(rustls::DEFAULT_VERSIONS, &[b"h2"]);
    let stream = by_http_2.connect_as(api.server, HOST).await.unwrap();
    let mut connection = Http2::over(stream).await;
    let bearer = format!("Bearer {}", api.key);
    let headers = [
        ("authorization", bearer.as_str()),
        ("idempotency-key", "key-1"),
        ("content-type", "application/json"),
        ("accept", "application/json"),
    ];
    let again = connection
        .post(RECEIPT, &headers, receipt("evt_1").to_string())
        .await;
    assert_eq!(again.text(), first.text());
}

#[tokio::test]
async fn the_certificate_is_the_one_that_was_given_and_plain_http_is_not_answered() {
    let world = start().await;
    let address = world.server.address;
    let stranger = Authority::new().client();
    assert!(
        stranger.try_send(address, &ask()).await.is_none(),
        "not the authority's"
    );
    assert!(world.client.connect_as(address, "other.example").await.is_err());
    assert!(
        ask().try_send(address).await.is_none(),
        "plain HTTP where HTTPS is spoken"
    );
    assert_eq!(world.send(&ask()).await.status, 200);
}

#[tokio::test]
async fn a_hangup_brings_the_new_certificate_to_new_connections() {
    let world = start().await;
    let address = world.server.address;
    let before = world.client.handshake(address).await.certificate;
    let mut kept = world.client.open(address).await;
    assert_eq!(ask().send_over(&mut kept).await.unwrap().status, 200);

    let _ = world.authority.certify_in(&world.store.directory());
    assert_eq!(
        world.client.handshake(address).await.certificate,
        before,
        "not before it is asked"
    );
    world.server.signal("HUP").await;
    eventually("new connections get the new certificate", async || {
        (world.client.handshake(address).await.certificate != before).then_some(())
    })
    .await;
    assert_eq!(
        ask().send_over(&mut kept).await.unwrap().status,
        200,
        "the old connection goes on"
    );
    assert_eq!(world.send(&ask()).await.status, 200);
}

#[tokio::test]
async fn a_certificate_or_key_that_cannot_be_used_leaves_the_old_one_in_place() {
    let world = start().await;
    let address = world.server.address;
    let before = world.client.handshake(address).await.certificate;
    let of_another = Authority::new().certify_in(&world.store.data_dir());
    let other_key = std::fs::read(of_another.key).unwrap();
    let (certificate, key) = (&world.identity.certificate, &world.identity.key);
    for (file, content, option, why) in [
        (certificate, &b"nothing"[..], "--tls-cert", "holds no certificate"),
        (
            certificate,
            b"-----BEGIN CERTIFICATE-----\n!",
            "--tls-cert",
            "not well-formed",
        ),
        (key, b"nothing", "--tls-key", "holds no private key"),
        (key, &other_key, "--tls-key", "not the key of the certificate"),
    ] {
        let (good, told) = (std::fs::read(file).unwrap(), world.server.log().len());
        replace(file, content);
        world.server.signal("HUP").await;
        let line = eventually("the log names what is wrong", async || {
            let log = world.server.log();
            let mut lines = log[told..].lines();
            lines
                .find(|line| line.contains("stays as it was"))
                .map(str::to_owned)
        })
        .await;
        assert!(
            line.contains("ERROR") && line.contains(option) && line.contains(why),
            "{line}"
        );
        assert!(line.contains(file.to_str().unwrap()), "{line}");
        assert_eq!(world.client.handshake(address).await.certificate, before, "{why}");
        replace(file, &good);
    }
    assert_eq!(world.send(&ask()).await.status, 200);
}

#[tokio::test]
async fn a_start_is_refused_with_the_file_and_what_is_wrong_with_it() {
    let store = TestStore::new(StoreKind::Sqlite).await;
    let cli = Cli::on(&store);
    let directory = store.directory();
    let good = Authority::new().certify_in(&directory);
    let others = directory.join("others");
    std::fs::create_dir(&others).unwrap();
    let other = Authority::new().certify_in(&others);
    let empty = directory.join("empty.pem");
    std::fs::write(&empty, "").unwrap();
    let open = directory.join("open.pem");
    std::fs::copy(&good.key, &open).unwrap();
    std::fs::set_permissions(&open, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    let absent = directory.join("absent.pem");
    for (certificate, key, option, file, why) in [
        (&absent, &good.key, "--tls-cert", &absent, "cannot be read"),
        (&good.certificate, &absent, "--tls-key", &absent, "cannot be read"),
        (&empty, &good.key, "--tls-cert", &empty, "holds no certificate"),
        (
            &good.certificate,
            &good.certificate,
            "--tls-key",
            &good.certificate,
            "mode 0600",
        ),
        (
            &good.certificate,
            &other.key,
            "--tls-key",
            &other.key,
            "not the key of the certificate",
        ),
        (&good.certificate, &open, "--tls-key", &open, "mode 0644"),
    ] {
        let serve = ["serve", "--tls-cert", certificate.to_str().unwrap(), "--tls-key"];
        let output = cli.run(&[&serve[..], &[key.to_str().unwrap()]].concat()).await;
        let why = if key == &good.certificate {
            "holds no private key"
        } else {
            why
        };
        super::commands::assert_usage(&output, &[option, file.to_str().unwrap(), why]);
    }
    for (given, needs) in [
        (&["--tls-cert", "a.pem"][..], "--tls-key"),
        (&["--tls-key", "a.pem"], "--tls-cert"),
        (&["--redirect-listen", "127.0.0.1:0"], "--tls-cert and --tls-key"),
    ] {
        let output = cli.run(&[&["serve"], given].concat()).await;
        super::commands::assert_usage(&output, &[given[0], needs]);
    }
}

#[tokio::test]
async fn slow_and_broken_handshakes_do_not_stop_good_ones_and_end() {
    let world = start().await;
    let address = world.server.address;
    let mut slow = Vec::new();
    for n in 0..500 {
        let mut connection = Connection::open(address).await;
        match n % 3 {
            0 => {} // says nothing
            1 => assert!(connection.send(&[0x16, 0x03, 0x01, 0x02, 0x00, 0x01]).await),
            _ => assert!(connection.send(b"GET / HTTP/1.1\r\n\r\n").await),
        }
        slow.push(connection);
    }
    for _ in 0..20 {
        let request = world
            .api()
            .request(RECEIPT, &unique("key"), &receipt(&unique("evt")));
        assert_eq!(world.send(&request).await.verdict(), "202");
    }
    // After ten seconds, give or take what a busy machine needs; an alert may come first.
    let patience = Duration::from_secs(30);
    for mut connection in slow.into_iter().take(2) {
        assert!(connection.closes_within(patience).await);
    }
}

#[tokio::test]
async fn a_stop_finishes_what_is_asked_and_waits_for_no_handshake() {
    let mut world = start().await;
    let mut silent = Connection::open(world.server.address).await;
    let mut kept = world.client.open(world.server.address).await;
    assert_eq!(ask().send_over(&mut kept).await.unwrap().status, 200);
    let (status, _) = world.server.stop().await;
    assert!(status.success(), "{}", world.server.log());
    assert!(!world.server.log().contains("cut off"), "{}", world.server.log());
    assert!(silent.closes_within(Duration::from_secs(5)).await);
    assert!(kept.closes_within(Duration::from_secs(5)).await);
}
