//! Which role each path of an organization takes at least, written out once more: a row of the table that lets in another
//! one by mistake is found here.

use std::collections::BTreeSet;

use super::*;

/// Whoever belongs to it reads, and may leave.
const VIEWER: &[&str] = &[
    "GET ",
    "GET /incidents",
    "GET /incidents/{incident}",
    "GET /leave",
    "POST /leave",
    "GET /live",
    "GET /members",
    "GET /projects",
    "GET /projects/{project}",
];

/// Works on incidents, and sees and tries what that needs.
const OPERATOR: &[&str] = &[
    "POST /incidents/preview",
    "POST /incidents/reprocess",
    "POST /incidents/{incident}/dismiss",
    "POST /incidents/{incident}/notes",
    "POST /incidents/{incident}/reopen",
    "POST /incidents/{incident}/reprocess",
    "POST /incidents/{incident}/snapshot",
    "GET /projects/{project}/alerts",
    "POST /projects/{project}/alerts/{alert}/test",
    "POST /projects/{project}/test",
];

/// All but what is the owner's.
const ADMIN: &[&str] = &[
    "GET /audit",
    "POST /audit/check",
    "POST /audit/export",
    "POST /invitations/{invitation}/resend",
    "POST /invitations/{invitation}/revoke",
    "POST /members/invite",
    "GET /members/{user}",
    "POST /members/{user}/remove",
    "POST /members/{user}/role",
    "POST /projects",
    "GET /projects/new",
    "POST /projects/{project}/alerts",
    "POST /projects/{project}/alerts/minutes",
    "POST /projects/{project}/alerts/{alert}/remove",
    "GET /projects/{project}/delete",
    "POST /projects/{project}/delete",
    "GET /projects/{project}/intake",
    "POST /projects/{project}/intake/mapping",
    "POST /projects/{project}/intake/secret",
    "POST /projects/{project}/intake/stop",
    "POST /projects/{project}/keys",
    "GET /projects/{project}/keys/{key}/revoke",
    "POST /projects/{project}/keys/{key}/revoke",
    "POST /projects/{project}/repair-url",
    "POST /projects/{project}/retention",
    "GET /projects/{project}/secret",
    "POST /projects/{project}/secret",
    "GET /projects/{project}/settings",
    "POST /projects/{project}/settings",
    "POST /projects/{project}/snapshots",
    "GET /settings",
    "POST /settings",
    "GET /settings/security",
    "POST /settings/security",
];

/// Pays, and deletes the organization.
const OWNER: &[&str] = &[
    "GET /billing",
    "POST /billing/checkout",
    "POST /billing/portal",
    "GET /delete",
    "POST /delete",
    "POST /keep",
];

#[test]
fn each_path_of_an_organization_lets_in_the_role_that_is_written_here() {
    let written = [
        (Role::Viewer, VIEWER),
        (Role::Operator, OPERATOR),
        (Role::Admin, ADMIN),
        (Role::Owner, OWNER),
    ];
    let written = written
        .iter()
        .flat_map(|(role, paths)| paths.iter().map(|path| (*role, (*path).to_owned())));
    let written: BTreeSet<_> = written.collect();
    let found: BTreeSet<_> = ROUTES.iter().filter_map(least).collect();
    let other: Vec<_> = found.symmetric_difference(&written).collect();
    assert!(other.is_empty(), "in one of both only: {other:?}");
}

/// The least role that a route takes, with its method and its path within the organization.
fn least(route: &Route) -> Option<(Role, String)> {
    let Door::Member(role, ..) = route.door else {
        return None;
    };
    let path = route.path.strip_prefix("/orgs/{org}").unwrap_or(route.path);
    Some((role, format!("{} {path}", route.method)))
}
