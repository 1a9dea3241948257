//! Verify signed SendPromptly repair callbacks, and apply each repair once.
#![cfg_attr(feature = "serde", doc = "", doc = include_str!("../README.md"))] // its snippets need the feature

mod answer;
#[cfg(feature = "serde")]
mod callback;
#[cfg(not(all(target_family = "wasm", target_os = "unknown")))]
mod clock;
mod endpoint;
mod error;
mod headers;
mod nonce;
pub mod replay;
pub mod signature;
mod verifier;

pub use answer::Answer;
#[cfg(feature = "serde")]
pub use callback::{Callback, CallbackError, Payload};
#[cfg(not(all(target_family = "wasm", target_os = "unknown")))]
pub use clock::unix_now;
pub use endpoint::Endpoint;
pub use error::{CallbackHeader, SecretError, VerifyError};
pub use headers::Headers;
pub use nonce::{Nonce, NonceMemory};
pub use verifier::{MAX_CANDIDATES, MAX_SECRETS, Verified, Verifier, WINDOW};
