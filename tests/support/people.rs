//! People who are signed in to the console: the owner of a world's organization, and members of other roles.

use crate::browser::Browser;
use crate::server::Server;
use crate::world::World;

/// Everybody's password.
pub const PASSWORD: &str = "correct horse battery";

/// The owner's browser.
pub async fn owner(world: &World) -> Browser {
    sign_in(&world.server, "acme@example.com").await
}

/// The browser of a new member with this role, `ROLE@example.com`.
pub async fn member(world: &World, role: &str) -> Browser {
    let sql = world.sql().await;
    let (organization, user) = (
        sql.id(&world.organization),
        sql.id(&format!("usr_{:032x}", fastrand::u128(..))),
    );
    sql.run(&format!(
        "INSERT INTO users (id, email, email_key, password_hash, created_at) \
         SELECT {user}, '{role}@example.com', '{role}@example.com', password_hash, created_at \
         FROM users WHERE email_key = 'acme@example.com'"
    ))
    .await;
    sql.run(&format!(
        "INSERT INTO members (organization_id, user_id, role, created_at) VALUES ({organization}, {user}, '{role}', 1)"
    ))
    .await;
    sign_in(&world.server, &format!("{role}@example.com")).await
}

/// Signs in with everybody's password.
pub async fn sign_in(server: &Server, email: &str) -> Browser {
    let mut browser = Browser::new(server);
    let page = browser.visit("/sign-in").await.ok();
    let form = page
        .form("/sign-in")
        .set("email", email)
        .set("password", PASSWORD);
    let page = browser.submit_and_follow(form).await;
    assert!(
        page.url.starts_with("/orgs"),
        "{email} is signed in: {} {}",
        page.url,
        page.text()
    );
    browser
}
