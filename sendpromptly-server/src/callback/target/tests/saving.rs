//! What a look-up tells when a URL is saved.

use std::io;

use super::*;
use crate::callback::resolver::Lookup;

#[derive(Debug)]
struct Names(Option<Vec<IpAddr>>);

impl Names {
    fn giving(addresses: &[&str]) -> Self {
        Self(Some(addresses.iter().map(|text| text.parse().unwrap()).collect()))
    }
}

impl NameResolver for Names {
    fn lookup(&self, _name: &str) -> Lookup {
        let answer = self.0.clone().ok_or_else(|| io::Error::other("no such name"));
        Box::pin(async move { answer })
    }
}

/// A name server that never answers.
#[derive(Debug)]
struct Silent;

impl NameResolver for Silent {
    fn lookup(&self, _name: &str) -> Lookup {
        Box::pin(std::future::pending())
    }
}

async fn save(host: &str, names: &dyn NameResolver) -> Result<NameCheck, TargetError> {
    let url = RepairUrl::parse(&format!("https://{host}/repair?token=secret"), &public()).unwrap();
    url.check_before_saving(&public(), names).await
}

#[tokio::test]
async fn saving_takes_a_name_whose_addresses_are_all_public() {
    let names = Names::giving(&["93.184.216.34", "2606:2800:220:1::1"]);
    assert_eq!(save("shop.example", &names).await, Ok(NameCheck::Allowed));
}

#[tokio::test]
async fn saving_refuses_a_name_with_any_forbidden_address() {
    for addresses in [
        &["10.0.0.1"][..],
        &["93.184.216.34", "::1"],
        &["::ffff:192.168.0.1", "93.184.216.34"],
    ] {
        let refused = save("shop.example", &Names::giving(addresses)).await.unwrap_err();
        assert!(
            matches!(refused, TargetError::ForbiddenName { .. }),
            "{addresses:?}"
        );
    }
}

#[tokio::test]
async fn a_refused_name_does_not_tell_its_address() {
    let refused = save("db.internal", &Names::giving(&["10.20.30.40"]))
        .await
        .unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the repair URL's host db.internal has a private address (RFC 1918); all its addresses must be public"
    );
}

#[tokio::test]
async fn saving_warns_of_a_name_that_does_not_resolve() {
    for names in [Names(None), Names(Some(vec![]))] {
        let check = save("not-yet.example", &names).await.unwrap();
        assert_eq!(
            check.warning().unwrap(),
            "the repair URL's host not-yet.example does not resolve now; it is saved, and looked up again at each callback"
        );
    }
    assert_eq!(NameCheck::Allowed.warning(), None);
}

#[tokio::test(start_paused = true)]
async fn saving_does_not_wait_for_a_name_server_that_is_silent() {
    assert!(save("slow.example", &Silent).await.unwrap().warning().is_some());
}

#[tokio::test]
async fn saving_a_literal_address_asks_no_name_server() {
    assert_eq!(save("93.184.216.34", &Silent).await, Ok(NameCheck::Allowed));
}
