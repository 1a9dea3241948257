#![doc = include_str!("../README.md")]

pub mod access;
pub mod audit;
pub mod case;
pub mod credential;
pub mod dedupe;
pub mod envelope;
pub mod event;
pub mod hex;
pub mod id;
pub mod incident;
pub mod replay;
pub mod request;
pub mod session;
pub mod signing;
pub mod throttle;
pub mod time;
