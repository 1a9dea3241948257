//! Reading a body that may be neither too large nor too slow.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Body;

use super::ApiError;

/// The most bytes of a body.
pub const MAX: usize = 64 * 1024;

/// How long a body may take to arrive whole.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Reads a body whole. What says that it is too large is refused before a byte of it is read, and what turns
/// out too large is never held.
///
/// # Errors
/// [`ApiError::PayloadTooLarge`], [`ApiError::RequestTimeout`], or [`ApiError::BadRequest`] where it broke off.
pub async fn read<B: Body<Data = Bytes> + Unpin>(body: B) -> Result<Bytes, ApiError> {
    read_within(body, MAX, PATIENCE).await
}

/// The same for a body that may have so many bytes, and take so long.
///
/// # Errors
/// As [`read`].
pub async fn read_within<B: Body<Data = Bytes> + Unpin>(
    body: B,
    max: usize,
    patience: Duration,
) -> Result<Bytes, ApiError> {
    if body.size_hint().lower() > max as u64 {
        return Err(ApiError::PayloadTooLarge);
    }
    tokio::time::timeout(patience, collect(body, max))
        .await
        .map_err(|_| ApiError::RequestTimeout)?
}

async fn collect<B: Body<Data = Bytes> + Unpin>(mut body: B, max: usize) -> Result<Bytes, ApiError> {
    let mut first = Bytes::new();
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| ApiError::BadRequest)?.into_data() else {
            continue;
        };
        if first.len() + whole.len() + data.len() > max {
            return Err(ApiError::PayloadTooLarge);
        }
        // Most bodies come in one piece, which is then not copied.
        if first.is_empty() && whole.is_empty() {
            first = data;
        } else {
            if whole.is_empty() {
                whole.extend_from_slice(&std::mem::take(&mut first));
            }
            whole.extend_from_slice(&data);
        }
    }
    Ok(if whole.is_empty() { first } else { whole.freeze() })
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use http_body_util::{Full, StreamBody};
    use hyper::body::Frame;

    use super::*;

    fn in_pieces(pieces: &[usize]) -> impl Body<Data = Bytes> + Unpin {
        let frames: Vec<_> = pieces
            .iter()
            .map(|length| Ok::<_, Infallible>(Frame::data(Bytes::from(vec![b'x'; *length]))))
            .collect();
        StreamBody::new(futures_util::stream::iter(frames))
    }

    #[tokio::test]
    async fn a_body_of_64_kib_is_read_and_one_more_byte_is_refused() {
        assert_eq!(
            read(Full::new(Bytes::from(vec![0; MAX]))).await.unwrap().len(),
            MAX
        );
        let large = Full::new(Bytes::from(vec![0; MAX + 1]));
        assert_eq!(read(large).await, Err(ApiError::PayloadTooLarge));
    }

    #[tokio::test]
    async fn pieces_are_joined_and_counted() {
        assert_eq!(read(in_pieces(&[1, 2, 3])).await.unwrap(), "xxxxxx");
        assert_eq!(read(in_pieces(&[])).await.unwrap(), "");
        assert_eq!(read(in_pieces(&[MAX, 1])).await, Err(ApiError::PayloadTooLarge));
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_come_is_given_up() {
        let never = StreamBody::new(futures_util::stream::pending::<Result<Frame<Bytes>, Infallible>>());
        assert_eq!(read(never).await, Err(ApiError::RequestTimeout));
    }
}
