//! Requests made up from the OpenAPI document by schemathesis: valid ones must be accepted, invalid ones
//! refused, and no answer may lie outside the document.

use sendpromptly_tests::python::{installed, sources};
use sendpromptly_tests::store::StoreKind;
use sendpromptly_tests::world::World;

#[tokio::test]
async fn the_server_keeps_to_its_document() {
    let world = World::start(StoreKind::Sqlite).await;
    let support = sources().join("support");
    let output = installed("schemathesis")
        .arg("--config-file")
        .arg(support.join("schemathesis.toml"))
        .arg("run")
        .arg(format!("http://{}/api/openapi.json", world.server.address))
        .env("PYTHONPATH", support)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("SENDPROMPTLY_API_KEY", &world.project.api_key)
        .current_dir(world.store.directory())
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    let report = String::from_utf8_lossy(&output.stdout);
    let trouble = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{report}{trouble}");
    // What it has not tried shows nothing.
    for phase in ["Examples", "Coverage", "Fuzzing", "Stateful"] {
        assert!(report.contains(&format!("✅ {phase}")), "{phase}: {report}");
    }
    assert!(report.contains("Tested: 5"), "{report}");
}
