//! Which tables an organization is taken out of, with which columns; and which are left out, and why. A test holds
//! both lists against the tables that there are.

/// A table that is taken out.
#[derive(Debug)]
pub struct Table {
    /// The table, and the name of its file.
    pub name: &'static str,
    pub(super) columns: &'static [Column],
    /// What to read from; the table is called `t`.
    pub(super) from: &'static str,
    pub(super) whose: Whose,
    /// What orders the rows of one owner.
    pub(super) key: &'static [Key],
    /// The column that is opened where that is asked for.
    pub(super) sealed: Option<SealedColumn>,
}

impl Table {
    /// Whether it holds nothing but what is sealed, so that without opening there is nothing to take.
    #[must_use]
    pub fn is_sealed_whole(&self) -> bool {
        self.name == SNAPSHOTS
    }
}

/// The table of receipts' payloads.
const SNAPSHOTS: &str = "snapshots";

/// Whose rows a table holds.
#[derive(Debug, Clone, Copy)]
pub(super) enum Whose {
    /// The organization's, by this column.
    Organization(&'static str),
    /// A project's.
    Project,
}

/// A part of the key.
#[derive(Debug, Clone, Copy)]
pub(super) enum Key {
    Id(&'static str),
    Int(&'static str),
}

impl Key {
    pub(super) const fn sql(&self) -> &'static str {
        match self {
            Self::Id(column) | Self::Int(column) => column,
        }
    }
}

#[derive(Debug)]
pub(super) struct Column {
    pub(super) name: &'static str,
    pub(super) sql: &'static str,
    pub(super) form: Form,
}

/// How a column is written.
#[derive(Debug, Clone, Copy)]
pub(super) enum Form {
    /// 16 bytes, as this prefix and hex digits.
    Id(&'static str),
    /// RFC 3339.
    Time,
    Number,
    Flag,
    Text,
    /// A URL, without the path and what follows.
    Origin,
}

/// A column that holds sealed values.
#[derive(Debug, Clone, Copy)]
pub struct SealedColumn {
    /// The field under which it is written, opened.
    pub name: &'static str,
    /// What it was sealed for.
    pub content: Content,
    pub(super) sql: &'static str,
    /// The id of the row that it was sealed for.
    pub(super) row: &'static str,
}

/// What a sealed column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// The first bytes of an endpoint's answer.
    Answer,
    /// The payload of a receipt.
    Payload,
}

const fn column(name: &'static str, sql: &'static str, form: Form) -> Column {
    Column { name, sql, form }
}

use Form::{Flag, Id, Number, Origin, Text, Time};

const PROJECT: Column = column("project_id", "t.project_id", Id("prj_"));

/// What is taken out.
#[rustfmt::skip] // a table is read by its rows
pub static TAKEN: &[Table] = &[
    Table {
        name: "organizations",
        columns: &[
            column("organization_id", "t.id", Id("org_")),
            column("name", "t.name", Text),
            column("requires_second_factor", "t.requires_second_factor", Flag),
            column("created_at", "t.created_at", Time),
            column("deletion_due_at", "t.deletion_due_at", Time),
            column("stripe_customer", "t.stripe_customer", Text),
            column("stripe_subscription", "t.stripe_subscription", Text),
            column("subscription_status", "t.subscription_status", Text),
            column("past_due_since", "t.past_due_since", Time),
            column("paid_until", "t.paid_until", Time),
            column("subscriptions_alive", "t.subscriptions_alive", Number),
            column("checkout_url", "t.checkout_url", Origin),
            column("checkout_expires_at", "t.checkout_expires_at", Time),
        ],
        from: "organizations t",
        whose: Whose::Organization("t.id"),
        key: &[Key::Id("t.id")],
        sealed: None,
    },
    Table {
        name: "members",
        columns: &[
            column("user_id", "t.user_id", Id("usr_")),
            column("email", "u.email", Text),
            column("role", "t.role", Text),
            column("member_since", "t.created_at", Time),
            column("second_factor_since", "f.confirmed_at", Time),
        ],
        from: "members t JOIN users u ON u.id = t.user_id LEFT JOIN second_factors f ON f.user_id = t.user_id",
        whose: Whose::Organization("t.organization_id"),
        key: &[Key::Id("t.user_id")],
        sealed: None,
    },
    Table {
        name: "invitations",
        columns: &[
            column("invitation_id", "t.id", Id("")),
            column("email", "t.email", Text),
            column("role", "t.role", Text),
            column("invited_by", "t.invited_by", Id("usr_")),
            column("created_at", "t.created_at", Time),
            column("expires_at", "t.expires_at", Time),
        ],
        from: "invitations t",
        whose: Whose::Organization("t.organization_id"),
        key: &[Key::Id("t.id")],
        sealed: None,
    },
    Table {
        name: "projects",
        columns: &[
            column("project_id", "t.id", Id("prj_")),
            column("name", "t.name", Text),
            column("mode", "t.mode", Text),
            column("repair_url_origin", "t.repair_url", Origin),
            column("timeout_minutes", "t.timeout_minutes", Number),
            column("reprocess_timeouts", "t.reprocess_timeouts", Number),
            column("keep_answers", "t.keep_answers", Flag),
            column("keep_snapshots", "t.keep_snapshots", Flag),
            column("send_payload", "t.send_payload", Flag),
            column("events_kept_days", "t.events_kept_days", Number),
            column("escalate_minutes", "t.escalate_minutes", Number),
            column("silence_minutes", "t.silence_minutes", Number),
            column("stripe_mapping", "(SELECT m.mapping FROM provider_mappings m WHERE m.project_id = t.id AND m.provider = 'stripe')", Text),
            column("shopify_mapping", "(SELECT m.mapping FROM provider_mappings m WHERE m.project_id = t.id AND m.provider = 'shopify')", Text),
            column("created_at", "t.created_at", Time),
        ],
        from: "(SELECT * FROM projects WHERE deleted_at IS NULL) t",
        whose: Whose::Organization("t.organization_id"),
        key: &[Key::Id("t.id")],
        sealed: None,
    },
    Table {
        name: "alert_destinations",
        columns: &[
            column("alert_id", "t.id", Id("alr_")),
            PROJECT,
            column("channel", "t.channel", Text),
            column("to", "t.shown", Text),
            column("escalation", "t.escalation", Flag),
            column("sent_at", "t.sent_at", Time),
            column("failed_at", "t.failed_at", Time),
            column("failure", "t.failure", Text),
            column("given_up", "t.given_up", Number),
            column("created_at", "t.created_at", Time),
        ],
        from: "alert_destinations t",
        whose: Whose::Project,
        key: &[Key::Id("t.id")],
        sealed: None,
    },
    Table {
        name: "api_keys",
        columns: &[
            column("key_id", "t.id", Id("key_")),
            PROJECT,
            column("hint", "t.hint", Text),
            column("scope", "t.scope", Text),
            column("created_at", "t.created_at", Time),
            column("revoked_at", "t.revoked_at", Time),
            column("exposed_at", "t.exposed_at", Time),
        ],
        from: "api_keys t",
        whose: Whose::Project,
        key: &[Key::Id("t.id")],
        sealed: None,
    },
    Table {
        name: "events",
        columns: &[
            column("event_id", "t.id", Id("evt_")),
            PROJECT,
            column("provider", "t.provider", Text),
            column("provider_event_id", "t.provider_event_id", Text),
            column("event_type", "t.event_type", Text),
            column("effect_type", "t.effect_type", Text),
            column("internal_reference", "t.internal_reference", Text),
            column("shopify_shop_domain", "t.shop_domain", Text),
            column("occurred_at", "t.occurred_at", Time),
            column("received_at", "t.received_at", Time),
            column("timeout_at", "t.timeout_at", Time),
            column("state", "t.state", Text),
            column("differs", "t.differs", Text),
        ],
        from: "events t",
        whose: Whose::Project,
        key: &[Key::Id("t.id")],
        sealed: None,
    },
    Table {
        name: SNAPSHOTS,
        columns: &[
            PROJECT,
            column("event_id", "t.event_id", Id("evt_")),
            column("received_at", "t.received_at", Time),
        ],
        // Those of an earlier era were deleted.
        from: "snapshots t JOIN projects p ON p.id = t.project_id AND p.snapshot_era = t.era",
        whose: Whose::Project,
        key: &[Key::Id("t.event_id")],
        sealed: Some(SealedColumn {
            name: "payload",
            content: Content::Payload,
            sql: "t.sealed",
            row: "t.event_id",
        }),
    },
    Table {
        name: "results",
        columns: &[
            column("result_id", "t.id", Id("")),
            PROJECT,
            column("event_id", "t.event_id", Id("evt_")),
            column("status", "t.effect", Text),
            column("error_code", "t.error_code", Text),
            column("error_message", "t.error_message", Text),
            column("replay_id", "t.replay_id", Id("rpl_")),
            column("received_at", "t.received_at", Time),
        ],
        from: "results t",
        whose: Whose::Project,
        key: &[Key::Id("t.event_id"), Key::Id("t.id")],
        sealed: None,
    },
    Table {
        name: "incidents",
        columns: &[
            column("incident_id", "t.id", Id("inc_")),
            PROJECT,
            column("event_id", "t.event_id", Id("evt_")),
            column("state", "t.state", Text),
            column("reason", "t.reason", Text),
            column("opened_at", "t.opened_at", Time),
            column("resolved_at", "t.resolved_at", Time),
            column("settled_at", "t.settled_at", Time),
        ],
        from: "incidents t",
        whose: Whose::Project,
        key: &[Key::Id("t.id")],
        sealed: None,
    },
    Table {
        name: "notes",
        columns: &[
            column("note_id", "t.id", Id("")),
            PROJECT,
            column("incident_id", "t.incident_id", Id("inc_")),
            column("author_id", "t.author_id", Id("usr_")),
            column("text", "t.text", Text),
            column("created_at", "t.created_at", Time),
        ],
        from: "notes t",
        whose: Whose::Project,
        key: &[Key::Id("t.incident_id"), Key::Id("t.id")],
        sealed: None,
    },
    Table {
        name: "told_alerts",
        columns: &[
            PROJECT,
            column("incident_id", "t.incident_id", Id("inc_")),
            column("message_id", "t.id", Id("msg_")),
            column("alert_id", "t.destination_id", Id("alr_")),
            column("channel", "t.channel", Text),
            column("news", "t.news", Text),
            column("incidents", "t.incidents", Number),
            column("named", "t.named", Flag),
            column("tries", "t.tries", Number),
            column("ended_at", "t.ended_at", Time),
            column("failure", "t.failure", Text),
        ],
        from: "told_alerts t",
        whose: Whose::Project,
        key: &[Key::Id("t.incident_id"), Key::Id("t.id")],
        sealed: None,
    },
    Table {
        name: "replays",
        columns: &[
            column("replay_id", "t.id", Id("rpl_")),
            PROJECT,
            column("incident_id", "t.incident_id", Id("inc_")),
            column("event_id", "t.event_id", Id("evt_")),
            column("state", "t.state", Text),
            column("attempts", "t.attempts", Number),
            column("last_status", "t.last_status", Number),
            column("next_attempt_at", "t.next_attempt_at", Time),
            column("answer_due_at", "t.answer_due_at", Time),
            column("with_payload", "t.with_payload", Flag),
            column("unasked", "t.unasked", Flag),
            column("body", "t.body", Text),
            column("created_at", "t.created_at", Time),
        ],
        from: "replays t",
        whose: Whose::Project,
        key: &[Key::Id("t.id")],
        sealed: None,
    },
    Table {
        name: "attempts",
        columns: &[
            PROJECT,
            column("replay_id", "t.replay_id", Id("rpl_")),
            column("number", "t.number", Number),
            column("started_at", "t.started_at", Time),
            column("ended_at", "t.ended_at", Time),
            column("outcome", "t.outcome", Text),
            column("status", "t.status", Number),
            column("duration_ms", "t.duration_ms", Number),
        ],
        from: "attempts t",
        whose: Whose::Project,
        key: &[Key::Id("t.replay_id"), Key::Int("t.number")],
        sealed: Some(SealedColumn {
            name: "answer_head",
            content: Content::Answer,
            sql: "t.answer_head",
            row: "t.lease_token",
        }),
    },
    Table {
        name: "hourly_counts",
        columns: &[
            PROJECT,
            column("hour", "t.hour", Time),
            column("events", "t.events", Number),
            column("incidents_opened", "t.opened", Number),
        ],
        from: "hourly_counts t",
        whose: Whose::Project,
        key: &[Key::Int("t.hour")],
        sealed: None,
    },
    Table {
        name: "hourly_repairs",
        columns: &[
            PROJECT,
            column("hour", "t.hour", Time),
            column("step", "t.step", Number),
            column("repairs", "t.repairs", Number),
        ],
        from: "hourly_repairs t",
        whose: Whose::Project,
        key: &[Key::Int("t.hour"), Key::Int("t.step")],
        sealed: None,
    },
];

/// The tables of the audit log, which has a form of its own that proves itself.
pub const AUDIT: &[&str] = &["audit_entries", "audit_details"];

/// What is left out, and why.
pub const LEFT_OUT: &[(&str, &str)] = &[
    ("alert_changes", "news that are handed on within seconds"),
    ("alert_escalations", "when an incident will be too long open"),
    (
        "alert_queue",
        "news that an earlier version has queued, handed on within seconds",
    ),
    (
        "alert_news",
        "what the next alerts will tell, and for a minute what the last have told",
    ),
    (
        "retained",
        "when what was old was last dropped, of all organizations",
    ),
    (
        "audit_heads",
        "where the audit log ends, which its last line says",
    ),
    ("audit_prunes", "holds rows only while a log is pruned"),
    ("counted", "how far the server has counted, of all organizations"),
    ("data_keys", "secret"),
    (
        "erasures",
        "what is still to be erased is no longer the organization's",
    ),
    ("failed_sign_ins", "the users' own; the audit log tells of them"),
    (
        "guesses",
        "digests of who guessed, for the time that a wait lasts",
    ),
    (
        "idempotency",
        "digests and answers of the last 24 hours; what was accepted is in events and results",
    ),
    ("known_devices", "the users' own"),
    ("links", "secret, and good for days"),
    ("mail_rates", "digests, for an hour"),
    (
        "orders",
        "digests of forms that were sent; what they ordered is in replays",
    ),
    ("outbox", "sealed mails that are on their way"),
    (
        "project_calls",
        "how an endpoint fares at the moment; its calls are in attempts",
    ),
    (
        "provider_mappings",
        "settings of projects, and taken out with these",
    ),
    ("provider_secrets", "secret; the provider shows it"),
    ("recovery_codes", "hashes of secrets"),
    ("seaql_migrations", "which form the tables have"),
    ("second_factor_proposals", "secret"),
    (
        "second_factors",
        "secret; since when a member has one is in members",
    ),
    ("sessions", "the users' own"),
    ("sign_ups", "of people who belong to no organization yet"),
    ("signing_secrets", "secret; a new one can be made"),
    (
        "stripe_events",
        "what Stripe told; what follows from it is in organizations",
    ),
    (
        "stripe_subscriptions",
        "what Stripe answered; what follows from it is in organizations",
    ),
    ("told_messages", "what is noted in told_alerts within seconds"),
    ("used_forms", "ids of forms that were sent"),
    (
        "users",
        "the users' own; the address of each member is in members",
    ),
];
