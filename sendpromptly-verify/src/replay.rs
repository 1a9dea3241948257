//! Applying an effect once per `replay_id`.
//!
//! Attempts repeat: an answer gets lost, a callback is retried. There are two ways to apply its effect once.
//!
//! **Transactional**, the advised one, exactly once: insert the `replay_id` under a unique key in the same
//! database transaction as the effect. Where it is there already, answer 2xx and apply nothing. Nothing of
//! this module but [`ReplayId`] is needed for it.
//!
//! **Claim, apply, confirm**, for effects outside of a database (a call to another service, a licence server):
//! a [`ReplayStore`] is told before and after. A process that dies in between leaves the repair *in doubt*,
//! for nobody knows whether the effect happened. It is never tried again by itself: callbacks are answered
//! 503 until a person has [resolved](ReplayStore::resolve) the doubt.
//!
//! ```text
//!           claim          finish(Applied)
//!   free ──────────► running ──────────► applied (kept for 7 days at least)
//!     ▲                │ │                  ▲
//!     │  finish(Failed │ │ finish(InDoubt)  │ resolve(Applied)
//!     ├─── or NotApplied)│ panic, crash     │
//!     │                  ▼                  │
//!     └────────────── in doubt ─────────────┘
//!   resolve(NotApplied)
//! ```

mod id;
mod memory;
mod repair;

use std::error::Error;

pub use id::{InvalidReplayId, ReplayId};
pub use memory::{MemoryClaim, MemoryReplays};
pub use repair::{Outcome, Repair};

/// Where it is kept which repairs have been claimed and applied.
///
/// Each method is one atomic step, also against other processes that use the same store. A store that
/// outlives the process tells a claim that is running from one whose process died: by a lease (longer than
/// any effect takes; a claim older than that is in doubt) or by the start of a process that knows itself to be
/// the only one. A holder that comes after its lease may still confirm or release, for it knows what happened,
/// as long as no person has resolved the doubt.
///
/// The methods may block, as a database does. Where its driver is asynchronous, keep the same steps in a type
/// of your own, between `Endpoint::admit` and the [`Answer`](crate::Answer).
pub trait ReplayStore {
    /// What the store finds a claim by. A new one for each, so that a claim which was resolved by a person
    /// can't be confirmed or released by its late holder.
    type Claim;

    /// Claims a repair, if it is free. `now` is in Unix seconds. Durable when it returns.
    ///
    /// # Errors
    /// [`StoreError`]; nothing is claimed then, or the claim will be in doubt.
    fn claim(&self, id: ReplayId, now: i64) -> Result<Claimed<Self::Claim>, StoreError>;

    /// Records that the effect has been applied. It is kept for 7 days at least.
    ///
    /// # Errors
    /// [`StoreError`]; the claim stays, and will be in doubt.
    fn confirm(&self, claim: Self::Claim) -> Result<(), StoreError>;

    /// Frees the repair, for the effect has certainly not been applied.
    ///
    /// # Errors
    /// [`StoreError`]; the claim stays, and will be in doubt.
    fn release(&self, claim: Self::Claim) -> Result<(), StoreError>;

    /// Records that nobody knows whether the effect has been applied. It is also called while a panic unwinds,
    /// so it must not panic itself; where it can't record, the claim's lease must do.
    fn doubt(&self, claim: Self::Claim);

    /// Ends a doubt: a person has found out. Whether there was one.
    ///
    /// # Errors
    /// [`StoreError`]; the doubt stays.
    fn resolve(&self, id: ReplayId, resolution: Resolution) -> Result<bool, StoreError>;
}

/// What a claim gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claimed<C> {
    /// It is yours: apply the effect, then confirm.
    Fresh(C),
    /// It has been applied: apply nothing, answer 2xx.
    Applied,
    /// Another call is applying it.
    Running,
    /// It was claimed, and nobody knows whether it has been applied.
    InDoubt {
        /// When it was claimed, in Unix seconds.
        since: i64,
    },
}

/// What a person found out about a repair in doubt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Resolution {
    /// The effect was applied.
    Applied,
    /// It was not: the next callback may apply it.
    NotApplied,
}

/// Why a store can't do its part.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// It is full, and forgets nothing before its time.
    #[error("the store of replays is full")]
    Full,
    /// The claim is not held any more: a person has resolved it.
    #[error("the claim is not held any more")]
    ClaimLost,
    /// The store behind it failed.
    #[error("the store of replays failed: {0}")]
    Failed(#[source] Box<dyn Error + Send + Sync>),
}
