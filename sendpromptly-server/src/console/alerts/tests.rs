//! Forms that are refused.

use crate::testing::console::House;

use super::*;

#[tokio::test]
async fn a_form_with_an_unknown_channel_adds_nothing_and_a_refused_url_is_not_shown_again() {
    let house = House::open().await;
    let admin = house.member("admin@example.com", Role::Admin).await;
    let admin = house.sign_in_with_code(&admin, 0).await;
    let (organization, project) = (house.world.organization, house.world.project);
    let path = format!("/orgs/{organization}/projects/{project}/alerts");
    let add = async |channel: &str, to: &str| {
        let fields = [("channel", channel), ("to", to)];
        house.post(&admin, &path, &fields).await
    };
    for channel in ["pigeon", ""] {
        let answer = add(channel, "ops@example.com").await;
        assert!(answer.status.is_client_error(), "{}", answer.status);
    }
    let refused = add("slack", "ftp://hooks.example/canary-7").await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(!refused.body.contains("canary-7"), "it may be a secret");
    let refused = add("email", "ops-at-example").await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(refused.body.contains("ops-at-example"));
    let listed = house.world.store.alerts(house.world.scope(), project).await;
    assert_eq!(listed.unwrap(), []);
}
