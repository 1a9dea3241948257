//! The scripts that drive the browser find what they must; a test that cannot fail shows nothing.

use sendpromptly_tests::chromium::{run_script, verdict_of};
use sendpromptly_tests::site::Site;
use serde_json::{Value, json};

/// Strict, as the console's own, but for what the pages below are about.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src data:; connect-src *";

/// Pages with one fault each, and a word of what must be found.
const FAULTY: &[(&str, &str, &str)] = &[
    (
        "/contrast",
        r#"<p class="pale">Hardly to be read</p>"#,
        "axe color-contrast",
    ),
    (
        "/dark",
        r#"<p class="dim">Hardly to be read at night</p>"#,
        "in the dark: axe color-contrast",
    ),
    ("/label", r#"<input name="nameless">"#, "axe label"),
    (
        "/heading",
        "<h3>Two levels at once</h3>",
        "axe heading-order (cat.semantics best-practice)",
    ),
    (
        "/wide",
        r#"<p class="wide">Wide</p>"#,
        "900 pixels wide on a screen of 360",
    ),
    (
        "/focusless",
        r#"<a href="/" class="focusless">Nowhere</a>"#,
        "the focus does not show on <a",
    ),
    (
        "/trap",
        r#"<a href="/">First</a> <button id="trap">Trap</button> <a href="/">Never reached</a>
            <script src="/trap.js"></script>"#,
        r#"the Tab key does not reach <a href="/">Never reached"#,
    ),
    (
        "/throws",
        r#"<script src="/throws.js"></script>"#,
        "a script threw: Error: thrown",
    ),
    (
        "/missing",
        r#"<script src="/nothing.js"></script>"#,
        "404 (Not Found)",
    ),
    (
        "/foreign",
        r#"<script src="/foreign.js"></script>"#,
        "a request to another origin",
    ),
    ("/heavy", r#"<script src="/heavy.js"></script>"#, "weighs 10"),
];

#[tokio::test]
async fn the_checks_of_a_page_find_what_they_must() {
    let elsewhere = Site::always("HTTP/1.1 200 OK\r\naccess-control-allow-origin: *", "").await;
    let other = format!("fetch('http://{}/')", elsewhere.address);
    let site = Site::start(move |path| answer(path, &other)).await;
    let mut pages: Vec<Value> = FAULTY
        .iter()
        .map(|(path, _, finding)| json!({"path": path, "finding": finding}))
        .collect();
    pages.push(json!({"path": "/good", "finding": null}));
    let settings = json!({"origin": format!("http://{}", site.address), "pages": pages});
    run_script("self_check.mjs", &settings).await;
}

#[tokio::test]
async fn what_a_policy_forbids_is_found() {
    let site = Site::start(|path| answer(path, "")).await;
    let origin = format!("http://{}", site.address);
    let settings = json!({"origin": origin, "pages": [{"path": "/inline", "finding": null}]});
    let verdict = verdict_of("self_check.mjs", &settings).await;
    assert!(!verdict.good, "{}", verdict.said);
    assert!(verdict.said.contains("against style-src"), "{}", verdict.said);
    assert!(
        verdict.said.contains("an error on the console"),
        "{}",
        verdict.said
    );
}

#[tokio::test]
async fn a_script_that_finds_nothing_to_visit_fails() {
    let site = Site::always("HTTP/1.1 404 Not Found", "").await;
    let origin = format!("http://{}", site.address);
    let settings = json!({"origin": origin, "pages": [{"path": "/", "finding": null}]});
    let verdict = verdict_of("self_check.mjs", &settings).await;
    assert!(!verdict.good, "{}", verdict.said);
}

fn answer(path: &str, foreign: &str) -> (String, String) {
    let (kind, body) = match path {
        "/style.css" => ("text/css", STYLE.to_owned()),
        "/trap.js" => ("text/javascript", TRAP.to_owned()),
        "/throws.js" => ("text/javascript", "throw new Error('thrown')".to_owned()),
        "/foreign.js" => ("text/javascript", foreign.to_owned()),
        "/heavy.js" => ("text/javascript", format!("/*{}*/", "x".repeat(100_000))),
        "/nothing.js" => return ("HTTP/1.1 404 Not Found".to_owned(), String::new()),
        _ => ("text/html", page(path)),
    };
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: {kind}; charset=utf-8\r\ncontent-security-policy: {POLICY}"
    );
    (head, body)
}

fn page(path: &str) -> String {
    let faulty = FAULTY.iter().find(|(known, ..)| *known == path);
    let content = match faulty {
        Some((_, content, _)) => content,
        None if path == "/inline" => r#"<p style="color: red">Red</p>"#,
        None => GOOD,
    };
    format!(
        r#"<!doctype html><html lang="en"><head><meta charset="utf-8"><title>A page</title>
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <link rel="stylesheet" href="/style.css"><link rel="icon" href="data:,"></head>
        <body><main><h1>A page</h1>{content}</main></body></html>"#
    )
}

const GOOD: &str = r#"<p>Of no fault.</p><a href="/">A link</a>
    <form><fieldset><legend>Mode</legend>
    <label><input type="radio" name="mode" value="test"> Test</label>
    <label><input type="radio" name="mode" value="live" checked> Live</label></fieldset>
    <label>Name <input name="name"></label> <button>Save</button> <button disabled>Not now</button></form>
    <details><summary>More</summary><a href="/">Hidden until it is opened</a></details>"#;

const STYLE: &str = "body { font: 16px sans-serif; overflow-wrap: anywhere }
    .pale { color: #ccc; background: #fff }
    .dim { color: #000; background: #fff }
    @media (prefers-color-scheme: dark) { .dim { background: #222 } .pale { color: #000 } }
    .wide { width: 900px; margin: 0 0 0 -8px }
    .focusless:focus { outline: none }";

const TRAP: &str = "const trap = document.getElementById('trap');
    trap.addEventListener('keydown', (event) => event.key === 'Tab' && event.preventDefault());";
