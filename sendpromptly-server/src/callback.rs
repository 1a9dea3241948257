//! The guarded client: whatever the server calls over HTTP it calls through this.
//!
//! Customers choose the address that this server calls, so each call is a chance to reach what only the server can
//! reach. The guard is one path without a way around it:
//!
//! - [`RepairUrl`] is the one URL type from validation to dial: what was checked is what is called.
//! - [`AddressPolicy`] decides which addresses may be called; public ones, unless the operator says otherwise.
//! - [`CallbackClient`] resolves, checks and connects as one step, so a name server cannot change its mind between.
//!   It follows no redirect, asks no proxy, keeps no connection, and reads a bounded part of the answer.
//!
//! The rules as customers and operators see them are in `docs/callbacks.md`.

pub mod address;
pub mod client;
pub mod outcome;
mod peer;
pub mod resolver;
pub mod retry_after;
pub mod target;
mod tls;

pub use address::{AddressPolicy, AllowedRange};
pub use client::{CallbackClient, ClientConfig, ClientError};
pub use outcome::{CallOutcome, NetworkErrorKind, ReportedResult};
pub use resolver::{NameResolver, SystemResolver};
pub use retry_after::RetryAfter;
pub use target::{NameCheck, RepairUrl, TargetError};
