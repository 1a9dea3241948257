//! What is said of certificates, by what they hold.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rcgen::{CertificateParams, KeyPair, date_time_ymd};

use super::super::Weight;
use super::*;
use crate::config::{Config, Sources, options};

const DAY: i64 = 24 * 60 * 60 * 1_000;

/// The end of the certificate that the tests make: 2030-06-15.
const UNTIL: Timestamp = Timestamp::from_millis(1_907_712_000_000);

fn certificate_in(directory: &Path) -> TlsFiles {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(["pay.example.com".to_owned()]).unwrap();
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2030, 6, 15);
    let files = TlsFiles {
        certificate: directory.join("cert.pem"),
        key: directory.join("key.pem"),
    };
    std::fs::write(&files.certificate, params.self_signed(&key).unwrap().pem()).unwrap();
    write_key(&files.key, &key);
    files
}

fn write_key(file: &Path, key: &KeyPair) {
    std::fs::write(file, key.serialize_pem()).unwrap();
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o600)).unwrap();
}

fn config(given: &[(&'static options::ConfigOption, String)]) -> HttpConfig {
    Config::read(&Sources::of_options(given.iter().cloned()))
        .unwrap()
        .http
}

fn with_tls(files: &TlsFiles, public_url: &str) -> HttpConfig {
    config(&[
        (&options::TLS_CERT, files.certificate.display().to_string()),
        (&options::TLS_KEY, files.key.display().to_string()),
        (&options::PUBLIC_URL, public_url.to_owned()),
    ])
}

fn found(config: &HttpConfig, now: Timestamp) -> Vec<(Weight, String)> {
    let mut findings = Findings::default();
    check(config, now, &mut findings);
    findings.0
}

#[test]
fn a_certificate_is_judged_by_its_time() {
    let directory = tempfile::tempdir().unwrap();
    let config = with_tls(&certificate_in(directory.path()), "https://pay.example.com");
    let weight = |now: Timestamp| {
        let found = found(&config, now);
        assert_eq!(found.len(), 1, "{found:?}");
        found[0].0
    };
    assert_eq!(weight(UNTIL.plus_millis(-14 * DAY)), Weight::Ok);
    assert_eq!(weight(UNTIL.plus_millis(-14 * DAY + 1)), Weight::Advice);
    assert_eq!(weight(UNTIL), Weight::Advice);
    assert_eq!(weight(UNTIL.plus_millis(1)), Weight::Wrong);
    assert_eq!(
        weight(Timestamp::parse("2019-12-31T00:00:00Z").unwrap()),
        Weight::Wrong
    );
    assert!(found(&config, UNTIL)[0].1.contains("2030-06-15T00:00:00.000Z"));
}

#[test]
fn a_certificate_for_another_host_than_the_public_url_is_wrong() {
    let directory = tempfile::tempdir().unwrap();
    let files = certificate_in(directory.path());
    let now = UNTIL.plus_millis(-30 * DAY);
    for (url, expected) in [
        ("https://pay.example.com:8443", vec![Weight::Ok]),
        ("https://other.example.com", vec![Weight::Ok, Weight::Wrong]),
        ("https://192.0.2.1", vec![Weight::Ok, Weight::Wrong]),
        ("https://[2001:db8::1]", vec![Weight::Ok, Weight::Wrong]),
        ("http://pay.example.com", vec![Weight::Ok, Weight::Advice]),
    ] {
        let found = found(&with_tls(&files, url), now);
        let weights: Vec<_> = found.iter().map(|(weight, _)| *weight).collect();
        assert_eq!(weights, expected, "{url}: {found:?}");
    }
}

#[test]
fn a_key_that_does_not_belong_to_the_certificate_is_wrong_and_named() {
    let directory = tempfile::tempdir().unwrap();
    let files = certificate_in(directory.path());
    write_key(&files.key, &KeyPair::generate().unwrap());
    let found = found(&with_tls(&files, "https://pay.example.com"), UNTIL);
    assert!(
        matches!(&found[..], [(Weight::Wrong, what)] if what.contains("key.pem") && what.contains("not the key")),
        "{found:?}"
    );
}

#[test]
fn a_proxy_that_is_not_named_is_told() {
    let url = (&options::PUBLIC_URL, "https://pay.example.com".to_owned());
    let proxy = (&options::TRUSTED_PROXY, "127.0.0.1".to_owned());
    let unnamed = found(&config(std::slice::from_ref(&url)), UNTIL);
    assert!(
        matches!(&unnamed[..], [(Weight::Advice, what)] if what.contains("--trusted-proxy")),
        "{unnamed:?}"
    );
    assert_eq!(found(&config(&[url, proxy]), UNTIL), []);
}

#[test]
fn an_address_that_others_reach_in_clear_is_advised_against() {
    let listen = |address: &str| (&options::LISTEN, address.to_owned());
    let proxy = (&options::TRUSTED_PROXY, "10.0.0.1".to_owned());
    assert_eq!(found(&config(&[listen("127.0.0.1:8080")]), UNTIL), []);
    assert_eq!(found(&config(&[listen("[::1]:8080")]), UNTIL), []);
    assert_eq!(found(&config(&[listen("0.0.0.0:8080"), proxy]), UNTIL), []);
    let open = found(&config(&[listen("0.0.0.0:8080")]), UNTIL);
    assert!(
        matches!(&open[..], [(Weight::Advice, what)] if what.contains("--trusted-proxy")),
        "{open:?}"
    );
}
