//! `org create` and `org list`.

use sendpromptly_tests::bodies::is_id;
use serde_json::{Value, json};

use super::{assert_refused, assert_usage, empty_store, fields};

const CREATE: [&str; 6] = [
    "org",
    "create",
    "--name",
    "acme",
    "--owner-email",
    "ada@example.com",
];

#[tokio::test]
async fn an_organization_is_made_with_its_owner() {
    let (store, cli) = empty_store().await;
    let json = cli
        .run_with_input(&CREATE, "correct horse battery\n")
        .await
        .json();
    assert_eq!(fields(&json), ["organization_id", "user_id"]);
    assert!(is_id("org_", &json["organization_id"]) && is_id("usr_", &json["user_id"]));

    let sql = store.sql().await;
    let stored = sql.texts("SELECT password_hash AS t FROM users").await;
    assert!(stored[0].starts_with("$argon2id$v=19$"), "{stored:?}");
    let parameter = |name: &str| -> u32 {
        let (_, rest) = stored[0].split_once(&format!("{name}=")).unwrap();
        rest.split([',', '$']).next().unwrap().parse().unwrap()
    };
    assert!(
        parameter("m") >= 19 * 1024 && parameter("t") >= 2 && parameter("p") >= 1,
        "{stored:?}"
    );
    assert_eq!(sql.texts("SELECT role AS t FROM members").await, ["owner"]);
}

#[tokio::test]
async fn a_password_is_12_to_128_characters_and_no_common_one() {
    let (store, cli) = empty_store().await;
    let create = async |password: &str| cli.run_with_input(&CREATE, password).await;
    assert_usage(&create("").await, &["password", "standard input"]);
    for short in ["x", "elevenchars", "éééééééééé\n"] {
        assert_refused(&create(short).await, &["password", "12", "128"]);
    }
    assert_refused(&create(&"long".repeat(33)).await, &["password", "128"]);
    for common in ["password1234\n", "123456789012"] {
        assert_refused(&create(common).await, &["common"]);
    }
    for refused in ["elevenchars", "password1234"] {
        assert!(
            !create(refused).await.stderr.contains(refused),
            "a password is not repeated"
        );
    }
    assert_eq!(
        store.sql().await.rows("organizations").await,
        0,
        "nothing is left of what was refused"
    );

    // Characters, not bytes; and the line's end is none of them.
    for (email, good) in [
        ("a@example.com", "twelve chars\r\n"),
        ("b@example.com", &"é".repeat(128)),
        ("c@example.com", " leading blank"),
    ] {
        let create = ["org", "create", "--name", "acme", "--owner-email", email];
        assert_eq!(cli.run_with_input(&create, good).await.code, 0, "{good:?}");
    }
}

#[tokio::test]
async fn a_malformed_name_or_email_is_wrong_usage() {
    let (store, cli) = empty_store().await;
    let create = async |name: &str, email: &str| {
        let create = ["org", "create", "--name", name, "--owner-email", email];
        cli.run_with_input(&create, "correct horse battery").await
    };
    for name in ["", "  ", "a\nb", &"n".repeat(300)] {
        assert_usage(&create(name, "ada@example.com").await, &["name"]);
    }
    for email in [
        "",
        "ada",
        "ada@",
        "@example.com",
        "a da@example.com",
        "ada@example.com\n",
    ] {
        assert_usage(&create("acme", email).await, &["email"]);
    }
    assert_usage(
        &cli.run(&["org", "create", "--name", "acme"]).await,
        &["--owner-email"],
    );
    assert_usage(&cli.run(&["org"]).await, &["create"]);
    assert_eq!(store.sql().await.rows("organizations").await, 0);
}

#[tokio::test]
async fn organizations_are_listed_with_what_is_in_them() {
    let (_store, cli) = empty_store().await;
    assert_eq!(cli.run(&["org", "list"]).await.stdout, "");
    let first = cli.create_organization("acme").await;
    let second = cli.create_organization("globex").await;
    cli.create_project(&second, &[]).await;
    let ordered = cli.run(&["org", "delete", &first]).await.json();
    let listed = cli.run(&["org", "list"]).await.json_lines();
    let told = |line: &Value| {
        [
            "organization_id",
            "name",
            "members",
            "projects",
            "deletion_due_at",
        ]
        .map(|field| line[field].clone())
    };
    let due = ordered["deletion_due_at"].clone();
    assert_eq!(
        listed.iter().map(told).collect::<Vec<_>>(),
        [
            [json!(first), json!("acme"), json!(1), json!(0), due],
            [json!(second), json!("globex"), json!(1), json!(1), Value::Null],
        ]
    );
    assert!(listed[0]["created_at"].is_string());
}
