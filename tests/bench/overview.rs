//! The overview and the audit log among many: how long a page takes at the server, as a browser gets it.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use sendpromptly_tests::browser::Browser;
use sendpromptly_tests::people::owner;
use sendpromptly_tests::server::Options;
use sendpromptly_tests::sql::Sql;
use sendpromptly_tests::store::StoreKind;
use sendpromptly_tests::world::World;

use crate::pages::time;
use crate::report::{Report, median};

/// Events stored, and as many entries of the audit log; every tenth event has an incident.
const EVENTS: u64 = 1_000_000;
/// They are spread over so many milliseconds before now.
const SPAN: u64 = 29 * 24 * 3_600_000;

pub(crate) async fn measure(report: &mut Report) {
    for (name, kind) in [("PostgreSQL", StoreKind::Postgres), ("SQLite", StoreKind::Sqlite)] {
        let world = World::start_with(kind, &Options::quick(), &[]).await;
        let fill = Fill::new(&world, kind).await;
        fill.events().await;
        fill.entries().await;
        let mut browser = owner(&world).await;
        let path = format!("/orgs/{}", world.organization);
        let counted = wait_until_counted(&mut browser, &path).await;
        println!("{name}: counted {EVENTS} events of 29 days within {counted:.0?} beside everything else");
        for (what, limit, pages) in [
            (
                "overview over 1,000,000 events and 100,000 repairs",
                "50 ms",
                overview(&path),
            ),
            ("audit log of 1,000,000 entries", "50 ms", audit(&path, fill.now)),
        ] {
            let (all, worst) = times(&mut browser, &pages).await;
            report.add(
                &format!("{name}: the {what}, median of its pages, and the slowest"),
                format!("**{all:.1} ms**, {:.1} ms ({})", worst.0, worst.1),
                limit,
                "20 ms",
            );
        }
    }
}

fn overview(path: &str) -> Vec<String> {
    ["24h", "7d", "30d"]
        .map(|period| format!("{path}?period={period}"))
        .into()
}

fn audit(path: &str, now: u64) -> Vec<String> {
    let day = |ago: u64| {
        let days = i64::try_from(now / 86_400_000 - ago).unwrap();
        date(days)
    };
    let filters = [
        String::new(),
        "before=500000".to_owned(),
        "actor=cli:ada".to_owned(),
        "actor=cli:nobody".to_owned(),
        "action=incident.resolved".to_owned(),
        "action=member.role_changed".to_owned(),
        "target=inc_70000".to_owned(),
        format!("from={}&to={}", day(20), day(19)),
        format!("action=member.role_changed&to={}", day(15)),
        // Both are frequent, and no entry has both: as many are looked at as are at most.
        "actor=cli:ada&action=incident.opened".to_owned(),
    ];
    filters.map(|filter| format!("{path}/audit?{filter}")).into()
}

/// A day since the epoch as `2026-11-25` (the civil calendar, by the days of 400 years).
fn date(days: i64) -> String {
    let (era, day) = ((days + 719_468) / 146_097, (days + 719_468) % 146_097);
    let year_of_era = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

/// The median of all pages, and the slowest page with its address.
async fn times(browser: &mut Browser, pages: &[String]) -> (f64, (f64, String)) {
    let mut all = Vec::new();
    for path in pages {
        let took = time(browser, path).await;
        let query = path.split_once('?').map_or("", |(_, query)| query).to_owned();
        println!("  {took:6.2} ms  {query}");
        all.push((took, query));
    }
    let worst = all.iter().max_by(|one, other| one.0.total_cmp(&other.0));
    let worst = worst.cloned().unwrap_or_default();
    (median(all.into_iter().map(|(took, _)| took).collect()), worst)
}

async fn wait_until_counted(browser: &mut Browser, path: &str) -> Duration {
    let start = Instant::now();
    loop {
        let page = browser.get(&format!("{path}?period=30d")).await.ok();
        if page.text_of("[data-test=events]") == EVENTS.to_string() {
            return start.elapsed();
        }
        assert!(start.elapsed() < Duration::from_secs(300), "{}", page.text());
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// Writes them by the database itself.
struct Fill {
    sql: Sql,
    kind: StoreKind,
    organization: String,
    projects: [String; 2],
    now: u64,
}

impl Fill {
    async fn new(world: &World, kind: StoreKind) -> Self {
        let sql = world.sql().await;
        let second = world.cli.create_project(&world.organization, &[]).await.id;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
        Self {
            organization: sql.id(&world.organization),
            projects: [sql.id(&world.project.id), sql.id(&second)],
            sql,
            kind,
            now: u64::try_from(now).unwrap() - 300_000,
        }
    }

    fn series(&self) -> String {
        match self.kind {
            StoreKind::Sqlite => {
                format!("WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < {EVENTS})")
            }
            StoreKind::Postgres => {
                format!("WITH s AS (SELECT n::bigint AS n FROM generate_series(1, {EVENTS}) AS g(n))")
            }
        }
    }

    /// When the n-th of them happened.
    fn at(&self) -> String {
        format!("({} + n * {SPAN} / {EVENTS})", self.now - SPAN)
    }

    /// 16 bytes that begin with this number and end with the other.
    fn id(&self, first: &str, last: &str) -> String {
        match self.kind {
            StoreKind::Sqlite => {
                format!("unhex(printf('%012x7%03x8%015x', {first}, {last} % 4096, {last} * 7919))")
            }
            StoreKind::Postgres => format!(
                "(lpad(to_hex({first}), 12, '0') || '7' || lpad(to_hex({last} % 4096), 3, '0') || '8' \
                 || lpad(to_hex({last} * 7919), 15, '0'))::uuid"
            ),
        }
    }

    async fn events(&self) {
        let (series, at) = (self.series(), self.at());
        let (event, digest) = (self.id(&at, "n"), self.id("(n * 2654435761) % 4294967296", "n"));
        let project = format!(
            "CASE n / 10 % 2 WHEN 0 THEN {} ELSE {} END",
            self.projects[0], self.projects[1]
        );
        self.sql
            .run(&format!(
                "INSERT INTO events (project_id, id, provider, provider_event_digest, provider_event_id, event_type, \
                 effect_type, internal_reference, occurred_at, received_at, timeout_at, state, sweep_at) \
                 {series} SELECT {project}, {event}, 'stripe', {digest}, 'evt_' || n, 'invoice.paid', 'access_unlock', \
                 'order-' || n, {at}, {at}, {at}, CASE n % 10 WHEN 0 THEN 'failed' ELSE 'succeeded' END, NULL FROM s"
            ))
            .await;
        let took = "(e.occurred_at % 7 * e.occurred_at % 14400000)";
        let id = self.id("e.occurred_at", "(e.occurred_at / 10)");
        self.sql
            .run(&format!(
                "INSERT INTO incidents (project_id, id, event_id, state, reason, opened_at, resolved_at, organization_id, \
                 facet, internal_reference, provider_event_digest) \
                 SELECT e.project_id, {id}, e.id, CASE e.occurred_at % 40 WHEN 0 THEN 'open' ELSE 'resolved' END, 'failed', \
                 e.occurred_at, CASE e.occurred_at % 40 WHEN 0 THEN NULL ELSE e.occurred_at + {took} END, {}, CASE e.occurred_at % 40 WHEN 0 THEN 1101 ELSE 3101 END, \
                 e.internal_reference, e.provider_event_digest FROM events e WHERE e.state = 'failed'",
                self.organization
            ))
            .await;
        // The server has counted an empty store already.
        self.sql.run("DELETE FROM counted").await;
    }

    async fn entries(&self) {
        let (series, at) = (self.series(), self.at());
        let id = self.id(&at, "n");
        let hash = match self.kind {
            StoreKind::Sqlite => "zeroblob(32)",
            StoreKind::Postgres => "decode(repeat('00', 32), 'hex')",
        };
        let organization = &self.organization;
        let last = format!("SELECT max(seq) AS n FROM audit_entries WHERE organization_id = {organization}");
        let first = self.sql.count(&last).await;
        self.sql
            .run(&format!(
                "INSERT INTO audit_entries (organization_id, seq, id, at, actor, action, target, commitment, prev, hash) \
                 {series} SELECT {organization}, {first} + n, {id}, {at}, \
                 CASE n % 10 WHEN 0 THEN 'cli:ada' ELSE 'system:sweep' END, \
                 CASE WHEN n % 100000 = 0 THEN 'member.role_changed' WHEN n % 2 = 0 THEN 'incident.resolved' \
                 ELSE 'incident.opened' END, 'inc_' || n / 10, {hash}, {hash}, {hash} FROM s"
            ))
            .await;
        self.sql
            .run(&format!(
                "UPDATE audit_heads SET seq = {first} + {EVENTS}, at = {} WHERE organization_id = {organization}",
                self.now
            ))
            .await;
        // What a server's database has after a while anyway: statistics, and a log that was written back.
        self.sql
            .run(match self.kind {
                StoreKind::Sqlite => "PRAGMA wal_checkpoint(PASSIVE)",
                StoreKind::Postgres => "VACUUM (ANALYZE) events, incidents, audit_entries",
            })
            .await;
    }
}
