//! Members and organizations in the console: who sees whom, who changes whom, and that an owner always stays.

use sendpromptly_tests::browser::Browser;
use sendpromptly_tests::on_both_stores;
use sendpromptly_tests::page::Page;
use sendpromptly_tests::server::Options;
use sendpromptly_tests::sql::Sql;
use sendpromptly_tests::store::StoreKind;
use sendpromptly_tests::world::World;
use serde_json::{Value, json};

on_both_stores!(
    members_see_each_other_and_manage_whom_their_role_reaches,
    a_changed_role_takes_a_code_counts_at_once_and_is_audited,
    whoever_is_removed_or_leaves_is_a_stranger_at_once,
    nobody_reaches_above_their_own_role,
    the_last_owner_stays_one,
    strangers_are_told_nothing_of_members,
    a_user_makes_another_organization_and_its_admins_name_it,
);

const PASSWORD: &str = "correct horse battery";

/// A person at a browser.
struct Person {
    id: String,
    email: String,
    browser: Browser,
}

/// An organization with people in it.
struct People {
    world: World,
    sql: Sql,
}

impl People {
    async fn start(kind: StoreKind) -> Self {
        let world = World::start(kind).await;
        let sql = world.sql().await;
        Self { world, sql }
    }

    /// The path of a page of the organization.
    fn path(&self, rest: &str) -> String {
        format!("/orgs/{}{rest}", self.world.organization)
    }

    /// The owner with whom the organization was made.
    async fn owner(&self) -> Person {
        self.signed_in("acme").await
    }

    /// Somebody who belongs to an organization of their own alone.
    async fn stranger(&self, name: &str) -> Person {
        self.world.cli.create_organization(name).await;
        self.signed_in(name).await
    }

    /// Somebody new in the organization, signed in, with a second factor of which a code was just shown.
    async fn member(&self, name: &str, role: &str) -> Person {
        let person = self.stranger(name).await;
        let (organization, user) = (self.sql.id(&self.world.organization), self.sql.id(&person.id));
        self.sql
            .run(&format!(
                "INSERT INTO members (organization_id, user_id, role, created_at)
                 VALUES ({organization}, {user}, '{role}', 1)"
            ))
            .await;
        self.give_second_factor(&person).await;
        self.show_code(&person).await;
        person
    }

    async fn signed_in(&self, name: &str) -> Person {
        let email = format!("{name}@example.com");
        let column = self.sql.hex("id");
        let query = format!("SELECT {column} AS t FROM users WHERE email = '{email}'");
        let id = format!("usr_{}", self.sql.texts(&query).await[0]);
        let mut browser = Browser::new(&self.world.server);
        let form = browser.visit("/sign-in").await.ok().form("/sign-in");
        let form = form.set("email", &email).set("password", PASSWORD);
        browser.submit_and_follow(form).await.ok();
        Person { id, email, browser }
    }

    /// As though the person had set up an authenticator.
    async fn give_second_factor(&self, person: &Person) {
        let (user, id) = (self.sql.id(&person.id), self.sql.id(&person.id));
        let sealed = self.sql.bytes("00");
        self.sql
            .run(&format!(
                "INSERT INTO second_factors (user_id, id, sealed, last_step, confirmed_at)
                 VALUES ({user}, {id}, {sealed}, 0, 1)"
            ))
            .await;
    }

    /// As though the person had just shown a code of it.
    async fn show_code(&self, person: &Person) {
        self.show_code_at(person, "seen_at").await;
    }

    async fn show_code_at(&self, person: &Person, when: &str) {
        let user = self.sql.id(&person.id);
        let update = format!("UPDATE sessions SET code_at = {when} WHERE user_id = {user}");
        assert!(self.sql.run(&update).await > 0, "{} has no session", person.email);
    }

    /// Sends the form of a member's page whose path ends so.
    async fn manage(&self, by: &mut Person, member: &Person, form: &str, role: Option<&str>) -> Page {
        let page = by
            .browser
            .get(&self.path(&format!("/members/{}", member.id)))
            .await
            .ok();
        let form = page.form(form);
        let form = match role {
            Some(role) => form.forge("role", role),
            None => form,
        };
        by.browser.submit(form).await
    }

    async fn leave(&self, person: &mut Person) -> Page {
        let page = person.browser.get(&self.path("/leave")).await.ok();
        person.browser.submit(page.form("/leave")).await
    }

    async fn role_of(&self, person: &Person) -> Vec<String> {
        let (organization, user) = (self.sql.id(&self.world.organization), self.sql.id(&person.id));
        self.sql
            .texts(&format!(
                "SELECT role AS t FROM members WHERE organization_id = {organization} AND user_id = {user}"
            ))
            .await
    }

    /// The entries of the audit log that have this action.
    async fn audited(&self, organization: &str, action: &str) -> Vec<Value> {
        let export = ["audit", "export", "--org", organization];
        let mut entries = self.world.cli.run(&export).await.json_lines();
        entries.retain(|entry| entry["action"] == action);
        entries
    }
}

/// Who did it, to whom, and what the details say beside the address.
fn told(entry: &Value) -> (&str, &str, Value) {
    let details = &entry["details"];
    let mut details: Value = match details {
        Value::String(text) => serde_json::from_str(text).unwrap(),
        details => details.clone(),
    };
    let details_of = details.as_object_mut().unwrap();
    assert_eq!(details_of.remove("address"), Some(json!("127.0.0.1")), "{entry}");
    (
        entry["actor"].as_str().unwrap(),
        entry["target"].as_str().unwrap(),
        details,
    )
}

/// E-mail addresses on the page of members for whom it has a link to manage them.
fn managed(page: &Page) -> Vec<String> {
    let links = page.texts_of("[data-test=manage]");
    let name = |link: &String| link.strip_prefix("Manage ").unwrap().to_owned();
    links.iter().map(name).collect()
}

async fn members_see_each_other_and_manage_whom_their_role_reaches(kind: StoreKind) {
    let people = People::start(kind).await;
    let mut owner = people.owner().await;
    let mut admin = people.member("bea", "admin").await;
    let mut viewer = people.member("cid", "viewer").await;
    let path = people.path("/members");
    let everybody = ["acme@example.com", "bea@example.com", "cid@example.com"];

    let page = owner.browser.get(&people.path("")).await.ok();
    let page = owner.browser.click(&page.link("Members")).await.ok();
    assert_eq!(page.texts_of("[data-test=email]"), everybody);
    assert_eq!(page.texts_of("[data-test=role]"), ["owner", "admin", "viewer"]);
    assert_eq!(page.texts_of("[data-test=factor]"), ["off", "on", "on"]);
    assert!(page.text_of("[data-test=member] [data-test=you]") == "you");
    assert!(
        page.texts_of("[data-test=seen]")
            .iter()
            .all(|seen| seen.ends_with("UTC"))
    );
    assert_eq!(managed(&page), everybody);

    let page = admin.browser.get(&path).await.ok();
    assert_eq!(managed(&page), everybody[1..]);
    let page = viewer.browser.get(&path).await.ok();
    assert_eq!(page.texts_of("[data-test=email]"), everybody);
    assert!(managed(&page).is_empty());
    let of_admin = people.path(&format!("/members/{}", admin.id));
    assert_eq!(viewer.browser.get(&of_admin).await.status(), 403);
}

async fn a_changed_role_takes_a_code_counts_at_once_and_is_audited(kind: StoreKind) {
    let people = People::start(kind).await;
    let mut admin = people.member("bea", "admin").await;
    let mut viewer = people.member("cid", "viewer").await;
    let mut mate = people.member("dan", "viewer").await;
    viewer.browser.get(&people.path("/members")).await.ok();

    // Ten minutes after the last code another one is asked for, and nothing is done before it comes.
    people.show_code_at(&admin, "seen_at - 600001").await;
    let asked = people.manage(&mut admin, &viewer, "/role", Some("admin")).await;
    assert!(asked.ok().has("[name=step_up_code]"));
    assert_eq!(people.role_of(&viewer).await, ["viewer"]);

    people.show_code(&admin).await;
    let done = people.manage(&mut admin, &viewer, "/role", Some("admin")).await;
    let done = admin.browser.follow(done).await.ok();
    assert!(done.text_of("[data-test=notice]").contains("role is changed"));

    // The member goes on under another token, and may at once what the role allows.
    let before = viewer.browser.cookies.clone();
    let page = viewer
        .browser
        .get(&people.path(&format!("/members/{}", mate.id)))
        .await
        .ok();
    assert!(page.header("set-cookie").is_some());
    assert_ne!(viewer.browser.cookies.header(), before.header());
    let mut left_behind = Browser::new(&people.world.server);
    left_behind.cookies = before;
    let page = left_behind.get(&people.path("/members")).await;
    assert_eq!(page.status(), 303, "the old token opens nothing");
    assert!(
        mate.browser
            .get(&people.path("/members"))
            .await
            .header("set-cookie")
            .is_none()
    );

    let entries = people
        .audited(&people.world.organization, "member.role_changed")
        .await;
    let roles = json!({"from": "viewer", "to": "admin"});
    assert_eq!(
        entries.iter().map(told).collect::<Vec<_>>(),
        [(admin.id.as_str(), viewer.id.as_str(), roles)]
    );
}

async fn whoever_is_removed_or_leaves_is_a_stranger_at_once(kind: StoreKind) {
    let people = People::start(kind).await;
    let mut admin = people.member("bea", "admin").await;
    let mut removed = people.member("cid", "operator").await;
    let mut leaver = people.member("dan", "viewer").await;

    let done = people.manage(&mut admin, &removed, "/remove", None).await;
    let done = admin.browser.follow(done).await.ok();
    assert!(done.text_of("[data-test=notice]").contains("no access"));
    assert!(!done.text().contains("cid@example.com"));

    let done = people.leave(&mut leaver).await;
    let done = leaver.browser.follow(done).await.ok();
    assert!(done.text_of("[data-test=notice]").contains("left"));

    for (person, actor, action, role) in [
        (&mut removed, &admin.id, "member.removed", "operator"),
        (&mut leaver, &admin.id, "member.left", "viewer"),
    ] {
        for rest in ["", "/members", "/leave"] {
            let page = person.browser.get(&people.path(rest)).await;
            assert_eq!(page.status(), 404, "{}{rest}", person.email);
        }
        // Their own organization is still theirs.
        person.browser.visit("/orgs").await.ok();
        let entries = people.audited(&people.world.organization, action).await;
        let actor = if action == "member.left" {
            &person.id
        } else {
            actor
        };
        let expected = (actor.as_str(), person.id.as_str(), json!({"role": role}));
        assert_eq!(entries.iter().map(told).collect::<Vec<_>>(), [expected]);
    }
}

async fn nobody_reaches_above_their_own_role(kind: StoreKind) {
    let people = People::start(kind).await;
    let owner = people.owner().await;
    let mut admin = people.member("bea", "admin").await;
    let mut operator = people.member("cid", "operator").await;

    // The page offers neither the role nor the member; a forged form is refused.
    let page = admin
        .browser
        .get(&people.path(&format!("/members/{}", operator.id)))
        .await
        .ok();
    let offered: Vec<_> = page
        .all("select option")
        .iter()
        .map(|option| option.must_have("value").to_owned())
        .collect();
    assert_eq!(offered, ["viewer", "operator", "admin"]);
    let refused = people.manage(&mut admin, &operator, "/role", Some("owner")).await;
    assert_eq!(refused.status(), 422);
    assert!(refused.text_of("[data-test=refusal]").contains("above their own"));

    for rest in ["role", "remove"] {
        let of_owner = people.path(&format!("/members/{}", owner.id));
        let page = admin.browser.get(&of_owner).await.ok();
        assert!(!page.has("select") && !page.has("[data-test=remove]"));
        let token = page.form("/sign-out").value("form").to_owned();
        let fields = [("role", "viewer"), ("form", token.as_str())];
        let refused = admin.browser.post(&format!("{of_owner}/{rest}"), &fields).await;
        assert_eq!(refused.status(), 422, "{rest}");
        assert!(refused.text_of("[data-test=refusal]").contains("above their own"));
    }
    assert_eq!(people.role_of(&owner).await, ["owner"]);

    // Below an admin nobody changes members at all.
    let page = operator.browser.get(&people.path("/leave")).await.ok();
    let token = page.form("/leave").value("form").to_owned();
    for rest in ["role", "remove"] {
        let path = people.path(&format!("/members/{}/{rest}", operator.id));
        let fields = [("role", "admin"), ("form", token.as_str())];
        assert_eq!(
            operator.browser.post(&path, &fields).await.status(),
            403,
            "{rest}"
        );
    }
    assert_eq!(people.role_of(&operator).await, ["operator"]);
}

async fn the_last_owner_stays_one(kind: StoreKind) {
    let people = People::start(kind).await;
    let mut owner = people.owner().await;
    people.give_second_factor(&owner).await;
    people.show_code(&owner).await;
    let member = people.member("bea", "admin").await;

    let refused = people.leave(&mut owner).await;
    assert_eq!(refused.status(), 422);
    assert!(refused.text_of("[data-test=refusal]").contains("needs an owner"));
    let itself = Person {
        id: owner.id.clone(),
        email: owner.email.clone(),
        browser: owner.browser.clone(),
    };
    let refused = people.manage(&mut owner, &itself, "/role", Some("admin")).await;
    assert_eq!(refused.status(), 422);
    assert_eq!(people.role_of(&owner).await, ["owner"]);

    // With a second one the first may go.
    let done = people.manage(&mut owner, &member, "/role", Some("owner")).await;
    assert_eq!(done.status(), 303);
    let done = people.leave(&mut owner).await;
    assert_eq!(done.location(), Some("/orgs?all=1&done=left"));
    assert_eq!(people.role_of(&member).await, ["owner"]);
    let page = owner.browser.follow(done).await.ok();
    assert!(page.text().contains("do not belong to an organization"));
}

async fn strangers_are_told_nothing_of_members(kind: StoreKind) {
    let people = People::start(kind).await;
    let member = people.member("bea", "admin").await;
    let mut stranger = people.stranger("zoe").await;
    people.give_second_factor(&stranger).await;
    people.show_code(&stranger).await;
    let of_member = format!("/members/{}", member.id);
    for rest in ["/members", of_member.as_str(), "/leave", "/settings"] {
        let page = stranger.browser.get(&people.path(rest)).await;
        assert_eq!(page.status(), 404, "{rest}");
    }
    let page = stranger.browser.get("/orgs/new").await.ok();
    let token = page.form("/orgs/new").value("form").to_owned();
    for rest in [
        format!("{of_member}/role"),
        format!("{of_member}/remove"),
        "/leave".to_owned(),
        "/settings".to_owned(),
    ] {
        let fields = [("role", "viewer"), ("name", "taken"), ("form", token.as_str())];
        let page = stranger.browser.post(&people.path(&rest), &fields).await;
        assert_eq!(page.status(), 404, "{rest}");
    }
    // Nor does an owner reach somebody through an organization that they are not in.
    let page = stranger.browser.visit("/orgs").await.ok();
    let own = page.url.clone();
    let page = stranger.browser.get(&format!("{own}{of_member}")).await;
    assert_eq!(page.status(), 404);
    assert_eq!(people.role_of(&member).await, ["admin"]);
}

async fn a_user_makes_another_organization_and_its_admins_name_it(kind: StoreKind) {
    let people = People::start(kind).await;
    let mut viewer = people.member("bea", "viewer").await;
    let page = viewer.browser.visit("/orgs?all=1").await.ok();
    let page = viewer.browser.click(&page.link("New organization")).await.ok();
    let form = page.form("/orgs/new");
    let long = "ü".repeat(129);
    let refused = viewer.browser.submit(form.set("name", &long)).await;
    assert_eq!(refused.status(), 422);
    assert!(refused.text_of("#name-wrong").contains("1 to 128 characters"));
    assert_eq!(refused.form("/orgs/new").value("name"), long);
    let form = refused.form("/orgs/new").set("name", " Bea & Söhne ");
    let made = viewer.browser.submit(form).await;
    let path = made.location().unwrap().to_owned();
    let organization = path.strip_prefix("/orgs/").unwrap().to_owned();
    let page = viewer.browser.follow(made).await.ok();
    assert!(page.text().contains("Bea & Söhne"));

    let page = viewer.browser.click(&page.link("Settings")).await.ok();
    let form = page.form("/settings").set("name", "Bea and daughters");
    let page = viewer.browser.submit_and_follow(form).await.ok();
    assert!(page.text_of("[data-test=notice]").contains("saved"));
    assert_eq!(page.form("/settings").value("name"), "Bea and daughters");
    for (action, name) in [
        ("organization.created", "Bea & Söhne"),
        ("organization.changed", "Bea and daughters"),
    ] {
        let entries = people.audited(&organization, action).await;
        let expected = (viewer.id.as_str(), organization.as_str(), json!({"name": name}));
        assert_eq!(entries.iter().map(told).collect::<Vec<_>>(), [expected]);
    }
    // In the other organization a viewer names nothing.
    let page = viewer.browser.get(&people.path("/settings")).await;
    assert_eq!(page.status(), 403);
}

#[tokio::test]
async fn of_two_owners_who_demote_each_other_at_two_nodes_exactly_one_is_refused() {
    let people = People::start(StoreKind::Postgres).await;
    let second = people.world.start_second_node(&Options::quick()).await;
    let (one, two) = (
        people.member("one", "owner").await,
        people.member("two", "owner").await,
    );
    let mut here = one.browser.clone();
    let mut there = two.browser.moved_to(&second);
    let organization = people.sql.id(&people.world.organization);
    for round in 0..5 {
        let owners = [&one.id, &two.id].map(|id| people.sql.id(id)).join(", ");
        people
            .sql
            .run(&format!(
                "UPDATE members SET role = CASE WHEN user_id IN ({owners}) THEN 'owner' ELSE 'viewer' END
                 WHERE organization_id = {organization}"
            ))
            .await;
        let of_two = here.get(&people.path(&format!("/members/{}", two.id))).await.ok();
        let of_one = there
            .get(&people.path(&format!("/members/{}", one.id)))
            .await
            .ok();
        let (first, other) = tokio::join!(
            here.submit(of_two.form("/role").set("role", "admin")),
            there.submit(of_one.form("/role").set("role", "admin"))
        );
        let mut statuses = [first.status(), other.status()];
        statuses.sort_unstable();
        assert_eq!(statuses[0], 303, "round {round}: {statuses:?}");
        assert!(statuses[1] >= 400, "round {round}: {statuses:?}");
        let mut roles = people.role_of(&one).await;
        roles.extend(people.role_of(&two).await);
        roles.sort_unstable();
        assert_eq!(roles, ["admin", "owner"], "round {round}");
    }
}
