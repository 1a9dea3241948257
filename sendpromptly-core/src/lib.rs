#![doc = include_str!("../README.md")]

pub mod audit;
pub mod case;
pub mod dedupe;
pub mod event;
pub mod id;
pub mod incident;
pub mod replay;
pub mod request;
pub mod time;
