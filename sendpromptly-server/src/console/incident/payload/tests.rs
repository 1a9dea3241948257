//! Who is shown a payload, and what the audit log tells of it.

use sendpromptly_core::access::Role;
use sendpromptly_core::id::EventId;
use serde_json::Value;

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
    let operator = scene.member(Role::Operator).await;
    assert_eq!(scene.ask(&operator, "ticket 4711").await.status, 200);
    let viewer = scene.member(Role::Viewer).await;
    let page = scene.house.get(&viewer, &scene.path()).await;
    assert!(page.status == 200 && !page.body.contains("show-payload"));
    assert!(!page.body.contains("The payload was looked at") && !page.body.contains("ticket 4711"));
    let refused = scene.ask(&viewer, "I would like to see").await;
    assert_eq!(refused.status, 403);
    assert_eq!(scene.reads().await.len(), 1, "the operator's");
}

#[tokio::test]
async fn where_the_log_cannot_be_written_the_payload_is_not_shown() {
    let scene = Scene::set_up().await;
    let operator = scene.member(Role::Operator).await;
    scene.house.world.refuse_into("audit_entries").await;
    let refused = scene.ask(&operator, "ticket 4711").await;
    assert!(refused.status.is_server_error());
    assert!(!refused.body.contains(MARK), "{}", refused.body);
}

#[tokio::test]
async fn what_is_not_shown_is_not_logged_and_its_cause_is_told() {
    let scene = Scene::set_up().await;
    let operator = scene.member(Role::Operator).await;
    let world = &scene.house.world;
    let ask = async |status: u16, word: &str| {
        let refused = scene.ask(&operator, "ticket 4711").await;
        assert_eq!(refused.status, status, "{word}");
        assert!(
            refused.body.contains(word) && !refused.body.contains(MARK),
            "{word}"
        );
        assert_eq!(scene.reads().await.len(), 0, "{word}");
    };
    let renamed = Sql::new("UPDATE data_keys SET kid = 'missing' WHERE purpose = 'snapshot'");
    world.write(renamed).await;
    ask(503, "cannot be opened now").await;
    let changed = Sql::new("UPDATE snapshots SET sealed = {}");
    world.write(changed.bind(vec![1_u8; 60])).await;
    ask(409, "is damaged").await;
    world.write(Sql::new("DELETE FROM snapshots")).await;
    ask(409, "No payload is kept").await;
}

#[tokio::test]
async fn a_payload_is_text_on_its_page_whatever_is_in_it() {
    let scene = Scene::set_up().await;
    let operator = scene.member(Role::Operator).await;
    let world = &scene.estate.world;
    world.write(Sql::new("DELETE FROM snapshots")).await;
    let event: [u8; 16] = {
        let query = Sql::new("SELECT id FROM events WHERE project_id = {}");
        let row = query
            .bind(world.project.as_bytes())
            .one(world.store.reader())
            .await;
        rows::id(&row.unwrap().unwrap(), "id").unwrap()
    };
    let vault = &scene.house.console.setting.vault;
    let payload = r#"{"x":"</pre><script>alert(1)</script>"}"#;
    world
        .keep_payload(vault, EventId::from_bytes(event), payload)
        .await;
    let shown = scene.ask(&operator, "ticket 4711").await;
    assert_eq!(shown.status, 200);
    assert!(
        shown.body.contains("&#60;/pre&#62;&#60;script&#62;alert(1)"),
        "{}",
        shown.body
    );
    assert!(!shown.body.contains("<script>alert"));
}
