//! The OpenAPI document. It is kept by hand, and held against the route table and the error codes by tests.

/// The document, as JSON.
pub const DOCUMENT: &str = include_str!("../../openapi.json");

#[cfg(test)]
mod tests;
