//! The owner of a world's organization, at a browser and with an authenticator app.

use crate::browser::Browser;
use crate::page::Page;
use crate::server::Server;
use crate::totp::totp_now;
use crate::world::World;

/// The owner's address.
pub const EMAIL: &str = "acme@example.com";
/// The owner's password.
pub const PASSWORD: &str = "correct horse battery";

/// Somebody with an authenticator app. A clone is the same person at another browser, with the same cookies.
#[derive(Debug, Clone)]
pub struct Person {
    /// Where they sit.
    pub browser: Browser,
    /// What their app knows: the secret as the set-up shows it.
    pub secret: String,
    /// Their recovery codes.
    pub recovery_codes: Vec<String>,
}

impl Person {
    /// The owner, signed in, who has just set up a second factor. The code that the app shows now may be taken.
    pub async fn set_up(world: &World) -> Self {
        let browser = give_password(&world.server).await;
        let mut person = Self {
            browser,
            secret: String::new(),
            recovery_codes: Vec::new(),
        };
        person.take_device().await;
        let_codes_be_new(world).await;
        person
    }

    /// Sets up an authenticator in place of what was there.
    pub async fn take_device(&mut self) {
        let page = self.browser.visit("/account/second-factor").await.ok();
        let page = self.browser.submit_and_follow(page.form("/begin")).await.ok();
        self.secret = page.text_of("[data-test=secret]");
        let code = self.code();
        let page = self
            .browser
            .submit(page.form("/set-up").set("code", code))
            .await
            .ok();
        self.recovery_codes = page.texts_of("[data-test=codes] li");
        assert_eq!(self.recovery_codes.len(), 10, "{}", page.text());
    }

    /// Sits down at a browser that nobody has used, and signs in with the password and this code.
    pub async fn sign_in_anew(&self, server: &Server, code: &str) -> (Browser, Page) {
        let mut browser = give_password(server).await;
        let page = give_code(&mut browser, code).await;
        (browser, page)
    }

    /// The code that the app shows now.
    #[must_use]
    pub fn code(&self) -> String {
        totp_now(&self.secret)
    }
}

/// A new browser in which the owner's password was given.
pub async fn give_password(server: &Server) -> Browser {
    let mut browser = Browser::new(server);
    let form = browser.get("/sign-in").await.ok().form("/sign-in");
    let form = form.set("email", EMAIL).set("password", PASSWORD);
    let page = browser.submit(form).await;
    assert_eq!(page.status(), 303, "{}", page.text());
    browser
}

/// Gives a code where the sign-in asks for one.
pub async fn give_code(browser: &mut Browser, code: &str) -> Page {
    let form = browser.get("/sign-in/code").await.ok().form("/sign-in/code");
    browser.submit(form.set("code", code)).await
}

/// Lets the app's code of now be taken again, as if minutes had passed since the last one was taken.
pub async fn let_codes_be_new(world: &World) {
    world
        .sql()
        .await
        .run("UPDATE second_factors SET last_step = 0")
        .await;
}

/// Lets all that was shown so far lie so many milliseconds further back.
pub async fn age_what_was_shown(world: &World, millis: i64) {
    let aged =
        format!("UPDATE sessions SET code_at = code_at - {millis}, password_at = password_at - {millis}");
    world.sql().await.run(&aged).await;
}
