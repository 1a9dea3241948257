//! What is said of metrics, the monitor, links and who may sign up.

use tokio::net::TcpListener;

use super::super::Weight;
use super::*;
use crate::config::{Sources, options};

type Given = (&'static options::ConfigOption, String);

async fn found(given: &[Given]) -> Vec<(Weight, String)> {
    let public_url = (&options::PUBLIC_URL, "https://pay.example.com".to_owned());
    let sign_up = (&options::SIGNUP, "invite".to_owned());
    // What is given last counts here, as nothing may be given twice.
    let mut all = vec![public_url, sign_up];
    all.retain(|(option, _)| given.iter().all(|(named, _)| named.name != option.name));
    all.extend(given.iter().cloned());
    let config = Config::read(&Sources::of_options(all)).unwrap();
    let mut findings = Findings::default();
    check(&config, &mut findings).await;
    findings.0
}

async fn weights(given: &[Given]) -> Vec<Weight> {
    let found = found(given).await;
    found.into_iter().map(|(weight, _)| weight).collect()
}

fn metrics(address: &str) -> Given {
    (&options::METRICS_LISTEN, address.to_owned())
}

#[tokio::test]
async fn metrics_that_strangers_reach_are_advised_against() {
    for own in [
        "127.0.0.1:9464",
        "[::1]:9464",
        "10.0.0.5:9464",
        "100.64.1.1:9464",
        "[fd12::1]:9464",
    ] {
        assert_eq!(weights(&[metrics(own)]).await, [], "{own}");
    }
    for public in [
        "0.0.0.0:9464",
        "[::]:9464",
        "198.51.100.7:9464",
        "100.128.0.1:9464",
    ] {
        assert_eq!(weights(&[metrics(public)]).await, [Weight::Advice], "{public}");
    }
}

#[tokio::test]
async fn metrics_on_the_apis_own_address_are_wrong() {
    for same in ["127.0.0.1:8080", "0.0.0.0:8080"] {
        let found = found(&[metrics(same)]).await;
        assert!(
            matches!(&found[0], (Weight::Wrong, what) if what.contains("--listen")),
            "{found:?}"
        );
    }
    let redirect = [
        (&options::TLS_CERT, "cert.pem".to_owned()),
        (&options::TLS_KEY, "key.pem".to_owned()),
        (&options::REDIRECT_LISTEN, "127.0.0.1:8081".to_owned()),
        metrics("127.0.0.1:8081"),
    ];
    assert_eq!(weights(&redirect).await, [Weight::Wrong]);
}

#[tokio::test]
async fn a_monitor_that_cannot_be_reached_is_wrong_and_its_path_is_not_told() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let monitor = RepairUrl::parse(
        &format!("http://{address}/canary"),
        &WatchConfig::heartbeat_policy(),
    );
    let monitor = monitor.unwrap();
    let mut findings = Findings::default();
    check_monitor(&monitor, &mut findings).await;
    drop(listener);
    check_monitor(&monitor, &mut findings).await;
    let [there, gone] = &findings.0[..] else {
        panic!("{findings:?}");
    };
    assert_eq!((there.0, gone.0), (Weight::Ok, Weight::Wrong));
    assert!(gone.1.contains(&address.to_string()) && !gone.1.contains("canary"));
}

#[tokio::test]
async fn links_that_lead_to_the_address_that_is_listened_on_are_told() {
    let mut config = Config::read(&Sources::default()).unwrap();
    config.sign_up = SignUp::Invite;
    let mut findings = Findings::default();
    check(&config, &mut findings).await;
    assert!(
        matches!(&findings.0[..], [(Weight::Advice, what)] if what.contains("http://127.0.0.1:8080")),
        "{findings:?}"
    );
}

#[tokio::test]
async fn a_sign_up_that_strangers_reach_is_told() {
    let open = (&options::SIGNUP, "open".to_owned());
    assert_eq!(weights(std::slice::from_ref(&open)).await, [Weight::Advice]);
    assert_eq!(weights(&[(&options::SIGNUP, "invite".to_owned())]).await, []);
}
