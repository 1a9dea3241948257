//! Organizations, projects, events, incidents, replays and the audit log, as `docs/data.md` tells them.

use sea_orm::{DbBackend, DbErr};
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager, async_trait};

use super::run_step;

#[derive(Debug)]
pub(super) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m0001_spine"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let guards = match manager.get_database_backend() {
            DbBackend::Sqlite => SQLITE_GUARDS,
            _ => POSTGRES_GUARDS,
        };
        for statements in [TABLES, INDEXES, guards] {
            run_step(manager, statements).await?;
        }
        Ok(())
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

const TABLES: &[&str] = &[
    "CREATE TABLE organizations (
        id {id} PRIMARY KEY NOT NULL,
        name text NOT NULL,
        created_at {int} NOT NULL
    ) {strict}",
    "CREATE TABLE users (
        id {id} PRIMARY KEY NOT NULL,
        email text NOT NULL,
        email_key text NOT NULL UNIQUE,
        password_hash text NOT NULL,
        created_at {int} NOT NULL
    ) {strict}",
    "CREATE TABLE members (
        organization_id {id} NOT NULL REFERENCES organizations (id),
        user_id {id} NOT NULL REFERENCES users (id),
        role text NOT NULL,
        created_at {int} NOT NULL,
        PRIMARY KEY (organization_id, user_id)
    ) {strict}",
    "CREATE TABLE projects (
        id {id} PRIMARY KEY NOT NULL,
        organization_id {id} NOT NULL REFERENCES organizations (id),
        name text NOT NULL,
        mode text NOT NULL,
        repair_url text,
        timeout_minutes {int} NOT NULL,
        keep_answers {int} NOT NULL DEFAULT 1,
        created_at {int} NOT NULL,
        deleted_at {int}
    ) {strict}",
    "CREATE TABLE api_keys (
        id {id} PRIMARY KEY NOT NULL,
        project_id {id} NOT NULL REFERENCES projects (id),
        hash {bytes} NOT NULL UNIQUE,
        hint text NOT NULL,
        scope text NOT NULL,
        created_at {int} NOT NULL,
        revoked_at {int},
        exposed_at {int}
    ) {strict}",
    "CREATE TABLE signing_secrets (
        id {id} PRIMARY KEY NOT NULL,
        project_id {id} NOT NULL REFERENCES projects (id),
        sealed {bytes} NOT NULL,
        created_at {int} NOT NULL,
        expires_at {int}
    ) {strict}",
    "CREATE TABLE data_keys (
        id {id} PRIMARY KEY NOT NULL,
        scope text NOT NULL,
        scope_id {id} NOT NULL,
        purpose text NOT NULL,
        day {int} NOT NULL,
        kid text NOT NULL,
        wrapped {bytes} NOT NULL
    ) {strict}",
    "CREATE TABLE events (
        project_id {id} NOT NULL,
        id {id} NOT NULL,
        provider text NOT NULL,
        provider_event_digest {id} NOT NULL,
        provider_event_id text NOT NULL,
        event_type text NOT NULL,
        effect_type text,
        internal_reference text,
        shop_domain text,
        occurred_at {int} NOT NULL,
        received_at {int},
        timeout_at {int} NOT NULL,
        state text NOT NULL,
        sweep_at {int},
        differs text,
        PRIMARY KEY (project_id, id)
    ) {clustered}",
    "CREATE TABLE incidents (
        project_id {id} NOT NULL,
        id {id} NOT NULL,
        event_id {id} NOT NULL,
        state text NOT NULL,
        reason text NOT NULL,
        opened_at {int} NOT NULL,
        resolved_at {int},
        organization_id {id} NOT NULL,
        facet {int} NOT NULL,
        internal_reference text,
        provider_event_digest {id} NOT NULL,
        PRIMARY KEY (project_id, id),
        UNIQUE (project_id, event_id)
    ) {clustered}",
    "CREATE TABLE replays (
        project_id {id} NOT NULL,
        id {id} NOT NULL,
        incident_id {id} NOT NULL,
        event_id {id} NOT NULL,
        state text NOT NULL,
        attempts {int} NOT NULL,
        steps {int} NOT NULL,
        cut_offs {int} NOT NULL,
        doubtful {int} NOT NULL,
        last_status {int},
        next_attempt_at {int},
        answer_due_at {int},
        lease_token {id},
        body text NOT NULL,
        created_at {int} NOT NULL,
        PRIMARY KEY (project_id, id)
    ) {clustered}",
    "CREATE TABLE attempts (
        project_id {id} NOT NULL,
        replay_id {id} NOT NULL,
        number {int} NOT NULL,
        nonce text NOT NULL,
        lease_token {id} NOT NULL,
        started_at {int} NOT NULL,
        ended_at {int},
        outcome text,
        status {int},
        duration_ms {int},
        answer_head {bytes},
        PRIMARY KEY (project_id, replay_id, number)
    ) {clustered}",
    // How a project's endpoint fares. Whoever claims calls for the project holds its row.
    "CREATE TABLE project_calls (
        project_id {id} PRIMARY KEY NOT NULL,
        failures {int} NOT NULL
    ) {strict}",
    "CREATE TABLE orders (
        project_id {id} NOT NULL,
        key_digest {id} NOT NULL,
        incident_id {id} NOT NULL,
        replay_id {id} NOT NULL,
        created_at {int} NOT NULL,
        PRIMARY KEY (project_id, key_digest)
    ) {clustered}",
    "CREATE TABLE results (
        project_id {id} NOT NULL,
        event_id {id} NOT NULL,
        id {id} NOT NULL,
        effect text NOT NULL,
        error_code text,
        error_message text,
        replay_id {id},
        received_at {int} NOT NULL,
        PRIMARY KEY (project_id, event_id, id)
    ) {clustered}",
    "CREATE TABLE idempotency (
        project_id {id} NOT NULL,
        key_digest {id} NOT NULL,
        fingerprint {bytes} NOT NULL,
        answer text NOT NULL,
        created_at {int} NOT NULL,
        UNIQUE (project_id, key_digest)
    ) {strict}",
    "CREATE TABLE audit_heads (
        organization_id {id} PRIMARY KEY NOT NULL,
        seq {int} NOT NULL,
        hash {bytes} NOT NULL,
        at {int} NOT NULL,
        checkpoint_seq {int} NOT NULL
    ) {strict}",
    "CREATE TABLE audit_entries (
        organization_id {id} NOT NULL,
        seq {int} NOT NULL,
        id {id} NOT NULL,
        at {int} NOT NULL,
        actor text NOT NULL,
        action text NOT NULL,
        target text NOT NULL,
        commitment {bytes} NOT NULL,
        prev {bytes} NOT NULL,
        hash {bytes} NOT NULL,
        PRIMARY KEY (organization_id, seq)
    ) {clustered}",
    "CREATE TABLE audit_details (
        organization_id {id} NOT NULL,
        seq {int} NOT NULL,
        salt {bytes} NOT NULL,
        details text NOT NULL,
        PRIMARY KEY (organization_id, seq)
    ) {clustered}",
    // A row stands here only inside the transaction that prunes; entries up to `seq` may then be deleted.
    "CREATE TABLE audit_prunes (
        organization_id {id} PRIMARY KEY NOT NULL,
        seq {int} NOT NULL
    ) {strict}",
];

const INDEXES: &[&str] = &[
    "CREATE INDEX projects_by_organization ON projects (organization_id, id)",
    "CREATE INDEX projects_to_purge ON projects (deleted_at) WHERE deleted_at IS NOT NULL",
    "CREATE INDEX api_keys_by_project ON api_keys (project_id, id)",
    "CREATE INDEX signing_secrets_by_project ON signing_secrets (project_id, id)",
    "CREATE INDEX signing_secrets_to_forget ON signing_secrets (expires_at) WHERE expires_at IS NOT NULL",
    "CREATE INDEX data_keys_by_use ON data_keys (scope_id, purpose, day)",
    "CREATE UNIQUE INDEX events_by_provider_event ON events (project_id, provider_event_digest, provider)",
    "CREATE INDEX events_to_sweep ON events (sweep_at) WHERE sweep_at IS NOT NULL",
    "CREATE INDEX replays_by_event ON replays (project_id, event_id)",
    // The list of incidents, filtered or not, newest first; see `store/incident_list.rs`.
    "CREATE INDEX incidents_of_organization ON incidents (organization_id, id)",
    "CREATE INDEX incidents_of_organization_by_facet ON incidents (organization_id, facet, id)",
    "CREATE INDEX incidents_of_project_by_facet ON incidents (project_id, facet, id)",
    "CREATE INDEX incidents_of_organization_by_reference
        ON incidents (organization_id, internal_reference, facet, id)",
    "CREATE INDEX incidents_of_project_by_reference
        ON incidents (project_id, internal_reference, facet, id)",
    "CREATE INDEX incidents_by_provider_event ON incidents (organization_id, provider_event_digest)",
    // By project, so that nobody who looks for work reads through one project's long queue.
    "CREATE INDEX replays_to_attempt ON replays (project_id, next_attempt_at)
        WHERE next_attempt_at IS NOT NULL AND lease_token IS NULL",
    "CREATE INDEX attempts_under_way ON attempts (project_id, started_at) WHERE ended_at IS NULL",
    "CREATE INDEX attempts_with_answer ON attempts (ended_at) WHERE answer_head IS NOT NULL",
    "CREATE INDEX replays_to_answer ON replays (answer_due_at) WHERE answer_due_at IS NOT NULL",
    "CREATE INDEX idempotency_by_age ON idempotency (created_at)",
];

// The audit log is append-only. These guard against mistakes; the signed checkpoint is the proof.
const SQLITE_GUARDS: &[&str] = &[
    "CREATE TRIGGER audit_entries_no_update BEFORE UPDATE ON audit_entries
     BEGIN SELECT RAISE(ABORT, 'audit entries cannot be changed'); END",
    "CREATE TRIGGER audit_entries_no_delete BEFORE DELETE ON audit_entries
     WHEN NOT EXISTS (SELECT 1 FROM audit_prunes p
                      WHERE p.organization_id = OLD.organization_id AND OLD.seq <= p.seq)
     BEGIN SELECT RAISE(ABORT, 'audit entries cannot be deleted'); END",
    // INSERT OR REPLACE deletes without the trigger above.
    "CREATE TRIGGER audit_entries_no_replace BEFORE INSERT ON audit_entries
     WHEN EXISTS (SELECT 1 FROM audit_entries e
                  WHERE e.organization_id = NEW.organization_id AND e.seq = NEW.seq)
     BEGIN SELECT RAISE(ABORT, 'audit entries cannot be replaced'); END",
];

const POSTGRES_GUARDS: &[&str] = &[
    "CREATE FUNCTION audit_entries_guard() RETURNS trigger LANGUAGE plpgsql AS $$
     BEGIN
        IF TG_OP = 'DELETE' AND EXISTS (SELECT 1 FROM audit_prunes p
            WHERE p.organization_id = OLD.organization_id AND OLD.seq <= p.seq) THEN
            RETURN OLD;
        END IF;
        RAISE EXCEPTION 'audit entries cannot be changed or deleted';
     END $$",
    "CREATE TRIGGER audit_entries_guard BEFORE UPDATE OR DELETE ON audit_entries
     FOR EACH ROW EXECUTE FUNCTION audit_entries_guard()",
    "CREATE TRIGGER audit_entries_no_truncate BEFORE TRUNCATE ON audit_entries
     FOR EACH STATEMENT EXECUTE FUNCTION audit_entries_guard()",
];
