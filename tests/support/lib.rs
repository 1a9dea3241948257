//! What the black-box tests stand on: the real program in a process of its own, on a store of its own.
//!
//! Nothing in here comes from the server's crates. The program is started, spoken to and stopped as an
//! operator would do it; its answers are read by a client, and its callbacks checked by an endpoint, that
//! know the documented wire format only.

// A helper that cannot do its part fails the test that asked for it.
#![allow(clippy::unwrap_used, clippy::missing_panics_doc)]

pub mod api;
pub mod audit_chain;
pub mod binary;
pub mod bodies;
pub mod browser;
pub mod chromium;
pub mod command;
pub mod cookies;
pub mod endpoint;
pub mod filled;
pub mod fixture;
pub mod form;
pub mod http;
pub mod http2;
pub mod https;
pub mod mail;
pub mod markup;
pub mod newcomer;
pub mod once;
pub mod page;
pub mod people;
pub mod person;
pub mod postgres;
pub mod provider;
pub mod python;
pub mod server;
pub mod signature;
pub mod site;
pub mod smtp;
pub mod sql;
pub mod store;
pub mod stripe;
pub mod tls;
pub mod totp;
pub mod wait;
pub mod world;

/// Makes two tests of each function named: one on SQLite, one on PostgreSQL.
///
/// ```ignore
/// on_both_stores!(a_receipt_is_accepted);
///
/// async fn a_receipt_is_accepted(kind: StoreKind) { /* … */ }
/// ```
#[macro_export]
macro_rules! on_both_stores {
    ($($name:ident),+ $(,)?) => {$(
        mod $name {
            #[tokio::test]
            async fn on_sqlite() {
                super::$name($crate::store::StoreKind::Sqlite).await;
            }

            #[tokio::test]
            async fn on_postgres() {
                super::$name($crate::store::StoreKind::Postgres).await;
            }
        }
    )+};
}
