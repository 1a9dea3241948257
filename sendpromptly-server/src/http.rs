//! HTTP itself: connections, the route table, errors, and what every answer bears.

pub mod body;
pub mod client;
pub mod client_address;
pub mod error;
pub mod host;
pub mod listener;
pub mod negotiation;
mod network;
pub mod response;
pub mod subject;
pub mod tls;

pub use client::Client;
pub use error::ApiError;
pub use network::network;
pub use response::Response;
