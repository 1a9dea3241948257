//! What tells a command to end before it is through: Ctrl-C and SIGTERM.

use std::future::Future;

use tokio::signal::unix::{SignalKind, signal};

use super::CommandError;

/// Listens from now on; the future is through when the process is told to end.
///
/// # Errors
/// [`CommandError::Refused`] where the system lets nobody listen.
pub(super) fn told_to_end() -> Result<impl Future<Output = ()> + Send + use<>, CommandError> {
    let listen = |kind| signal(kind).map_err(|error| CommandError::refused(error.to_string()));
    let mut interrupt = listen(SignalKind::interrupt())?;
    let mut terminate = listen(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}
