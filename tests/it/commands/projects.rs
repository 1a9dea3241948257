//! `project create`, `project list` and `project set`.

use sendpromptly_tests::bodies::is_id;
use sendpromptly_tests::signature::sha256;
use serde_json::{Value, json};

use super::{assert_refused, assert_usage, empty_store, fields, nobodys};

#[tokio::test]
async fn a_project_is_made_with_a_key_and_a_secret_that_are_shown_once() {
    let (store, cli) = empty_store().await;
    let organization = cli.create_organization("acme").await;
    let create = ["project", "create", "--org", &organization, "--name", "shop"];
    let json = cli.run(&create).await.json();
    assert_eq!(fields(&json), ["api_key", "project_id", "signing_secret"]);
    assert!(is_id("prj_", &json["project_id"]));
    let (key, secret) = (
        json["api_key"].as_str().unwrap(),
        json["signing_secret"].as_str().unwrap(),
    );
    assert_credential(key, "sk_", 40);
    assert_credential(secret, "spsec_", 43);

    // The store has neither.
    let sql = store.sql().await;
    let hash = sql
        .texts(&format!("SELECT {} AS t FROM api_keys", sql.hex_of_bytes("hash")))
        .await;
    assert_eq!(hash, [sha256(key)]);
    assert_eq!(
        sql.texts("SELECT hint AS t FROM api_keys").await,
        [&key[key.len() - 10..key.len() - 6]]
    );
    let sealed = sql
        .texts(&format!(
            "SELECT {} AS t FROM signing_secrets",
            sql.hex_of_bytes("sealed")
        ))
        .await;
    assert!(sealed[0].starts_with("01") && sealed[0].len() > 2 * secret.len());
}

#[tokio::test]
async fn projects_are_listed_with_what_goes_on_in_them() {
    let (_store, cli) = empty_store().await;
    let organization = cli.create_organization("acme").await;
    let list = async |organization: &str| cli.run(&["project", "list", "--org", organization]).await;
    assert_eq!(list(&organization).await.json_lines(), Vec::<Value>::new());
    let first = cli.create_project(&organization, &[]).await.id;
    let second = cli.create_project(&organization, &["--mode", "live"]).await.id;
    let url = "http://127.0.0.1:9/repair?token=t0ken";
    let set = [
        "project",
        "set",
        &first,
        "--name",
        "the shop",
        "--repair-url",
        url,
    ];
    let set = cli.run(&set).await.json();
    let listed = list(&organization).await;
    assert!(!listed.stdout.contains("t0ken"), "a path may hold a secret");
    let listed = listed.json_lines();
    let expected = json!({
        "project_id": first, "name": "the shop", "mode": "test", "repair_origin": "http://127.0.0.1:9",
        "open_incidents": 0, "last_receipt_at": null, "created_at": set["created_at"],
    });
    assert_eq!(listed[0], expected);
    assert_eq!(
        (
            &listed[1]["project_id"],
            &listed[1]["mode"],
            &listed[1]["repair_origin"]
        ),
        (&json!(second), &json!("live"), &Value::Null)
    );
    assert_eq!(listed.len(), 2);
    let nobodys = nobodys("org_");
    assert_refused(&list(&nobodys).await, &["organization", &nobodys]);
}

#[tokio::test]
async fn a_projects_settings_are_changed_one_by_one() {
    let (_store, cli) = empty_store().await;
    let organization = cli.create_organization("acme").await;
    let id = cli.create_project(&organization, &[]).await.id;
    let set = async |more: &[&str]| cli.run(&[&["project", "set", id.as_str()], more].concat()).await;

    let named = set(&["--name", "the shop"]).await.json();
    let expected = json!({
        "project_id": id, "name": "the shop", "mode": "test", "repair_url": null, "timeout_minutes": 30,
    });
    for (field, value) in expected.as_object().unwrap() {
        assert_eq!(named[field], *value, "{field} of {named}");
    }
    let called = set(&["--repair-url", "http://127.0.0.1:9/repair"]).await.json();
    assert_eq!(called["repair_url"], "http://127.0.0.1:9/repair");
    let slow = set(&["--timeout-minutes", "43200"]).await.json();
    assert_eq!(
        (&slow["timeout_minutes"], &slow["name"], &slow["repair_url"]),
        (&json!(43200), &json!("the shop"), &called["repair_url"])
    );
    let quiet = set(&["--keep-answers", "false"]).await.json();
    assert_eq!(
        (&slow["keep_answers"], &quiet["keep_answers"]),
        (&json!(true), &json!(false))
    );
    assert_eq!(set(&["--keep-answers", "true"]).await.json(), slow);
    let kept = set(&["--snapshots", "true", "--send-payload", "true"])
        .await
        .json();
    for (field, before, after) in [("snapshots", false, true), ("send_payload", false, true)] {
        assert_eq!(
            (&slow[field], &kept[field]),
            (&json!(before), &json!(after)),
            "{field}"
        );
    }
    for more in [&[][..], &["--snapshots", "true"], &["--name", "shop"]] {
        let delete = [&["--delete-snapshots"], more].concat();
        assert_usage(&set(&delete).await, &["--delete-snapshots", "--snapshots false"]);
    }
    let off = [
        "--snapshots",
        "false",
        "--send-payload",
        "false",
        "--delete-snapshots",
    ];
    assert_eq!(set(&off).await.json(), slow);
    assert_usage(
        &set(&["--keep-answers", "no"]).await,
        &["keep-answers", "true", "false"],
    );
    let kept = set(&["--events-kept-days", "30"]).await.json();
    assert_eq!(
        (&slow["events_kept_days"], &kept["events_kept_days"]),
        (&json!(396), &json!(30))
    );
    assert_eq!(set(&["--events-kept-days", "396"]).await.json(), slow);
    for wrong in ["29", "3661", "a year"] {
        assert_usage(
            &set(&["--events-kept-days", wrong]).await,
            &["events-kept-days", "30 to 3660"],
        );
    }
    let unasked = set(&["--reprocess-timeouts", "3"]).await.json();
    assert_eq!(
        (&slow["reprocess_timeouts"], &unasked["reprocess_timeouts"]),
        (&json!(0), &json!(3))
    );
    assert_eq!(set(&["--reprocess-timeouts", "0"]).await.json(), slow);
    for wrong in ["4", "-1", "true", ""] {
        let times = format!("--reprocess-timeouts={wrong}");
        assert_usage(&set(&[&times]).await, &["reprocess-timeouts", "0 to 3"]);
    }
    for wrong in ["0", "43201", "-1", "1.5", "soon", ""] {
        let minutes = format!("--timeout-minutes={wrong}");
        assert_usage(&set(&[&minutes]).await, &["timeout-minutes"]);
    }
    assert_usage(&set(&["--name", ""]).await, &["name"]);
    assert_usage(
        &set(&[]).await,
        &[
            "--name",
            "--repair-url",
            "--timeout-minutes",
            "--reprocess-timeouts",
            "--keep-answers",
        ],
    );
    assert_eq!(
        set(&["--name", "the shop"]).await.json(),
        slow,
        "nothing of what was refused was kept"
    );
}

#[tokio::test]
async fn a_mode_is_test_or_live() {
    let (_store, cli) = empty_store().await;
    let organization = cli.create_organization("acme").await;
    let create = async |mode: &str| cli.try_create_project(&organization, &["--mode", mode]).await;
    for mode in ["test", "live"] {
        let id = create(mode).await.json()["project_id"]
            .as_str()
            .unwrap()
            .to_owned();
        let set = cli.run(&["project", "set", &id, "--name", "same"]).await.json();
        assert_eq!(set["mode"], mode);
    }
    for wrong in ["", "prod", "LIVE"] {
        assert_usage(&create(wrong).await, &["mode", "test", "live"]);
    }
}

#[tokio::test]
async fn an_unknown_owner_or_project_is_not_found_and_a_malformed_id_is_wrong_usage() {
    let (_store, cli) = empty_store().await;
    let organization = cli.create_organization("acme").await;
    let create = async |organization: &str| cli.try_create_project(organization, &[]).await;
    let set = async |id: &str| cli.run(&["project", "set", id, "--name", "shop"]).await;
    let (nobody, nothing) = (nobodys("org_"), nobodys("prj_"));
    assert_refused(&create(&nobody).await, &[&nobody]);
    assert_refused(&set(&nothing).await, &[&nothing]);
    for malformed in [
        "",
        "org_",
        "acme",
        &nothing,
        &nobody.to_uppercase(),
        &nobody[..35],
        &organization.replace("org_", ""),
    ] {
        assert_usage(&create(malformed).await, &["org_"]);
    }
    assert_usage(&set(&organization).await, &["prj_"]);
}

#[tokio::test]
async fn a_name_that_does_not_resolve_is_taken_with_a_warning() {
    let (_store, cli) = empty_store().await;
    let organization = cli.create_organization("acme").await;
    let strict = cli.without("SENDPROMPTLY_ALLOW_PRIVATE_CALLBACKS");
    let url = "https://repair.invalid/hook-1d5c"; // RFC 6761: never resolves
    let made = strict
        .try_create_project(&organization, &["--repair-url", url])
        .await;
    assert_ne!(made.json()["project_id"], Value::Null);
    assert!(
        made.stderr.contains("repair.invalid") && made.stderr.contains("resolve"),
        "{made:?}"
    );
    assert!(!made.stderr.contains("hook-1d5c"), "{made:?}");
}

/// A prefix, and base62 whose last six digits are the CRC-32 of what comes before.
fn assert_credential(credential: &str, prefix: &str, length: usize) {
    let digits = credential.strip_prefix(prefix).unwrap();
    assert_eq!(digits.len(), length, "{credential}");
    assert!(digits.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    let (random, check) = credential.split_at(credential.len() - 6);
    const BASE62: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let value = check.bytes().fold(0_u64, |value, digit| {
        value * 62 + BASE62.iter().position(|known| *known == digit).unwrap() as u64
    });
    assert_eq!(value, u64::from(crc32(random.as_bytes())), "{credential}");
}

/// CRC-32 (ISO-HDLC), bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg())
        })
    })
}
