//! The audit log in the console: read, filtered, checked and taken away.

use sendpromptly_core::access::Role;
use sendpromptly_core::audit::{Action, AuditKey, Draft, ExportLine};
use sendpromptly_core::id::OrganizationId;

use crate::store::audit::drafts_of;
use crate::store::rows::Sql;
use crate::testing::console::{Answer, Ask, House, Person};
use crate::testing::{NOW, operator};

async fn house() -> (House, Person, String) {
    let house = House::open().await;
    let admin = house.member("ada@example.com", Role::Admin).await;
    let path = format!("/orgs/{}/audit", house.world.organization);
    (house, admin, path)
}

fn rows(page: &Answer) -> usize {
    page.body.matches("<tr data-seq=").count()
}

#[tokio::test]
async fn entries_are_told_in_words_with_who_did_it_and_from_where() {
    let (house, admin, path) = house().await;
    house.world.failed_event("evt_1").await;
    house.post(&admin, &format!("{path}/export"), &[]).await;
    let page = house.get(&admin, &path).await;
    assert_eq!((page.status.as_u16(), rows(&page)), (200, 2));
    for told in [
        "Exported the audit log",
        "ada@example.com",
        "10.",
        "Opened an incident",
        "The server itself",
    ] {
        assert!(page.body.contains(told), "{told} in {}", page.body);
    }
    // Newest first.
    assert!(page.body.find("Exported the audit log</td>") < page.body.find("Opened an incident</td>"));
}

#[tokio::test]
async fn whoever_is_no_member_any_more_is_named_by_an_id() {
    let (house, admin, path) = house().await;
    let gone = house.member("grace@example.com", Role::Admin).await;
    house.post(&gone, &format!("{path}/export"), &[]).await;
    assert!(house.get(&admin, &path).await.body.contains(&gone.email));
    let leave = Sql::new("DELETE FROM members WHERE user_id = {}");
    house.world.write(leave.bind(gone.user.as_bytes())).await;
    let page = house.get(&admin, &path).await;
    assert!(!page.body.contains(&gone.email) && page.body.contains(&gone.user.to_string()));
}

#[tokio::test]
async fn filters_take_a_members_e_mail_an_action_and_a_target() {
    let (house, admin, path) = house().await;
    let (_, incident) = house.world.failed_event("evt_1").await;
    house.world.failed_event("evt_2").await;
    house.post(&admin, &format!("{path}/export"), &[]).await;
    for (filter, count) in [
        ("actor=ADA%40example.com".to_owned(), 1),
        ("actor=nobody%40example.com".to_owned(), 0),
        ("action=incident.opened".to_owned(), 2),
        (format!("target={incident}"), 1),
        (format!("target={incident}&action=audit.exported"), 0),
        ("from=2020-01-01&to=2100-01-01".to_owned(), 3),
        ("from=2100-01-01".to_owned(), 0),
        ("to=2020-01-01".to_owned(), 0),
        ("actor=%00&target=inc%00".to_owned(), 3),
    ] {
        let page = house.get(&admin, &format!("{path}?{filter}")).await;
        assert_eq!((page.status.as_u16(), rows(&page)), (200, count), "{filter}");
    }
}

#[tokio::test]
async fn a_member_to_whom_something_was_done_is_found_by_the_e_mail_that_is_shown() {
    let (house, _, path) = house().await;
    let owner = house.member("owner@example.com", Role::Owner).await;
    let owner = house.sign_in_with_code(&owner, 0).await;
    let grace = house.member("grace@example.com", Role::Viewer).await;
    let members = format!("/orgs/{}/members", house.world.organization);
    let role = format!("{members}/{}/role", grace.user);
    let changed = house.post(&owner, &role, &[("role", "operator")]).await;
    assert_eq!(changed.status, 303, "{}", changed.body);
    for (target, count) in [
        ("grace%40example.com".to_owned(), 1),
        (grace.user.to_string(), 1),
        ("nobody%40example.com".to_owned(), 0),
    ] {
        let page = house.get(&owner, &format!("{path}?target={target}")).await;
        assert_eq!(rows(&page), count, "{target}");
    }
}

#[tokio::test]
async fn pages_lead_from_one_to_the_next() {
    let (house, admin, path) = house().await;
    for number in 0..51 {
        house.world.failed_event(&format!("evt_{number}")).await;
    }
    let first = house.get(&admin, &format!("{path}?action=incident.opened")).await;
    assert_eq!(rows(&first), 50);
    let older = format!("{path}?action=incident.opened&amp;before=2");
    assert!(
        first.body.contains(&older.replace("&amp;", "&#38;")),
        "{}",
        first.body
    );
    let last = house.get(&admin, &older.replace("&amp;", "&")).await;
    assert_eq!(rows(&last), 1);
    assert!(first.body.len() < 100_000, "{} bytes", first.body.len());
}

#[tokio::test]
async fn an_export_ends_with_a_checkpoint_and_is_noted() {
    let (house, admin, path) = house().await;
    house.world.failed_event("evt_1").await;
    let export = house.post(&admin, &format!("{path}/export"), &[]).await;
    assert!(
        export.headers["content-disposition"]
            .to_str()
            .unwrap()
            .starts_with("attachment")
    );
    let lines: Vec<_> = export
        .body
        .lines()
        .map(|line| ExportLine::parse(line).unwrap())
        .collect();
    let [
        ExportLine::Entry(_),
        ExportLine::Entry(noted),
        ExportLine::Checkpoint(signed),
    ] = lines.as_slice()
    else {
        panic!("{lines:?}");
    };
    assert_eq!(
        (noted.action.as_str(), noted.actor.clone()),
        ("audit.exported", admin.user.to_string())
    );
    assert_eq!(signed.checkpoint.head, noted.hash);
    assert!(house.console.setting.checkpoints.public_key().has_signed(signed));
}

#[tokio::test]
async fn an_export_that_breaks_off_does_not_end_as_if_it_were_whole() {
    let (house, admin, path) = house().await;
    let organization = house.world.organization;
    let draft = |_| Draft::new(&operator(), Action::ProjectChanged, organization, &[]);
    let drafts = drafts_of(organization, NOW, (0..600).map(draft).collect());
    house.world.store.commit_audited(&[], &drafts).await.unwrap();
    let export = || Ask::post(format!("{path}/export"), &[]).with_form_of(&admin);
    assert!(house.is_answered_whole(&admin, export()).await);
    // What no program can read lies behind the first piece.
    let spoil = Sql::new("UPDATE audit_details SET salt = {} WHERE seq = 600");
    house.world.write(spoil.bind(vec![0_u8])).await;
    assert!(!house.is_answered_whole(&admin, export()).await);
}

#[tokio::test]
async fn a_check_finds_an_entry_that_was_changed() {
    let (house, admin, path) = house().await;
    house.world.failed_event("evt_1").await;
    let check = async || house.post(&admin, &format!("{path}/check"), &[]).await.body;
    assert!(check().await.contains("The log is sound: 1 entries"));
    // The details are what can be changed: the store guards the entries.
    let change = "UPDATE audit_details SET details = '{\"address\":\"192.0.2.1\"}'";
    house.world.write(Sql::new(change)).await;
    assert!(check().await.contains("The details of entry 1 were changed."));
    house.world.write(Sql::new("DELETE FROM audit_details")).await;
    assert!(check().await.contains("The details of 1 entries were erased."));
    assert!(house.get(&admin, &path).await.body.contains("Erased"));
}

#[tokio::test]
async fn a_check_finds_a_log_that_was_cut_short() {
    let (house, admin, path) = house().await;
    house.world.failed_event("evt_1").await;
    let now = crate::platform::clock::now();
    let checkpoints = house.console.setting.checkpoints.clone();
    checkpoints.append_due(&house.world.store, now).await.unwrap();
    let page = house.post(&admin, &format!("{path}/check"), &[]).await;
    assert!(
        page.body.contains("in accord with 1 signed checkpoints"),
        "{}",
        page.body
    );
    let prune = "INSERT INTO audit_prunes (organization_id, seq) VALUES ({}, 9)";
    house
        .world
        .write(Sql::new(prune).bind(house.world.organization.as_bytes()))
        .await;
    house.world.write(Sql::new("DELETE FROM audit_entries")).await;
    let page = house.post(&admin, &format!("{path}/check"), &[]).await;
    assert!(page.body.contains("The log was tampered with"), "{}", page.body);
}

#[tokio::test]
async fn a_log_that_another_node_has_signed_was_not_tampered_with() {
    let (house, admin, path) = house().await;
    house.world.failed_event("evt_1").await;
    let own = house.console.setting.checkpoints.clone();
    let now = crate::platform::clock::now();
    own.append_due(&house.world.store, now).await.unwrap();
    std::fs::write(&house.world.keys().checkpoints.path, "").unwrap();
    let page = house.post(&admin, &format!("{path}/check"), &[]).await;
    assert!(page.body.contains(r#"data-test="sound""#), "{}", page.body);
    assert!(page.body.contains(r#"data-test="elsewhere""#), "{}", page.body);
}

#[tokio::test]
async fn nothing_is_exported_that_would_not_verify() {
    let (house, admin, path) = house().await;
    let other = AuditKey::from_seed([7; 32]).public().to_hex();
    let note = Sql::new("INSERT INTO audit_keys (public_key, last_used_at) VALUES ({}, 0)");
    house.world.write(note.bind(other)).await;
    let export = house.post(&admin, &format!("{path}/export"), &[]).await;
    assert_eq!(export.status, 409);
    assert!(export.body.contains("another audit key"), "{}", export.body);
    let noted = Sql::new("SELECT count(*) AS n FROM audit_entries");
    assert_eq!(house.world.number(noted).await, 0);
}

#[tokio::test]
async fn the_log_is_for_admins_of_the_organization() {
    let (house, _, path) = house().await;
    let operator = house.member("grace@example.com", Role::Operator).await;
    assert_eq!(house.get(&operator, &path).await.status, 403);
    let stranger = house.person("eve@example.com").await;
    let other: OrganizationId = house.organization("other").await;
    house.join(&stranger, other, Role::Owner).await;
    for path in [path.clone(), format!("{path}/nothing")] {
        assert_eq!(house.get(&stranger, &path).await.status, 404);
    }
    for order in ["export", "check"] {
        let path = format!("{path}/{order}");
        assert_eq!(house.post(&operator, &path, &[]).await.status, 403);
        assert_eq!(house.post(&stranger, &path, &[]).await.status, 404);
    }
    let entries = Sql::new("SELECT count(*) AS n FROM audit_entries");
    assert_eq!(
        house.world.number(entries).await,
        0,
        "what was refused was not done"
    );
}
