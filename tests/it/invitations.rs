//! Invitations: sent, sent again, taken back and accepted.

use sendpromptly_tests::browser::Browser;
use sendpromptly_tests::mail::Mailbox;
use sendpromptly_tests::newcomer::{Newcomer, PASSWORD};
use sendpromptly_tests::on_both_stores;
use sendpromptly_tests::page::Page;
use sendpromptly_tests::server::{Options, Server};
use sendpromptly_tests::store::{StoreKind, TestStore};

on_both_stores!(
    somebody_new_joins_by_an_invitation,
    a_user_joins_another_organization_by_an_invitation,
    an_invitation_is_for_its_address_alone,
    an_invitation_that_was_taken_back_or_sent_again_leaves_no_old_link,
    nobody_invites_as_more_than_they_are,
);

struct Office {
    store: TestStore,
    server: Server,
    mailbox: Mailbox,
    /// The owner, with a second factor whose code counts.
    owner: Newcomer,
    organization: String,
}

impl Office {
    async fn open(kind: StoreKind) -> Self {
        let store = TestStore::new(kind).await;
        let server = Server::start(&store, &Options::quick()).await;
        let mailbox = Mailbox::of(&store);
        let (mut owner, organization) = Newcomer::sign_up(&server, &mailbox, "ada@example.com", "Acme").await;
        owner.set_up_second_factor().await;
        Self {
            store,
            server,
            mailbox,
            owner,
            organization,
        }
    }

    fn path(&self, rest: &str) -> String {
        format!("/orgs/{}{rest}", self.organization)
    }

    async fn invite(&mut self, email: &str, role: &str) -> Page {
        let path = self.path("/members");
        let page = self.owner.browser.visit(&path).await.ok();
        let form = page.form("/members/invite").set("email", email).set("role", role);
        self.owner.browser.submit(form).await
    }

    /// Invites somebody new, who joins and signs in.
    async fn join(&mut self, email: &str, role: &str) -> Newcomer {
        let page = self.invite(email, role).await;
        assert_eq!(page.status(), 303, "{}", page.text());
        let link = self.mailbox.nth_to(email, 1).await.paths().remove(0);
        let mut person = Newcomer::new(&self.server, email);
        let page = person.browser.visit(&link).await.ok();
        let form = page.form("/links/").set("new_password", PASSWORD);
        let page = person.browser.submit(form.set("repeat_password", PASSWORD)).await;
        assert_eq!(page.location(), Some("/sign-in?done=joined"), "{}", page.text());
        person.sign_in(PASSWORD).await.ok();
        person
    }

    /// The id of the member with this address.
    async fn id_of(&self, email: &str) -> String {
        let sql = self.store.sql().await;
        let query = format!(
            "SELECT {} AS t FROM users WHERE email_key = '{email}'",
            sql.hex("id")
        );
        format!(
            "usr_{}",
            sql.texts(&query).await.remove(0).to_lowercase().replace('-', "")
        )
    }

    /// What the owner's list says of this member's role.
    async fn role_of(&mut self, email: &str) -> Option<String> {
        let (path, id) = (self.path("/members"), self.id_of(email).await);
        let page = self.owner.browser.visit(&path).await.ok();
        let row = format!("[data-member={id}]");
        let row = page.all(&row).into_iter().next()?;
        Some(row.one("[data-test=role]").text())
    }

    async fn told(&self, action: &str) -> i64 {
        let query = format!("SELECT count(*) AS n FROM audit_entries WHERE action = '{action}'");
        self.store.sql().await.count(&query).await
    }
}

async fn somebody_new_joins_by_an_invitation(kind: StoreKind) {
    let mut office = Office::open(kind).await;
    let mut bob = office.join("bob@example.com", "operator").await;
    assert_eq!(
        office.role_of("bob@example.com").await.as_deref(),
        Some("operator")
    );
    let page = bob.browser.visit(&office.path("/members")).await.ok();
    assert!(page.text().contains("ada@example.com"), "{}", page.text());
    assert_eq!(
        page.forms()
            .iter()
            .filter(|form| form.action.contains("invite"))
            .count(),
        0
    );
    let mail = office.mailbox.nth_to("bob@example.com", 1).await;
    assert_eq!(mail.subject, "You are invited to Acme");
    assert_eq!(office.told("invitation.created").await, 1);
    assert_eq!(office.told("invitation.accepted").await, 1);
    let page = office.invite("bob@example.com", "viewer").await;
    assert_eq!(page.status(), 422, "a member is not invited again");
}

async fn a_user_joins_another_organization_by_an_invitation(kind: StoreKind) {
    let mut office = Office::open(kind).await;
    let (mut bob, _) = Newcomer::sign_up(&office.server, &office.mailbox, "bob@example.com", "Bob's").await;
    office.invite("Bob@Example.com", "admin").await;
    let link = office
        .mailbox
        .nth_to("Bob@Example.com", 1)
        .await
        .paths()
        .remove(0);
    let mut stranger = Browser::new(&office.server);
    let page = stranger.visit(&link).await.ok();
    assert!(page.has("[data-test=sign-in-first]"), "{}", page.text());
    let page = bob.browser.visit(&link).await.ok();
    let page = bob.browser.submit(page.form("/links/")).await;
    assert_eq!(page.location(), Some(office.path("").as_str()), "{}", page.text());
    assert_eq!(office.role_of("bob@example.com").await.as_deref(), Some("admin"));
    assert!(
        bob.browser
            .visit("/orgs?all=1")
            .await
            .text()
            .contains("Acme admin")
    );
}

async fn an_invitation_is_for_its_address_alone(kind: StoreKind) {
    let mut office = Office::open(kind).await;
    let (mut eve, _) = Newcomer::sign_up(&office.server, &office.mailbox, "eve@example.com", "Eve's").await;
    office.invite("bob@example.com", "owner").await;
    let link = office
        .mailbox
        .nth_to("bob@example.com", 1)
        .await
        .paths()
        .remove(0);
    let page = eve.browser.visit(&link).await.ok();
    assert!(page.has("[data-test=other-address]"), "{}", page.text());
    let token = page.form("/sign-out").value("form").to_owned();
    let mut form = vec![("form", token.as_str())];
    form.extend([("new_password", PASSWORD), ("repeat_password", PASSWORD)]);
    let page = eve.browser.post(&link, &form).await;
    assert_eq!(page.status(), 200, "she is told again, and nothing is done");
    assert_eq!(eve.browser.visit(&office.path("")).await.status(), 404);
    assert_eq!(office.told("invitation.accepted").await, 0);
}

async fn an_invitation_that_was_taken_back_or_sent_again_leaves_no_old_link(kind: StoreKind) {
    let mut office = Office::open(kind).await;
    office.invite("bob@example.com", "viewer").await;
    let page = office.invite("bob@example.com", "viewer").await;
    assert_eq!(page.status(), 422, "he is invited already");
    let first = office
        .mailbox
        .nth_to("bob@example.com", 1)
        .await
        .paths()
        .remove(0);
    let members = office.path("/members");
    let page = office.owner.browser.visit(&members).await.ok();
    office.owner.browser.submit(page.form("/resend")).await;
    let second = office
        .mailbox
        .nth_to("bob@example.com", 2)
        .await
        .paths()
        .remove(0);
    let mut bob = Browser::new(&office.server);
    assert_eq!(bob.visit(&first).await.status(), 410);
    bob.visit(&second).await.ok();
    let page = office.owner.browser.visit(&members).await.ok();
    let page = office.owner.browser.submit(page.form("/revoke")).await;
    assert_eq!(page.status(), 303, "{}", page.text());
    assert_eq!(bob.visit(&second).await.status(), 410);
    assert_eq!(office.told("invitation.revoked").await, 1);
}

async fn nobody_invites_as_more_than_they_are(kind: StoreKind) {
    let mut office = Office::open(kind).await;
    let mut bob = office.join("bob@example.com", "admin").await;
    bob.set_up_second_factor().await;
    let page = bob.browser.visit(&office.path("/members")).await.ok();
    let options = page.all("#role option").into_iter();
    let offered: Vec<_> = options
        .map(|option| option.must_have("value").to_owned())
        .collect();
    assert_eq!(offered, ["viewer", "operator", "admin"]);
    let form = page.form("/members/invite").set("email", "eve@example.com");
    let page = bob.browser.submit(form.forge("role", "owner")).await;
    assert_eq!(page.status(), 422);
    assert!(page.text_of("[data-test=refusal]").contains("above their own"));
    assert_eq!(office.store.sql().await.rows("invitations").await, 0);
    // Nor do they touch an invitation that reaches above them.
    office.invite("eve@example.com", "owner").await;
    let page = bob.browser.visit(&office.path("/members")).await.ok();
    let forms = page.forms();
    assert!(!forms.iter().any(|form| form.action.contains("/invitations/")));
    let row = page.document().one("[data-invitation]");
    let path = office.path(&format!(
        "/invitations/{}/revoke",
        row.must_have("data-invitation")
    ));
    let token = page.form("/members/invite").value("form").to_owned();
    let page = bob.browser.post(&path, &[("form", &token)]).await;
    assert_eq!(page.status(), 422, "{}", page.text());
    assert_eq!(office.store.sql().await.rows("invitations").await, 1);
}
