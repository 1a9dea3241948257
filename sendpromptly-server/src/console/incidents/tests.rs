//! The list of incidents, as a page.

use sendpromptly_core::access::Role;
use sendpromptly_core::id::ProjectId;

use crate::platform::entropy;
use crate::store::rows::Sql;
use crate::testing::NOW;
use crate::testing::console::House;

#[tokio::test]
async fn a_project_beyond_those_that_are_proposed_is_still_chosen_and_named() {
    let house = House::open().await;
    let viewer = house.member("ada@example.com", Role::Viewer).await;
    let world = &house.world;
    let mut last = world.project;
    for _ in 0..200 {
        last = ProjectId::new(NOW, entropy::for_id());
        world.add_project(last).await;
    }
    let rename = Sql::new("UPDATE projects SET name = 'zz top' WHERE id = {}");
    world.write(rename.bind(last.as_bytes())).await;
    world.failed_event_of(last, "evt_1").await;
    let list = format!("/orgs/{}/incidents", world.organization);

    let page = house.get(&viewer, &format!("{list}?project={last}")).await.body;
    let option = format!("<option value=\"{last}\" selected>zz top</option>");
    assert!(page.contains(&option), "{page}");
    let whole = house.get(&viewer, &list).await.body;
    for page in [page, whole] {
        assert!(page.contains("data-label=\"Project\">zz top</td>"), "{page}");
    }
}

#[tokio::test]
async fn a_project_of_another_organization_is_not_named_where_it_is_chosen() {
    let house = House::open().await;
    let other = house.organization("other").await;
    let eve = house.person("eve@example.com").await;
    house.join(&eve, other, Role::Owner).await;
    let project = house.world.project;
    let page = house
        .get(&eve, &format!("/orgs/{other}/incidents?project={project}"))
        .await;
    assert_eq!(page.status, 200);
    assert!(
        !page.body.contains(&format!("value=\"{project}\"")),
        "{}",
        page.body
    );
}
