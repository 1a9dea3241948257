use std::sync::Arc;

use axum::{Router, body::Bytes, extract::State, http::HeaderMap, routing::post};
use sendpromptly_verify::replay::{MemoryReplays, Outcome};
use sendpromptly_verify::{Answer, Callback, Endpoint, SecretError, Verifier, unix_now};

struct App {
    endpoint: Endpoint,
    /// Forgets at a restart what was applied: for tests, and for effects that are safe to repeat.
    /// In production insert `callback.replay_id` in the transaction of the effect, as
    /// `examples/axum-repair-endpoint` does.
    replays: MemoryReplays,
}

/// The repair endpoint. A test callback is answered by `begin`: it never comes to `apply`.
pub fn repair_routes(signing_secret: &str) -> Result<Router, SecretError> {
    let app = App {
        endpoint: Endpoint::new(Verifier::new([signing_secret])?),
        replays: MemoryReplays::default(),
    };
    Ok(Router::new()
        .route("/repair", post(repair))
        .with_state(Arc::new(app)))
}

async fn repair(State(app): State<Arc<App>>, headers: HeaderMap, body: Bytes) -> Answer {
    match app.endpoint.begin(&app.replays, &headers, &body, unix_now()) {
        Ok((callback, repair)) => repair.finish(apply(&callback).await),
        Err(answer) => answer,
    }
}

async fn apply(callback: &Callback) -> Outcome {
    println!("{} for {}", callback.effect_type, callback.internal_reference);
    Outcome::Applied
}
