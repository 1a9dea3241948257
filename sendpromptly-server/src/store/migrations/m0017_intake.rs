//! Secrets by which providers sign events that they send to us themselves, and what such events mean.

use super::step;

step! {
    "m0017_intake":
    "CREATE TABLE provider_secrets (
        id {id} PRIMARY KEY NOT NULL,
        project_id {id} NOT NULL REFERENCES projects (id),
        provider text NOT NULL,
        sealed {bytes} NOT NULL,
        created_at {int} NOT NULL,
        expires_at {int}
    ) {strict}",
    "CREATE INDEX provider_secrets_by_project ON provider_secrets (project_id, provider, id)",
    "CREATE INDEX provider_secrets_to_forget ON provider_secrets (expires_at) WHERE expires_at IS NOT NULL",
    "CREATE TABLE provider_mappings (
        project_id {id} NOT NULL,
        provider text NOT NULL,
        mapping text NOT NULL,
        PRIMARY KEY (project_id, provider)
    ) {clustered}",
}
