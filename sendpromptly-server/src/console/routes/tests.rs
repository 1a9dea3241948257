//! The table of the console's paths, held against the rules that every row keeps.

use super::*;

#[test]
fn every_path_can_be_reached_and_stands_once_for_each_method() {
    for route in ROUTES {
        let path = route.path.replace(['{', '}'], "");
        let found = find(route.method, &path).unwrap();
        assert_eq!(found.route.path, route.path);
        let same = ROUTES
            .iter()
            .filter(|other| other.path == route.path && other.method == route.method);
        assert_eq!(same.count(), 1, "{} {}", route.method, route.path);
    }
}

#[test]
fn what_belongs_to_an_organization_is_for_its_members_and_nothing_else_is() {
    for route in ROUTES {
        let of_organization = route.path.starts_with("/orgs/{org}");
        assert_eq!(
            matches!(route.door, Door::Member(..)),
            of_organization,
            "{}",
            route.path
        );
    }
}

#[test]
fn what_is_sensitive_takes_a_code_or_the_password() {
    const SENSITIVE: &[&str] = &[
        "billing",
        "delete",
        "email",
        "invitations",
        "invite",
        "keep",
        "keys",
        "leave",
        "password",
        "remove",
        "repair-url",
        "retention",
        "role",
        "second-factor",
        "secret",
        "security",
        "snapshot",
        "snapshots",
    ];
    // A new project comes with its first key.
    const MAKES_A_KEY: &str = "/orgs/{org}/projects";
    for route in ROUTES.iter().filter(|route| *route.method != Method::GET) {
        let mut parts = route.path.split('/');
        let is_sensitive = parts.any(|part| SENSITIVE.contains(&part)) || route.path == MAKES_A_KEY;
        let asks = !matches!(
            route.door,
            Door::SignedIn(StepUp::No, _) | Door::Member(_, StepUp::No, _)
        );
        assert!(asks || !is_sensitive, "{} {}", route.method, route.path);
    }
}

#[test]
fn another_method_is_told_which_ones_there_are() {
    let refused = find(&Method::DELETE, "/").err();
    assert_eq!(refused, Some(ApiError::MethodNotAllowed("GET, HEAD".to_owned())));
    assert!(matches!(find(&Method::GET, "/orgs/"), Err(ApiError::NotFound)));
}
