//! How the demo tells what happens: short lines, one for each thing that one peer did.

use std::fmt::Display;

use crate::command::{CommandError, print_line};

/// Who does something in the demo.
#[derive(Debug, Clone, Copy)]
pub(super) enum Peer {
    Stripe,
    Shop,
    Server,
    Operator,
    Demo,
}

impl Peer {
    const fn name(self) -> &'static str {
        match self {
            Self::Stripe => "stripe",
            Self::Shop => "shop",
            Self::Server => "server",
            Self::Operator => "operator",
            Self::Demo => "demo",
        }
    }
}

/// Begins a step.
pub(super) fn step(number: u32, title: &str) -> Result<(), CommandError> {
    print_line(&format!("\n{number}. {title}"))
}

/// One peer does something by itself.
pub(super) fn does(peer: Peer, what: impl Display) -> Result<(), CommandError> {
    print_line(&format!("   {:<19}{what}", peer.name()))
}

/// One peer calls another, which answers.
pub(super) fn calls(from: Peer, to: Peer, what: &str, answer: impl Display) -> Result<(), CommandError> {
    let way = format!("{:<8} → {}", from.name(), to.name());
    print_line(&format!("   {way:<19}{what:<32}{answer}"))
}
