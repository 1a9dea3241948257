//! Mail: what is written, how it is sealed into the outbox, and how it leaves.

mod letter;
mod post;
mod transport;

pub use letter::Letter;
pub(crate) use letter::plain;
pub use post::Post;
pub use transport::{SendError, Transport};
