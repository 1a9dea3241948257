//! A person who lives in the console: signs up, confirms the address by mail, signs in, sets up a second factor.

use crate::browser::Browser;
use crate::form::Form;
use crate::mail::Mailbox;
use crate::page::Page;
use crate::server::Server;
use crate::totp::totp_in_steps;

/// A password that is taken.
pub const PASSWORD: &str = "violet harbour mistral 41";

/// The form that confirms a sign-up, filled in.
#[must_use]
pub fn confirming(page: &Page) -> Form {
    page.form("/links/").set("password", PASSWORD)
}

/// A person at a browser.
#[derive(Debug, Clone)]
pub struct Newcomer {
    /// The address.
    pub email: String,
    /// The browser.
    pub browser: Browser,
    /// The secret in the person's authenticator app.
    pub secret: Option<String>,
}

impl Newcomer {
    /// Somebody with this address, whom nobody knows yet.
    #[must_use]
    pub fn new(server: &Server, email: &str) -> Self {
        Self {
            email: email.to_owned(),
            browser: Browser::new(server),
            secret: None,
        }
    }

    /// Signs up, confirms the address and signs in. Gives the person and the organization's id.
    pub async fn sign_up(
        server: &Server,
        mailbox: &Mailbox,
        email: &str,
        organization: &str,
    ) -> (Self, String) {
        let mut person = Self::new(server, email);
        let page = person.ask_to_sign_up(organization).await;
        assert_eq!(page.location(), Some("/sign-up/sent"), "{}", page.text());
        let link = mailbox.nth_to(email, 1).await.paths().remove(0);
        let page = person.browser.visit(&link).await.ok();
        let page = person.browser.submit(confirming(&page)).await;
        assert_eq!(
            page.location(),
            Some("/sign-in?done=confirmed"),
            "{}",
            page.text()
        );
        let page = person.sign_in(PASSWORD).await;
        let organization = page.url.split('/').nth(2).unwrap().to_owned();
        assert!(organization.starts_with("org_"), "{}", page.url);
        (person, organization)
    }

    /// Fills in and sends the form of the sign-up.
    pub async fn ask_to_sign_up(&mut self, organization: &str) -> Page {
        let page = self.browser.visit("/sign-up").await.ok();
        let form = page.form("/sign-up").set("email", &self.email);
        let form = form
            .set("organization", organization)
            .set("new_password", PASSWORD);
        self.browser.submit(form.set("repeat_password", PASSWORD)).await
    }

    /// Signs in with this password, and goes where that leads.
    pub async fn sign_in(&mut self, password: &str) -> Page {
        let page = self.browser.visit("/sign-in").await.ok();
        let form = page.form("/sign-in").set("email", &self.email);
        self.browser
            .submit_and_follow(form.set("password", password))
            .await
    }

    /// Begins to set up an authenticator app; gives the page that shows its secret.
    pub async fn begin_second_factor(&mut self) -> Page {
        let page = self.browser.visit("/account/second-factor").await.ok();
        let form = page.form("/account/second-factor/begin");
        let mut page = self.browser.submit_and_follow(form).await;
        if page.has("#step_up_password") {
            let form = page.form("/account/second-factor/begin");
            let form = form.set("step_up_password", PASSWORD);
            page = self.browser.submit_and_follow(form).await;
        }
        page
    }

    /// Sets up an authenticator app, whose code then counts for ten minutes.
    pub async fn set_up_second_factor(&mut self) {
        let page = self.begin_second_factor().await;
        let secret = page.text_of("[data-test=secret]").replace(' ', "");
        let form = page.form("/account/second-factor/set-up");
        let form = form.set("code", totp_in_steps(&secret, 0));
        self.browser.submit_and_follow(form).await.ok();
        self.secret = Some(secret);
    }
}
