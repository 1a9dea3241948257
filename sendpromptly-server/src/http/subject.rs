//! Whose request is answered, found out on the way and told by the log at its end.

use std::cell::Cell;

use sendpromptly_core::id::ProjectId;

tokio::task_local! {
    static PROJECT: Cell<Option<ProjectId>>;
}

/// Answers a request, and gives the project that was named meanwhile.
pub async fn found_by<T>(answer: impl Future<Output = T>) -> (T, Option<ProjectId>) {
    let whole = async {
        let answered = answer.await;
        (answered, PROJECT.with(Cell::get))
    };
    PROJECT.scope(Cell::new(None), whole).await
}

/// The request that is being answered is about this project.
pub fn is(project: ProjectId) {
    // Outside a request there is nobody to tell.
    let _ = PROJECT.try_with(|known| known.set(Some(project)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_request_has_a_project_of_its_own() {
        let project = |byte| ProjectId::from_bytes([byte; 16]);
        let request = |named: Option<ProjectId>| {
            found_by(async move {
                tokio::task::yield_now().await;
                if let Some(project) = named {
                    is(project);
                }
                tokio::task::yield_now().await;
            })
        };
        let found = tokio::join!(
            request(Some(project(1))),
            request(None),
            request(Some(project(2)))
        );
        assert_eq!((found.0.1, found.1.1), (Some(project(1)), None));
        assert_eq!(found.2.1, Some(project(2)));
        is(project(3));
    }
}
