//! A million events and a hundred thousand incidents, written by the database itself.

use sendpromptly_tests::sql::Sql;
use sendpromptly_tests::store::StoreKind;

/// Events stored; every tenth has an incident.
pub(crate) const EVENTS: u32 = 1_000_000;
/// The app's own reference of every second event, as an app gives it that does not know better.
pub(crate) const COMMON_REFERENCE: &str = "customer";

/// A place in the list: that of the incident of this event.
pub(crate) fn incident_at(event: u32) -> String {
    format!("inc_{:012x}70000000000000000000", FIRST + u64::from(event))
}

/// When the first event came.
const FIRST: u64 = 1_800_000_000_000;

/// What depends on the database.
struct Words {
    series: String,
    /// An id that was made so many milliseconds after a fixed time.
    id_at: fn(&str) -> String,
    /// 16 bytes that look random and are always the same for the same number.
    digest: fn(&str) -> String,
}

fn words(kind: StoreKind) -> Words {
    match kind {
        StoreKind::Sqlite => Words {
            series: format!(
                "WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < {EVENTS})"
            ),
            id_at: |n| {
                format!("unhex(printf('%012x7%03x8%015x', 1800000000000 + {n}, {n} % 4096, {n} * 7919))")
            },
            digest: |n| format!("unhex(printf('%016x%016x', ({n} * 2654435761) % 4294967296, {n}))"),
        },
        StoreKind::Postgres => Words {
            series: format!("WITH s AS (SELECT n::bigint AS n FROM generate_series(1, {EVENTS}) AS g(n))"),
            id_at: |n| {
                format!(
                    "(lpad(to_hex(1800000000000 + {n}), 12, '0') || '7' || lpad(to_hex({n} % 4096), 3, '0') \
                     || '8' || lpad(to_hex({n} * 7919), 15, '0'))::uuid"
                )
            },
            digest: |n| {
                format!(
                    "(lpad(to_hex(({n} * 2654435761) % 4294967296), 16, '0') || lpad(to_hex({n}), 16, '0'))::uuid"
                )
            },
        },
    }
}

/// Stores them in these projects: all but the last one share them, the last one has three incidents.
pub(crate) async fn fill(sql: &Sql, kind: StoreKind, organization: &str, projects: &[String]) {
    let Words {
        series,
        id_at,
        digest,
    } = words(kind);
    let common = projects.len() - 1;
    let mut project = format!(
        "CASE WHEN n IN (10, 500000, 1000000) THEN {} ELSE CASE n / 10 % {common}",
        projects[common]
    );
    for (number, id) in projects[..common].iter().enumerate() {
        project.push_str(&format!(" WHEN {number} THEN {id}"));
    }
    project.push_str(" END END");
    let provider = "CASE n / 10 % 5 WHEN 0 THEN 'shopify' ELSE 'stripe' END";
    let effect = "CASE WHEN n = 50 THEN 'credit_deduction' ELSE CASE n / 10 % 4 WHEN 0 THEN 'credit_grant' \
                  WHEN 1 THEN 'seat_update' ELSE 'access_unlock' END END";
    let reference = format!("CASE n / 10 % 2 WHEN 0 THEN '{COMMON_REFERENCE}' ELSE 'order-' || n END");
    let (event, named) = (id_at("n"), digest("n"));
    sql.run(&format!(
        "INSERT INTO events (project_id, id, provider, provider_event_digest, provider_event_id, event_type, \
         effect_type, internal_reference, occurred_at, received_at, timeout_at, state, sweep_at) \
         {series} SELECT {project}, {event}, {provider}, {named}, 'evt_' || n, 'invoice.paid', {effect}, \
         {reference}, 1800000000000 + n, 1800000000000 + n, 1800000000000 + n, \
         CASE n % 10 WHEN 0 THEN 'failed' ELSE 'succeeded' END, NULL FROM s"
    ))
    .await;
    let state = "CASE WHEN e.occurred_at = 1800000000050 THEN 'dismissed' WHEN e.occurred_at / 10 % 40 = 0 \
                 THEN 'open' ELSE 'resolved' END";
    let facet = format!(
        "CASE {state} WHEN 'open' THEN 1000 WHEN 'resolved' THEN 3000 ELSE 4000 END \
         + CASE e.provider WHEN 'stripe' THEN 100 ELSE 200 END \
         + CASE e.effect_type WHEN 'access_unlock' THEN 1 WHEN 'credit_grant' THEN 2 WHEN 'seat_update' THEN 3 ELSE 6 END"
    );
    sql.run(&format!(
        "INSERT INTO incidents (project_id, id, event_id, state, reason, opened_at, resolved_at, organization_id, \
         facet, internal_reference, provider_event_digest) \
         SELECT e.project_id, {}, e.id, {state}, 'failed', e.occurred_at, \
         CASE {state} WHEN 'resolved' THEN e.occurred_at END, {organization}, {facet}, e.internal_reference, \
         e.provider_event_digest FROM events e WHERE e.state = 'failed'",
        id_at("(e.occurred_at - 1800000000000)")
    ))
    .await;
    // What a server's database has after a while anyway: statistics, and a log that was written back.
    sql.run(match kind {
        StoreKind::Sqlite => "PRAGMA wal_checkpoint(PASSIVE)",
        StoreKind::Postgres => "VACUUM (ANALYZE) events, incidents",
    })
    .await;
}
