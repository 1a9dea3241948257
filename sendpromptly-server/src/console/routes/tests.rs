//! The table of the console's paths, held against the rules that every row keeps.

use super::*;

mod roles;

const fn step_up(route: &Route) -> StepUp {
    match route.door {
        Door::Anyone(_) => StepUp::No,
        Door::SignedIn(step_up, _) | Door::Member(_, step_up, _) => step_up,
    }
}

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
fn what_is_sensitive_takes_a_code_and_the_password_does_only_where_there_may_be_no_second_factor() {
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
        "stop",
    ];
    // A new project comes with its first key; where alerts go may be a secret.
    const SENSITIVE_PATHS: &[&str] = &["/orgs/{org}/projects", "/orgs/{org}/projects/{project}/alerts"];
    const BY_PASSWORD: &[&str] = &[
        "/account/delete",
        "/account/second-factor/begin",
        "/account/second-factor/set-up",
        "/orgs/{org}/billing/checkout",
        "/orgs/{org}/billing/portal",
    ];
    for route in ROUTES {
        let case = format!("{} {}", route.method, route.path);
        let asked = step_up(route);
        let by_password = BY_PASSWORD.contains(&route.path);
        assert_eq!(asked == StepUp::Password, by_password, "{case}");
        let mut parts = route.path.split('/');
        let is_sensitive =
            SENSITIVE_PATHS.contains(&route.path) || parts.any(|part| SENSITIVE.contains(&part));
        let sends = *route.method != Method::GET;
        assert!(!sends || !is_sensitive || asked != StepUp::No, "{case}");
    }
}

#[test]
fn another_method_is_told_which_ones_there_are() {
    let refused = find(&Method::DELETE, "/").err();
    assert_eq!(refused, Some(ApiError::MethodNotAllowed("GET, HEAD".to_owned())));
    assert!(matches!(find(&Method::GET, "/orgs/"), Err(ApiError::NotFound)));
}
