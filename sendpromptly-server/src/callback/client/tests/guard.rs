//! Name servers that change their mind, and targets that another policy had let through.

use std::collections::VecDeque;
use std::io;
use std::net::IpAddr;
use std::sync::Mutex;

use tokio::net::TcpListener;

use super::*;
use crate::callback::resolver::Lookup;
use crate::callback::target::{NameCheck, TargetError};

/// Gives one answer after the other; an empty one stands for a name that does not resolve.
#[derive(Debug)]
pub(super) struct Script(Mutex<VecDeque<Vec<IpAddr>>>);

impl Script {
    pub(super) fn of(answers: &[&[&str]]) -> Arc<Self> {
        let parse = |texts: &&[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
        Arc::new(Self(Mutex::new(answers.iter().map(parse).collect())))
    }

    fn left(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}

impl NameResolver for Script {
    fn lookup(&self, _name: &str) -> Lookup {
        let next = self.0.lock().unwrap().pop_front();
        Box::pin(async move { next.ok_or_else(|| io::Error::other("asked too often")) })
    }
}

#[derive(Debug)]
struct Silent;

impl NameResolver for Silent {
    fn lookup(&self, _name: &str) -> Lookup {
        Box::pin(pending())
    }
}

fn strict(resolver: Arc<dyn NameResolver>) -> ClientConfig {
    ClientConfig {
        policy: AddressPolicy::default(),
        resolver,
        ..development()
    }
}

fn reason(outcome: CallOutcome) -> TargetError {
    match outcome {
        CallOutcome::Refused { reason } => reason,
        other => panic!("not refused: {other:?}"),
    }
}

#[tokio::test]
async fn a_name_server_that_changes_its_mind_gets_no_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let names = Script::of(&[&["93.184.216.34"], &["127.0.0.1"]]);
    let url = format!("https://rebind.example:{port}/repair");

    let target = RepairUrl::parse(&url, &AddressPolicy::default()).unwrap();
    let saved = target
        .check_before_saving(&AddressPolicy::default(), &*names)
        .await;
    assert_eq!(saved, Ok(NameCheck::Allowed));

    let refused = reason(post(strict(names), &url).await);
    assert!(matches!(refused, TargetError::ForbiddenName { .. }), "{refused}");
    assert!(untouched(&listener).await);
}

#[tokio::test]
async fn one_forbidden_address_among_several_refuses_them_all() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let all = ["93.184.216.34", "127.0.0.1", "2606:2800:220:1::1"];
    for first in 0..all.len() {
        let mut addresses = all;
        addresses.rotate_left(first);
        let refused = reason(
            post(
                strict(Script::of(&[&addresses])),
                &format!("https://x.example:{port}/"),
            )
            .await,
        );
        assert!(
            matches!(refused, TargetError::ForbiddenName { .. }),
            "{addresses:?}: {refused}"
        );
    }
    assert!(untouched(&listener).await);
}

#[tokio::test]
async fn connects_to_what_was_checked_after_one_look_up() {
    let endpoint = Endpoint::start("HTTP/1.1 204 No Content\r\n\r\n", Then::Close).await;
    let names = Script::of(&[&["127.0.0.1"], &["192.0.2.1"]]);
    let port = endpoint.address.port();
    let config = ClientConfig {
        resolver: Arc::clone(&names) as _,
        ..development()
    };
    let outcome = post(config, &format!("http://shop.example:{port}/")).await;
    assert_eq!(answer(&outcome).0, 204);
    assert_eq!(names.left(), 1, "looked up once");
    let request = endpoint.request().await.to_ascii_lowercase();
    assert!(
        request.contains(&format!("host: shop.example:{port}\r\n")),
        "{request}"
    );
}

#[tokio::test]
async fn a_literal_address_is_checked_at_the_call_too() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let target = RepairUrl::parse(&format!("https://127.0.0.1:{port}/"), &development().policy).unwrap();
    let client = CallbackClient::new(strict(Script::of(&[]))).unwrap();
    let refused = reason(client.call(&target, Vec::new(), Bytes::new(), pending()).await);
    assert!(
        matches!(refused, TargetError::ForbiddenAddress { .. }),
        "{refused}"
    );
    assert!(untouched(&listener).await);
}

#[tokio::test]
async fn http_is_refused_at_the_call_too() {
    let target = RepairUrl::parse("http://shop.example/", &development().policy).unwrap();
    let client = CallbackClient::new(strict(Script::of(&[]))).unwrap();
    assert_eq!(
        reason(client.call(&target, Vec::new(), Bytes::new(), pending()).await),
        TargetError::NotHttps
    );
}

#[tokio::test]
async fn a_name_that_does_not_resolve_is_a_network_error() {
    for names in [Script::of(&[]), Script::of(&[&[]])] {
        let outcome = post(strict(names), "https://gone.example/").await;
        assert_eq!(failure(&outcome), NetworkErrorKind::Resolve);
    }
}

#[tokio::test]
async fn a_name_server_that_is_silent_is_a_timeout() {
    let config = ClientConfig {
        connect_timeout: SHORT,
        ..strict(Arc::new(Silent))
    };
    assert_eq!(
        failure(&post(config, "https://slow.example/").await),
        NetworkErrorKind::Timeout
    );
}

#[tokio::test]
async fn the_system_knows_localhost_and_the_policy_refuses_it() {
    let refused = reason(post(strict(Arc::new(SystemResolver)), "https://localhost/").await);
    assert!(matches!(refused, TargetError::ForbiddenName { .. }), "{refused}");
}
