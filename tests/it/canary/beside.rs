//! The secrets beside those of receipts and callbacks: what an operator configures, what alerts go to, what people sign in
//! with. Each goes the ways that it has, well and badly.

use sendpromptly_tests::endpoint::{Endpoint, Reply};
use sendpromptly_tests::mail::Mail;
use sendpromptly_tests::newcomer::{Newcomer, confirming};
use sendpromptly_tests::person::{Person, let_codes_be_new};
use sendpromptly_tests::provider::{set_secret, stripe_webhooks};
use sendpromptly_tests::smtp::SmtpSink;
use sendpromptly_tests::stripe::{Signer, checkout, event, now, webhook};
use sendpromptly_tests::world::World;

const SMTP_PASSWORD: &str = "canary-smtp-password-Wd9xKq";
const WEBHOOK_SECRET: &str = "whsec_canaryWebhookSecret7Yh2Lq";
const STRIPE_KEY: &str = "sk_test_canaryStripeKey4Bn8Rt";
const INTAKE_SECRET: &str = "whsec_canaryIntakeSecret3Pk6Vz";
const HEARTBEAT: &str = "canary-heartbeat-Jm5cTn";
const ALERT: &str = "canary-alert-token-Zs8fLd";

/// The others that a server talks to; each refuses now and then, for a refusal is what gets told.
pub(super) struct Others {
    mail: SmtpSink,
    stripe: Endpoint,
    monitor: Endpoint,
    slack: Endpoint,
    hook: Endpoint,
}

impl Others {
    pub(super) async fn start() -> Self {
        Self {
            mail: SmtpSink::start(&["--refuse", "451", "1", "--sign-in", "me", SMTP_PASSWORD]).await,
            stripe: Endpoint::always(401).await,
            monitor: refusing_once(404).await,
            slack: refusing_once(503).await,
            hook: Endpoint::always(410).await,
        }
    }

    /// The server's configuration, as a file: the environment of a process can be read by its own user.
    pub(super) fn configuration(&self) -> String {
        [
            format!(
                "smtp-url = \"smtp://me:{SMTP_PASSWORD}@127.0.0.1:{}\"",
                self.mail.port
            ),
            "mail-from = \"pay@example.com\"".to_owned(),
            format!("stripe-webhook-secret = \"{WEBHOOK_SECRET}\""),
            format!("stripe-api-key = \"{STRIPE_KEY}\""),
            "stripe-price = \"price_monthly\"".to_owned(),
            format!(
                "stripe-api-url = \"{}\"",
                self.stripe.url().replace("/repair", "")
            ),
            format!("heartbeat-url = \"{}/{HEARTBEAT}\"", self.monitor.url()),
            "heartbeat-interval = \"1s\"\n".to_owned(),
        ]
        .join("\n")
    }

    /// Pushes each secret its ways; gives them all, and last a code of an authenticator.
    pub(super) async fn push(&mut self, world: &World) -> (Vec<String>, String) {
        let mut secrets: Vec<String> = [
            SMTP_PASSWORD,
            WEBHOOK_SECRET,
            STRIPE_KEY,
            INTAKE_SECRET,
            HEARTBEAT,
            ALERT,
        ]
        .map(str::to_owned)
        .to_vec();
        secrets.push(self.mailed_link(world).await);
        secrets.push(self.alerts(world).await);
        events(world).await;
        let person = Person::set_up(world).await;
        self.billing(world, person.clone()).await;
        let (of_person, code) = sign_in(world, person).await;
        secrets.extend(of_person);
        self.monitor.after_calls(2).await;
        (secrets, code)
    }

    /// A link is asked for, its mail is refused once, and it is followed.
    async fn mailed_link(&mut self, world: &World) -> String {
        let mut newcomer = Newcomer::new(&world.server, "ada@example.com");
        newcomer.ask_to_sign_up("Acme").await;
        assert_eq!(self.mail.next().await["refused"], "451");
        world.sql().await.run("UPDATE outbox SET due_at = 0").await;
        let got = self.mail.next().await;
        let link = Mail::parse(got["message"].as_str().unwrap()).paths().remove(0);
        let page = newcomer.browser.visit(&link).await.ok();
        let page = newcomer.browser.submit(confirming(&page)).await;
        assert_eq!(
            page.location(),
            Some("/sign-in?done=confirmed"),
            "{}",
            page.text()
        );
        link.rsplit('/').next().unwrap().to_owned()
    }

    /// Destinations that refuse, tested and told of an incident; gives the signed one's secret.
    async fn alerts(&self, world: &World) -> String {
        let mut shown = Vec::new();
        for (channel, endpoint) in [("slack", &self.slack), ("webhook", &self.hook)] {
            let project = world.project.id.as_str();
            let add = ["alert", "add", "--project", project, "--channel", channel];
            let to = format!("{}?token={ALERT}", endpoint.url());
            let cli = world.cli.clone().with("SENDPROMPTLY_LOG", "trace");
            let added = cli.run_with_input(&add, &to).await;
            super::assert_absent("what a command said", &added.stderr, ALERT);
            let added = added.json();
            let id = added["alert_id"].as_str().unwrap();
            let tested = cli.run(&["alert", "test", id]).await;
            super::assert_absent("a test", &format!("{tested:?}"), ALERT);
            shown.push(added["signing_secret"].as_str().map(str::to_owned));
        }
        world.incident_for("alerted").await;
        self.slack.after_calls(2).await;
        self.hook.after_calls(2).await;
        let secret = shown.remove(1);
        secret.expect("a webhook has a secret of its own")
    }

    /// An owner is led to a Stripe that refuses our key.
    async fn billing(&self, world: &World, mut person: Person) {
        let page = format!("/orgs/{}/billing", world.organization);
        let page = person.browser.visit(&page).await.ok();
        person.browser.submit(page.form("/billing/checkout")).await;
        self.stripe.after_calls(1).await;
    }
}

async fn refusing_once(status: u16) -> Endpoint {
    Endpoint::start(move |number, _| match number {
        0 => Reply::status(status),
        _ => Reply::status(200),
    })
    .await
}

/// What Stripe tells of subscriptions and of events, signed well and badly.
async fn events(world: &World) {
    let mut signer = Signer::start().await;
    let told = event(
        "evt_told",
        now(),
        "checkout.session.completed",
        &checkout(&world.organization),
    );
    let body = told.to_string();
    for (secret, status) in [(WEBHOOK_SECRET, 200), ("whsec_another", 400)] {
        let signature = signer.sign(secret, now(), &body).await;
        let answer = webhook(&signature, &body).send(world.server.address).await;
        assert_eq!(answer.status, status, "{}", answer.text());
    }
    let set = set_secret(&world.cli, &world.project.id, "stripe", INTAKE_SECRET, &[]).await;
    assert_eq!(set.code, 0, "{}", set.stderr);
    for secret in [INTAKE_SECRET, "whsec_another"] {
        let webhooks = stripe_webhooks(secret, std::slice::from_ref(&body)).await;
        webhooks[0].send(world.server.address, &world.project.id).await;
    }
}

/// Signs in with codes that are good and used up; gives the session, the authenticator's secret, the recovery code, and the code.
async fn sign_in(world: &World, person: Person) -> (Vec<String>, String) {
    let_codes_be_new(world).await;
    let code = person.code();
    let (browser, page) = person.sign_in_anew(&world.server, &code).await;
    assert_eq!(page.status(), 303, "{}", page.text());
    let recovery_code = &person.recovery_codes[0];
    for status in [303, 422] {
        let (_, page) = person.sign_in_anew(&world.server, recovery_code).await;
        assert_eq!(page.status(), status, "{}", page.text());
    }
    let (_, used) = person.sign_in_anew(&world.server, &code).await;
    assert_eq!(used.status(), 422, "{}", used.text());
    let secrets = vec![
        browser.cookies.value("session"),
        person.secret.replace(' ', ""),
        recovery_code.clone(),
    ];
    (secrets, code)
}
