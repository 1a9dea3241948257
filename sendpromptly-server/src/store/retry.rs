//! Running a transaction again where another one was in its way.

use super::StoreError;

/// How often it is run at most.
pub(super) const TRIES: u32 = 3;

/// Runs a transaction, and again where it was undone since another one was in its way. Only
/// [`StoreError::Again`] tells that for certain.
///
/// # Errors
/// [`StoreError`] of the last run.
pub(super) async fn retried<T, F>(run: impl Fn() -> F) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, StoreError>>,
{
    let mut left = TRIES;
    loop {
        left -= 1;
        match run().await {
            Err(StoreError::Again(_)) if left > 0 => {}
            outcome => return outcome,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[tokio::test]
    async fn what_was_undone_is_run_three_times_and_anything_else_once() {
        let runs = Cell::new(0);
        let run = async |error: fn(String) -> StoreError| {
            runs.set(0);
            let end = retried(|| async {
                runs.set(runs.get() + 1);
                Err::<(), _>(error(String::new()))
            });
            assert!(end.await.is_err());
            runs.get()
        };
        assert_eq!(run(StoreError::Again).await, TRIES);
        for other in [StoreError::Broken, StoreError::Unavailable, StoreError::Taken] {
            assert_eq!(run(other).await, 1);
        }
    }
}
