//! Who is shown a payload, and what the audit log tells of it.

use sendpromptly_core::access::Role;
use serde_json::Value;

use crate::store::Dialect;
use crate::store::rows::{self, Sql};
use crate::testing::console::{Answer, House, Person};
use crate::testing::estate::Estate;

struct Scene {
    house: House,
    estate: Estate,
}

impl Scene {
    /// An incident whose event's payload is kept.
    async fn set_up() -> Self {
        let house = House::open().await;
        let estate = Estate::found(&house, "first").await;
        Self { house, estate }
    }

    async fn member(&self, role: Role) -> Person {
        let person = self.house.person(&format!("{role}@example.com")).await;
        let organization = self.estate.world.organization;
        self.house.join(&person, organization, role).await;
        self.house.sign_in_with_code(&person, 0).await
    }

    fn path(&self) -> String {
        let ids = &self.estate.ids;
        format!("/orgs/{}/incidents/{}", ids["org"], ids["incident"])
    }

    async fn ask(&self, person: &Person, reason: &str) -> Answer {
        let path = format!("{}/snapshot", self.path());
        self.house.post(person, &path, &[("reason", reason)]).await
    }

    /// Who looked at payloads, at what, and what else the log tells, in order.
    async fn reads(&self) -> Vec<(String, String, Value)> {
        let query = Sql::new(
            "SELECT e.actor, e.target, d.details FROM audit_entries e
             JOIN audit_details d ON d.organization_id = e.organization_id AND d.seq = e.seq
             WHERE e.action = 'snapshot.read' ORDER BY e.seq",
        );
        let found = query.all(self.house.world.store.reader()).await.unwrap();
        let text = |row, column| rows::get::<String>(row, column).unwrap();
        let read = |row| {
            let details = serde_json::from_str(&text(row, "details")).unwrap();
            (text(row, "actor"), text(row, "target"), details)
        };
        found.iter().map(read).collect()
    }
}

/// As it stands in the page: escaped.
const SHOWN: &str = "canary-first-payload&#34;}";
const MARK: &str = "canary-first-payload";

#[tokio::test]
async fn an_operator_with_a_reason_is_shown_the_payload_and_the_log_tells_why() {
    let scene = Scene::set_up().await;
    let operator = scene.member(Role::Operator).await;
    let page = scene.house.get(&operator, &scene.path()).await;
    assert!(page.body.contains("show-payload") && !page.body.contains(MARK));

    for reason in ["", "ab", " \t ", "one\ntwo", &"x".repeat(501)] {
        let refused = scene.ask(&operator, reason).await;
        assert_eq!(refused.status, 422, "{reason:?}");
        assert!(!refused.body.contains(MARK), "{reason:?}");
    }
    assert_eq!(scene.reads().await.len(), 0);

    let shown = scene.ask(&operator, " ticket <4711> ").await;
    assert_eq!(shown.status, 200, "{}", shown.body);
    assert!(shown.body.contains(SHOWN), "{}", shown.body);
    assert_eq!(shown.headers["cache-control"], "no-store");
    let reads = scene.reads().await;
    let [(actor, target, details)] = &reads[..] else {
        panic!("one entry: {reads:?}")
    };
    assert_eq!(*actor, operator.user.to_string());
    assert_eq!(*target, scene.estate.ids["incident"]);
    assert_eq!(details["reason"], "ticket <4711>");
    assert!(details["event"].as_str().unwrap().starts_with("evt_"));
    assert!(details["address"].as_str().is_some());
    let page = scene.house.get(&operator, &scene.path()).await;
    assert!(page.body.contains("The payload was looked at") && page.body.contains("ticket &#60;4711&#62;"));
}

#[tokio::test]
async fn who_only_reads_is_neither_shown_a_payload_nor_told_that_there_is_one() {
    let scene = Scene::set_up().await;
    let viewer = scene.member(Role::Viewer).await;
    let page = scene.house.get(&viewer, &scene.path()).await;
    assert!(page.status == 200 && !page.body.contains("show-payload"));
    let refused = scene.ask(&viewer, "I would like to see").await;
    assert_eq!(refused.status, 403);
    assert_eq!(scene.reads().await.len(), 0);
}

#[tokio::test]
async fn where_the_log_cannot_be_written_the_payload_is_not_shown() {
    let scene = Scene::set_up().await;
    let operator = scene.member(Role::Operator).await;
    let statements: &[&str] = match scene.house.world.store.dialect() {
        Dialect::Sqlite => &["CREATE TRIGGER refuse BEFORE INSERT ON audit_entries
             BEGIN SELECT RAISE(ABORT, 'refused by the test'); END"],
        Dialect::Postgres => &[
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
             BEGIN RAISE EXCEPTION 'refused by the test'; END $$",
            "CREATE TRIGGER refuse BEFORE INSERT ON audit_entries FOR EACH ROW EXECUTE FUNCTION refuse()",
        ],
    };
    for statement in statements {
        scene.house.world.write(Sql::new(*statement)).await;
    }
    let refused = scene.ask(&operator, "ticket 4711").await;
    assert!(refused.status.is_server_error());
    assert!(!refused.body.contains(MARK), "{}", refused.body);
}

#[tokio::test]
async fn a_payload_that_does_not_open_is_told_as_gone_and_one_that_is_not_kept_is_not_logged() {
    let scene = Scene::set_up().await;
    let operator = scene.member(Role::Operator).await;
    let world = &scene.house.world;
    world.write(Sql::new("DELETE FROM data_keys")).await;
    // Keys that a node has used may open for ten minutes more; what was changed opens at once no more.
    let changed = Sql::new("UPDATE snapshots SET sealed = {}");
    world.write(changed.bind(vec![1_u8; 60])).await;
    let gone = scene.ask(&operator, "ticket 4711").await;
    assert_eq!(gone.status, 200);
    assert!(gone.body.contains("data-test=\"gone\"") && !gone.body.contains(MARK));
    assert_eq!(scene.reads().await.len(), 1);

    world.write(Sql::new("DELETE FROM snapshots")).await;
    let none = scene.ask(&operator, "ticket 4711").await;
    assert_eq!(none.status, 409);
    assert_eq!(scene.reads().await.len(), 1);
}
