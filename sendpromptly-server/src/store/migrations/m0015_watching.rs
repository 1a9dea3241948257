//! Incidents that are not settled, for those who watch the whole server.

use super::step;

step! {
    "m0015_watching":
    "CREATE INDEX incidents_unsettled ON incidents (state, opened_at) WHERE state IN ('open', 'reprocessing')",
}
