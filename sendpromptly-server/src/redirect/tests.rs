//! Where requests are sent on to, and what counts as a credential.

use super::*;

fn location(target: &Target, uri: &str, host: Option<&str>) -> Result<String, ApiError> {
    let mut request = Request::builder().uri(uri);
    if let Some(host) = host {
        request = request.header("host", host);
    }
    let location = target.of(&request.body(()).unwrap())?;
    Ok(location.to_str().unwrap().to_owned())
}

fn headers(of: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in of {
        headers.append(*name, value.parse().unwrap());
    }
    headers
}

#[test]
fn path_and_query_are_kept_to_the_letter() {
    let target = Target::new(Some("https://pay.example.com"), 8443);
    for path in ["/", "/a?b=c%20d&e", "//evil.example/x", "/%2e%2e/?"] {
        let expected = format!("https://pay.example.com{path}");
        assert_eq!(location(&target, path, Some("other.example")), Ok(expected));
    }
    let absolute = location(&target, "http://evil.example/x?y", None);
    assert_eq!(absolute.unwrap(), "https://pay.example.com/x?y");
    for pathless in ["*", "evil.example:80"] {
        assert_eq!(
            location(&target, pathless, None).unwrap(),
            "https://pay.example.com/"
        );
    }
}

#[test]
fn without_a_public_url_it_is_the_host_that_was_asked_for_at_the_port_of_https() {
    let cases = [
        (443, "pay.example.com", "https://pay.example.com/x"),
        (443, "pay.example.com:80", "https://pay.example.com/x"),
        (8443, "pay.example.com:8080", "https://pay.example.com:8443/x"),
        (8443, "192.0.2.1", "https://192.0.2.1:8443/x"),
        (443, "[2001:db8::1]", "https://[2001:db8::1]/x"),
        (8443, "[2001:db8::1]:80", "https://[2001:db8::1]:8443/x"),
    ];
    for (port, host, expected) in cases {
        // A public URL that is not of HTTPS would lead back here.
        let target = Target::new(Some("http://pay.example.com"), port);
        assert_eq!(location(&target, "/x", Some(host)).as_deref(), Ok(expected));
    }
}

#[test]
fn a_host_that_is_none_is_refused() {
    let target = Target::SameHost(443);
    for host in [
        "",
        ":80",
        "a b",
        "pay.example.com/evil",
        "user@evil.example",
        "evil.example#",
        "evil.example\\",
        "evil.example?x",
        "pay..example",
        "-a.example",
        "a.example:x",
        "a.example:+1",
        "a.example:80:80",
        "[::1",
        "[::1]x",
        "[evil.example]",
        "2001:db8::1",
        &"a".repeat(64),
        &"a.".repeat(127),
    ] {
        assert_eq!(
            location(&target, "/", Some(host)),
            Err(ApiError::BadHost),
            "{host}"
        );
    }
    assert_eq!(location(&target, "/", None), Err(ApiError::BadHost));
}

#[test]
fn an_authorization_or_a_session_cookie_is_a_credential_and_nothing_else_is() {
    for credential in [
        ("authorization", ""),
        ("authorization", "Basic dTpw"),
        ("cookie", "session=x"),
        ("cookie", "a=b; __Host-session=x"),
        ("cookie", "a=b;session"),
    ] {
        assert!(bears_credential(&headers(&[credential])), "{credential:?}");
    }
    let two = headers(&[("cookie", "a=b"), ("cookie", "session=x")]);
    assert!(bears_credential(&two), "HTTP/2 may split cookies");
    for harmless in [("cookie", "a=session; sessions=x"), ("x-session", "session=x")] {
        assert!(!bears_credential(&headers(&[harmless])), "{harmless:?}");
    }
}

#[test]
fn keys_are_found_whatever_scheme_stands_before_them() {
    let key = "sk_F67VuXSkp3EZrn02ZR5lQrjiorc4K5C8xE3UJcQF";
    let count = |of: &[(&'static str, &str)]| keys(&headers(of)).count();
    for value in [key.to_owned(), format!("Bearer {key}"), format!("bearer  {key}")] {
        assert_eq!(count(&[("authorization", &value)]), 1, "{value}");
    }
    assert_eq!(count(&[("authorization", "Bearer sk_nonsense")]), 0);
    let many = format!("{key} {key} {key} {key}");
    assert_eq!(count(&[("authorization", &many)]), KEYS_OF_A_REQUEST);
}
