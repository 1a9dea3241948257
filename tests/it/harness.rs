//! What the tests of the console stand on is itself right: markup, forms, cookies, one-time codes, mail.

use sendpromptly_tests::browser::Browser;
use sendpromptly_tests::mail::Mail;
use sendpromptly_tests::markup::Element;
use sendpromptly_tests::page::Page;
use sendpromptly_tests::python::installed;
use sendpromptly_tests::site::Site;
use sendpromptly_tests::totp::{totp, totp_in_steps, totp_now};

const PAGE: &str = r#"<!doctype html>
<html lang="en"><head><title>A &amp; B</title><meta charset="utf-8"></head>
<body><!-- <p>not here</p> -->
<nav><a href="/incidents" aria-current="page">Incidents</a> <a href="/x?a=1&amp;b=2"><b>Two</b> words</a></nav>
<table><tr><td data-test="state">open</td><td class="wide state">since
   today</td></tr></table>
<form method="post" action="/settings" id="settings">
<input type="hidden" name="form" value="token&#34;1&quot;">
<input name="name" value="shop"><input name="off" disabled>
<input type="checkbox" name="keep" value="yes" checked><input type="checkbox" name="ask" value="yes">
<input type="radio" name="mode" value="test" checked><input type="radio" name="mode" value="live">
<select name="role"><option value="viewer">Viewer</option><option value="admin" selected>Admin</option></select>
<textarea name="note">
one
two</textarea>
<button>Save</button><button name="then" value="go" formaction="/settings/go">Save and go</button>
</form>
<p><input form="settings" name="apart" value="1"></p>
<script>if (1 < 2) { "</p>" }</script></body></html>"#;

/// The page, as the browser gets it.
async fn page() -> Page {
    let site = Site::always("HTTP/1.1 200 OK\r\ncontent-type: text/html; charset=utf-8", PAGE).await;
    Browser::at(site.address).get("/settings").await.ok()
}

#[test]
fn a_selector_names_what_css_would() {
    let page = Element::parse(PAGE);
    assert_eq!(page.one("title").text(), "A & B");
    assert_eq!(page.one("[data-test=state]").text(), "open");
    assert_eq!(page.one("table td.state.wide").text(), "since today");
    assert_eq!(page.one("nav [aria-current]").must_have("href"), "/incidents");
    assert_eq!(
        page.one(r#"form#settings input[name="form"]"#).must_have("value"),
        "token\"1\""
    );
    assert_eq!(
        page.all("nav *").len(),
        3,
        "two links, and what is in one of them"
    );
    assert!(page.first("p b").is_none());
    assert!(page.first("nav td").is_none());
}

#[test]
fn text_is_what_a_reader_sees() {
    let text = Element::parse(PAGE).one("body").text();
    assert!(text.contains("Incidents Two words open since today"), "{text}");
    assert!(!text.contains("not here") && !text.contains('<'), "{text}");
}

#[test]
fn markup_that_is_not_well_formed_is_refused() {
    for broken in [
        "<p>never closed",
        "<p><b>crossed</p></b>",
        "</p>",
        "<a href=/bare>unquoted</a>",
        r#"<a id="1" id="2">twice</a>"#,
        "fish & chips",
        "&unknown;",
        "<!-- no end",
    ] {
        let read = std::panic::catch_unwind(|| Element::parse(broken));
        assert!(read.is_err(), "{broken} was read as {read:?}");
    }
}

#[tokio::test]
async fn a_form_sends_what_a_browser_would_send() {
    let page = page().await;
    let form = page.form("/settings");
    assert_eq!(
        form.encoded(),
        "form=token%221%22&name=shop&keep=yes&mode=test&role=admin&note=one%0D%0Atwo&apart=1"
    );
    let form = form
        .set("name", "a b+c/ü")
        .set("mode", "live")
        .set("ask", "yes")
        .untick("keep", "yes")
        .set("role", "viewer")
        .press("Save and go");
    assert_eq!(form.target(), "/settings/go");
    assert_eq!(
        form.encoded(),
        "form=token%221%22&name=a+b%2Bc%2F%C3%BC&ask=yes&mode=live&role=viewer&note=one%0D%0Atwo&apart=1&then=go"
    );
}

#[tokio::test]
async fn a_value_that_a_form_does_not_offer_cannot_be_chosen() {
    let page = page().await;
    for (name, value) in [
        ("role", "owner"),
        ("mode", "other"),
        ("off", "1"),
        ("absent", "1"),
    ] {
        let form = page.form("/settings");
        let set = std::panic::catch_unwind(|| form.set(name, value));
        assert!(set.is_err(), "{name} was set to {value}");
    }
}

#[tokio::test]
async fn a_posted_form_bears_what_browsers_add() {
    let site = Site::always("HTTP/1.1 303 See Other\r\nlocation: /settings", PAGE).await;
    let page = page().await;
    let mut browser = Browser::at(site.address).with_header("sec-fetch-mode", "");
    browser.cookies.set("session", "s1");
    let answer = browser.submit(page.form("/settings")).await;
    assert_eq!((answer.status(), answer.location()), (303, Some("/settings")));
    let seen = site.seen();
    for line in [
        "POST /settings HTTP/1.1".to_owned(),
        format!("host: {}", site.address),
        format!("origin: http://{}", site.address),
        "sec-fetch-site: same-origin".to_owned(),
        "content-type: application/x-www-form-urlencoded".to_owned(),
        "cookie: session=s1".to_owned(),
    ] {
        assert!(seen[0].contains(&line), "no {line} in {seen:?}");
    }
    assert!(!seen[0].contains("sec-fetch-mode"), "{seen:?}");
}

#[tokio::test]
async fn cookies_are_kept_and_taken_back_as_browsers_do() {
    let kept = "HTTP/1.1 200 OK\r\n\
        set-cookie: session=s2; Path=/; HttpOnly; SameSite=Lax\r\n\
        set-cookie: other=o; Path=/\r\n\
        set-cookie: other=; Path=/; Max-Age=0\r\n\
        set-cookie: __Host-session=s3; Path=/; Secure\r\n\
        set-cookie: safe=s4; Path=/; Secure";
    let site = Site::always(kept, "").await;
    let mut browser = Browser::at(site.address);
    browser.cookies.set("session", "s1");
    browser.get("/").await;
    assert_eq!(browser.cookies.header().unwrap(), "session=s2");
    assert!(browser.cookies.find("session").unwrap().says("samesite=lax"));
}

#[tokio::test]
async fn codes_are_those_of_the_rfc_and_of_another_authenticator() {
    // RFC 6238, appendix B, cut to six digits: the secret is "12345678901234567890".
    let secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
    for (time, code) in [
        (59, "287082"),
        (1_111_111_109, "081804"),
        (1_234_567_890, "005924"),
        (20_000_000_000, "353130"),
    ] {
        assert_eq!(totp(secret, time), code, "at {time}");
    }
    let other = "import pyotp, sys; print(pyotp.TOTP(sys.argv[1]).at(int(sys.argv[2])))";
    for time in [0, 1_700_000_000_u64, 1_800_000_017] {
        let printed = installed("python")
            .args(["-c", other, "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP", &time.to_string()])
            .output()
            .await
            .unwrap();
        let code = totp("jbsw y3dp ehpk 3pxp jbsw y3dp ehpk 3pxp", time);
        assert_eq!(String::from_utf8_lossy(&printed.stdout).trim(), code, "at {time}");
    }
    assert_ne!(totp_now(secret), totp_in_steps(secret, 2));
}

/// Writes a message by Python's own library; its arguments are the encoding and the number of parts.
const WRITE_MAIL: &str = r"
import sys
from email.message import EmailMessage
mail = EmailMessage()
mail['To'] = 'Ada <ada@example.com>'
mail['Subject'] = 'Confirm your address'
text = 'Grüße, Ada.\n\nhttp://127.0.0.1:8080/verify?token=' + 'a=b' * 30 + '\n'
mail.set_content(text, cte=sys.argv[1])
if sys.argv[2] == 'two':
    mail.add_alternative('<p>Not this</p>', subtype='html')
sys.stdout.buffer.write(mail.as_bytes())";

#[tokio::test]
async fn mail_is_read_as_another_library_writes_it() {
    for arguments in [["quoted-printable", "one"], ["base64", "two"], ["8bit", "one"]] {
        let mut python = installed("python");
        let written = python
            .args(["-c", WRITE_MAIL])
            .args(arguments)
            .output()
            .await
            .unwrap();
        assert!(written.status.success(), "{written:?}");
        let mail = Mail::parse(&String::from_utf8(written.stdout).unwrap());
        assert!(mail.to.contains("ada@example.com"), "{mail:?}");
        assert_eq!(mail.subject, "Confirm your address");
        assert!(mail.text.starts_with("Grüße, Ada.\n\n"), "{mail:?}");
        let path = format!("/verify?token={}", "a=b".repeat(30));
        assert_eq!(mail.paths(), [path], "{arguments:?}");
    }
}
