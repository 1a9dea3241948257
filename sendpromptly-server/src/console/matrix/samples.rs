//! For every form of the console, fields with which it does what it is for, and what the audit log then tells.

use crate::console::routes::Route;
use crate::testing::console::PASSWORD;
use crate::testing::estate::Estate;

/// What the audit log tells of a form that was taken.
#[derive(Debug, Clone, Copy)]
pub(super) enum Told {
    /// This action.
    Action(&'static str),
    /// Nothing, for it changes nothing that is audited.
    Nothing,
    /// It takes a code or a mailed link that is right; `tests/it` has both.
    Elsewhere,
}

use Told::{Action, Elsewhere, Nothing};

/// A form, by its path.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample {
    path: &'static str,
    fields: &'static [(&'static str, &'static str)],
    pub(super) told: Told,
    /// The path of the form that must come first.
    pub(super) first: Option<&'static str>,
}

const fn sample(path: &'static str, fields: &'static [(&'static str, &'static str)], told: Told) -> Sample {
    Sample {
        path,
        fields,
        told,
        first: None,
    }
}

const SAMPLES: &[Sample] = &[
    sample(
        "/sign-in",
        &[("email", "{email}"), ("password", "a wrong password")],
        Action("login.failed"),
    ),
    sample("/sign-out", &[], Action("logout")),
    // A sign-up becomes something when its link is followed.
    sample(
        "/sign-up",
        &[("email", "new@example.com"), ("organization", "New")],
        Nothing,
    ),
    sample("/reset", &[("email", "{email}")], Nothing),
    sample("/links/{token}", &[], Elsewhere),
    sample(
        "/account/password",
        &[
            ("password", PASSWORD),
            ("new_password", "another correct horse"),
            ("repeat_password", "another correct horse"),
        ],
        Action("password.changed"),
    ),
    // The address changes when its link is followed.
    sample("/account/email", &[("email", "new@example.com")], Nothing),
    sample("/account/delete", &[("email", "{email}")], Action("user.deleted")),
    sample("/account/sessions/end-others", &[], Action("session.ended")),
    sample("/account/sessions/{session}/end", &[], Action("session.ended")),
    sample("/sign-in/code", &[], Elsewhere),
    sample("/step-up", &[], Nothing),
    sample("/account/second-factor/begin", &[], Nothing),
    sample("/account/second-factor/set-up", &[], Elsewhere),
    sample(
        "/account/second-factor/recovery-codes",
        &[],
        Action("recovery_codes.made"),
    ),
    sample(
        "/account/second-factor/turn-off",
        &[],
        Action("second_factor.disabled"),
    ),
    sample(
        "/orgs/new",
        &[("name", "Another one")],
        Action("organization.created"),
    ),
    sample(
        "/orgs/{org}/incidents/preview",
        &[("incident", "{incident}")],
        Nothing,
    ),
    sample(
        "/orgs/{org}/incidents/reprocess",
        &[("incident", "{incident}")],
        Action("incident.reprocessed"),
    ),
    sample(
        "/orgs/{org}/incidents/{incident}/reprocess",
        &[],
        Action("incident.reprocessed"),
    ),
    sample(
        "/orgs/{org}/incidents/{incident}/dismiss",
        &[("reason", "asked the customer")],
        Action("incident.dismissed"),
    ),
    Sample {
        first: Some("/orgs/{org}/incidents/{incident}/dismiss"),
        ..sample(
            "/orgs/{org}/incidents/{incident}/reopen",
            &[],
            Action("incident.reopened"),
        )
    },
    sample(
        "/orgs/{org}/incidents/{incident}/notes",
        &[("note", "look at it again")],
        Action("incident.noted"),
    ),
    sample(
        "/orgs/{org}/incidents/{incident}/snapshot",
        &[("reason", "the customer asked")],
        Action("snapshot.read"),
    ),
    sample("/orgs/{org}/audit/export", &[], Action("audit.exported")),
    sample("/orgs/{org}/audit/check", &[], Nothing),
    sample(
        "/orgs/{org}/members/invite",
        &[("email", "new@example.com"), ("role", "viewer")],
        Action("invitation.created"),
    ),
    sample(
        "/orgs/{org}/invitations/{invitation}/resend",
        &[],
        Action("invitation.created"),
    ),
    sample(
        "/orgs/{org}/invitations/{invitation}/revoke",
        &[],
        Action("invitation.revoked"),
    ),
    sample(
        "/orgs/{org}/members/{user}/role",
        &[("role", "operator")],
        Action("member.role_changed"),
    ),
    sample("/orgs/{org}/members/{user}/remove", &[], Action("member.removed")),
    // Both lead to Stripe, which the estate has not; `tests/it` has a double.
    sample("/orgs/{org}/billing/checkout", &[], Elsewhere),
    sample("/orgs/{org}/billing/portal", &[], Elsewhere),
    sample("/orgs/{org}/leave", &[], Action("member.left")),
    sample(
        "/orgs/{org}/settings",
        &[("name", "Another name")],
        Action("organization.changed"),
    ),
    sample(
        "/orgs/{org}/settings/security",
        &[("second_factor", "required")],
        Action("organization.changed"),
    ),
    sample(
        "/orgs/{org}/delete",
        &[("name", "{organization_name}")],
        Action("organization.deletion_ordered"),
    ),
    Sample {
        first: Some("/orgs/{org}/delete"),
        ..sample("/orgs/{org}/keep", &[], Action("organization.kept"))
    },
    sample(
        "/orgs/{org}/projects",
        &[
            ("name", "New"),
            ("mode", "test"),
            ("timeout_minutes", "30"),
            ("repair_url", ""),
        ],
        Action("project.created"),
    ),
    Sample {
        // A call needs a secret to be signed with.
        first: Some("/orgs/{org}/projects/{project}/secret"),
        ..sample(
            "/orgs/{org}/projects/{project}/test",
            &[],
            Action("project.tested"),
        )
    },
    sample(
        "/orgs/{org}/projects/{project}/settings",
        &[
            ("name", "Another name"),
            ("timeout_minutes", "45"),
            ("reprocess_timeouts", "1"),
        ],
        Action("project.changed"),
    ),
    sample(
        "/orgs/{org}/projects/{project}/retention",
        &[("events_kept_days", "400")],
        Action("project.changed"),
    ),
    sample(
        "/orgs/{org}/projects/{project}/repair-url",
        &[("repair_url", "http://127.0.0.1:9/another")],
        Action("project.changed"),
    ),
    sample(
        "/orgs/{org}/projects/{project}/snapshots",
        &[("delete_snapshots", "true")],
        Action("snapshots.deleted"),
    ),
    sample(
        "/orgs/{org}/projects/{project}/alerts",
        &[("channel", "email"), ("to", "ops@example.com")],
        Action("alert.added"),
    ),
    sample(
        "/orgs/{org}/projects/{project}/alerts/minutes",
        &[("escalate_minutes", "30"), ("silence_minutes", "")],
        Action("project.changed"),
    ),
    sample(
        "/orgs/{org}/projects/{project}/alerts/{alert}/test",
        &[],
        Action("alert.tested"),
    ),
    sample(
        "/orgs/{org}/projects/{project}/alerts/{alert}/remove",
        &[],
        Action("alert.removed"),
    ),
    sample(
        "/orgs/{org}/projects/{project}/delete",
        &[("name", "{project_name}")],
        Action("project.deleted"),
    ),
    sample(
        "/orgs/{org}/projects/{project}/keys",
        &[],
        Action("api_key.created"),
    ),
    sample(
        "/orgs/{org}/projects/{project}/keys/{key}/revoke",
        &[],
        Action("api_key.revoked"),
    ),
    sample(
        "/orgs/{org}/projects/{project}/intake/secret",
        &[
            ("provider", "stripe"),
            ("provider_secret", "whsec_0123456789abcdef"),
            ("overlap", "at-once"),
        ],
        Action("intake.secret_set"),
    ),
    sample(
        "/orgs/{org}/projects/{project}/intake/mapping",
        &[("provider", "stripe"), ("mapping", "invoice.paid access_unlock")],
        Action("intake.mapped"),
    ),
    sample(
        "/orgs/{org}/projects/{project}/intake/stop",
        &[("provider", "stripe")],
        Action("intake.stopped"),
    ),
    sample(
        "/orgs/{org}/projects/{project}/secret",
        &[("overlap", "at-once")],
        Action("secret.rotated"),
    ),
];

/// The sample of a form.
///
/// # Panics
/// Where there is none: a new form needs one.
pub(super) fn of(route: &Route) -> &'static Sample {
    by_path(route.path)
}

pub(super) fn by_path(path: &str) -> &'static Sample {
    let found = SAMPLES.iter().find(|sample| sample.path == path);
    found.unwrap_or_else(|| panic!("{path}: no sample of the form"))
}

impl Sample {
    /// Its fields, about this estate, sent by whoever has this e-mail address.
    pub(super) fn fields(&self, estate: &Estate, email: &str) -> Vec<(String, String)> {
        let value = |value: &str| match value.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
            Some("email") => email.to_owned(),
            Some("project_name") => estate.project_name.clone(),
            Some("organization_name") => estate.organization_name.clone(),
            Some(name) => estate.ids[name].clone(),
            None => value.to_owned(),
        };
        let fields = self.fields.iter();
        fields
            .map(|(name, text)| ((*name).to_owned(), value(text)))
            .collect()
    }
}
