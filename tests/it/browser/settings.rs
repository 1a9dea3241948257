//! What the scripts have to know.

use sendpromptly_tests::chromium::screenshots;
use sendpromptly_tests::mail::Mailbox;
use sendpromptly_tests::person::{self, Person};
use sendpromptly_tests::python::sources;
use sendpromptly_tests::world::World;
use serde_json::{Value, json};

/// What every script has to know.
pub(super) fn settings(world: &World, screen: &str) -> Value {
    json!({
        "origin": format!("http://{}", world.server.address),
        "screen": screen,
        "database": world.store.url().strip_prefix("sqlite://"),
        "mails": Mailbox::of(&world.store).directory(),
        "python": sources().join("../.venv/bin/python"),
        "screenshots": screenshots(),
        "organization": format!("/orgs/{}", world.organization),
        "project": format!("/orgs/{}/projects/{}", world.organization, world.project.id),
    })
}

/// What those have to know who sign in as the owner, or send as the owner's app.
pub(super) fn settings_of_owner(world: &World, screen: &str) -> Value {
    let mut settings = settings(world, screen);
    settings["email"] = person::EMAIL.into();
    settings["password"] = person::PASSWORD.into();
    settings["key"] = world.project.api_key.clone().into();
    settings
}

/// The same where the owner has an authenticator app, whose secret it is.
pub(super) async fn settings_of_secured_owner(world: &World, screen: &str) -> Value {
    let mut settings = settings_of_owner(world, screen);
    settings["secret"] = Person::set_up(world).await.secret.into();
    settings
}
