//! `/orgs/{org}`: how an organization stands, and what happened lately.

use askama::Template;
use sendpromptly_core::access::Role;
use sendpromptly_core::incident::IncidentState;
use sendpromptly_core::time::{HOUR_MS, Timestamp};

use super::access::Seat;
use super::page::{self, Frame, Nav};
use super::when::{When, words};
use super::{PageError, Visit};
use crate::http::Response;
use crate::store::incident_list::Count;
use crate::store::overview::{Period, Slots, Standing};

mod drawing;
#[cfg(test)]
mod tests;

use drawing::Drawing;

/// How far back the figures go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Span {
    Day,
    Week,
    Month,
}

impl Span {
    const ALL: [Self; 3] = [Self::Day, Self::Week, Self::Month];

    /// The word in the address.
    const fn word(self) -> &'static str {
        match self {
            Self::Day => "24h",
            Self::Week => "7d",
            Self::Month => "30d",
        }
    }

    const fn label(self) -> &'static str {
        match self {
            Self::Day => "24 hours",
            Self::Week => "7 days",
            Self::Month => "30 days",
        }
    }

    fn parse(word: &str) -> Self {
        let found = Self::ALL.into_iter().find(|span| span.word() == word);
        found.unwrap_or(Self::Day)
    }

    /// The slots up to the one that `now` lies in. Those of a day or a part of one begin with it, in UTC.
    const fn slots(self, now: Timestamp) -> Slots {
        let (hours, count) = match self {
            Self::Day => (1, 24),
            Self::Week => (6, 28),
            Self::Month => (24, 30),
        };
        let width = hours as i64 * HOUR_MS;
        let last = now.as_millis() - now.as_millis().rem_euclid(width);
        let from = Timestamp::from_millis(last - (count as i64 - 1) * width);
        Slots { from, hours, count }
    }
}

#[derive(Template)]
#[template(path = "overview.html")]
struct OverviewPage {
    frame: Frame,
    path: String,
    /// Where the page listens to what changes.
    live: String,
    /// The page itself.
    page: String,
    may_make: bool,
    spans: Vec<SpanLink>,
    since: When,
    standing: Standing,
    open: Count,
    reprocessing: Count,
    oldest: Option<Oldest>,
    totals: Totals,
    /// Up to when older events are counted, while they are.
    counted_until: Option<When>,
    drawings: Vec<Drawing>,
}

struct SpanLink {
    word: &'static str,
    label: &'static str,
    current: bool,
}

struct Oldest {
    incident: String,
    age: String,
    since: When,
}

struct Totals {
    events: u64,
    opened: u64,
    repaired: u64,
    median: Option<String>,
}

/// Shows it.
///
/// # Errors
/// [`PageError`] by its cause.
pub async fn show(visit: Visit, seat: Seat) -> Result<Response, PageError> {
    let span = Span::parse(visit.query.text("period"));
    let slots = span.slots(visit.now);
    // The place in the log comes first: what changes after it is told to the page.
    let seq = visit.store().chain(seat.scope.id()).head().await?.seq;
    let store = visit.store();
    let (standing, period, open, reprocessing, oldest) = tokio::try_join!(
        store.standing(seat.scope),
        store.period(seat.scope, slots, visit.now),
        store.count_incidents(seat.scope, IncidentState::Open),
        store.count_incidents(seat.scope, IncidentState::Reprocessing),
        store.oldest_open(seat.scope),
    )?;
    page::page(&OverviewPage {
        frame: visit.frame_of(&seat, "Overview", Nav::Overview),
        path: seat.path(""),
        live: format!("{}?since={seq}", seat.path("/live")),
        page: visit.target.clone(),
        may_make: seat.role >= Role::Admin,
        spans: Span::ALL.map(|each| link(each, span)).into(),
        since: When::of(slots.from),
        open,
        reprocessing,
        oldest: oldest.map(|waiting| Oldest {
            incident: waiting.incident.to_string(),
            age: words(visit.now.since(waiting.opened_at)),
            since: When::of(waiting.opened_at),
        }),
        standing,
        totals: totals(&period),
        counted_until: period.counted_until.map(When::of),
        drawings: drawing::all(span, slots, &period),
    })
}

fn link(span: Span, shown: Span) -> SpanLink {
    SpanLink {
        word: span.word(),
        label: span.label(),
        current: span == shown,
    }
}

fn totals(period: &Period) -> Totals {
    let total = period.total();
    Totals {
        events: total.events,
        opened: total.opened,
        repaired: total.repairs.total(),
        median: total.repairs.percentile(50).map(words),
    }
}
