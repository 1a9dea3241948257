//! One row at least of everything that is kept for a time only, for the tests of retention.

use sendpromptly_core::audit::{Action, Draft};

use super::{NOW, World, operator};
use crate::store::audit::drafts_of;
use crate::store::rows::Sql;

/// What becomes old, as statements over a project, a user and an id; `{younger}` is one of 398 days later. Each pass of retention has something here.
const ROWS: &[&str] = &[
    "INSERT INTO idempotency (project_id, key_digest, fingerprint, answer, created_at)
     VALUES ({project}, {id}, {bytes}, '{}', {now})",
    "INSERT INTO attempts (project_id, replay_id, number, nonce, lease_token, started_at, ended_at, answer_head)
     VALUES ({project}, {id}, 1, '', {id}, {now}, {now}, {bytes})",
    "INSERT INTO data_keys (id, scope, scope_id, purpose, day, kid, wrapped)
     VALUES ({id}, 'project', {project}, 'answer', {now} / 86400000, 'k', {bytes})",
    "INSERT INTO snapshots (project_id, event_id, era, received_at, sealed)
     VALUES ({project}, {id}, 1, {now}, {bytes})",
    "UPDATE projects SET snapshot_era = 1, snapshots_deleted_at = {now} + 34387200000 WHERE id = {project}",
    "INSERT INTO snapshots (project_id, event_id, era, received_at, sealed)
     VALUES ({project}, {younger}, 0, {now} + 34387200000, {bytes})",
    "INSERT INTO data_keys (id, scope, scope_id, purpose, day, kid, wrapped)
     VALUES ({id}, 'project', {project}, 'snapshot', {now} / 86400000, 'k', {bytes})",
    "INSERT INTO guesses (bucket, failures, last_at) VALUES ({id}, 1, {now})",
    "INSERT INTO known_devices (token_digest, user_id, seen_at) VALUES ({id}, {user}, {now})",
    "INSERT INTO signing_secrets (id, project_id, sealed, created_at, expires_at)
     VALUES ({id}, {project}, {bytes}, {now}, {now})",
    "INSERT INTO provider_secrets (id, project_id, provider, sealed, created_at, expires_at)
     VALUES ({id}, {project}, 'stripe', {bytes}, {now}, {now})",
    "INSERT INTO sessions (id, token_digest, user_id, complete, address, agent, created_at, seen_at)
     VALUES ({id}, {bytes}, {user}, 1, '', '', {now}, {now})",
    "INSERT INTO used_forms (id) VALUES ({id})",
    "INSERT INTO second_factor_proposals (session_id, user_id, id, sealed, created_at)
     VALUES ({id}, {user}, {id}, {bytes}, {now})",
    "INSERT INTO links (id, kind, subject_id, expires_at) VALUES ({id}, 'reset', {user}, {now} + 1)",
    "INSERT INTO sign_ups (id, email, email_key, password_hash, organization_name, created_at)
     VALUES ({id}, 'a', 'a', 'x', 'acme', {now})",
    "INSERT INTO invitations (id, organization_id, email, email_key, role, invited_by, expires_at, created_at)
     VALUES ({id}, {organization}, 'a', 'a', 'viewer', {user}, {now}, {now})",
    "INSERT INTO stripe_events (event, customer, subscription, at, says)
     VALUES ({id}, 'cus', 'sub', {now}, 'active')",
    "INSERT INTO stripe_subscriptions (subscription, customer, heard_at) VALUES ('sub', 'cus', {now})",
    "INSERT INTO mail_rates (digest, hour, mails) VALUES ({id}, {now} / 3600000, 1)",
    "INSERT INTO hourly_counts (project_id, hour, events, opened) VALUES ({project}, {now}, 1, 0)",
    "INSERT INTO hourly_repairs (project_id, hour, step, repairs) VALUES ({project}, {now}, 1, 1)",
    "INSERT INTO erasures (user_id, addresses, organization_id, seq, created_at, second_look)
     VALUES ({id}, '[]', {id}, 0, {now} + 1 - 600000, 1)",
    "INSERT INTO events (project_id, id, provider, provider_event_digest, provider_event_id, event_type, occurred_at,
        timeout_at, state) VALUES ({project}, {id}, 'stripe', {id}, 'evt', 'paid', {now}, {now}, 'succeeded')",
    "INSERT INTO organizations (id, name, created_at, deletion_due_at) VALUES ({id}, 'due', {now}, {now} + 1)",
    "INSERT INTO organizations (id, name, created_at, deletion_due_at, deleted_at)
     VALUES ({id}, 'gone', {now}, {now}, {now})",
    "INSERT INTO projects (id, organization_id, name, mode, timeout_minutes, created_at, deleted_at)
     VALUES ({id}, {organization}, 'gone', 'test', 30, {now}, {now})",
];

impl World {
    /// Stores what is not old at [`NOW`] and is when every time is over.
    pub(crate) async fn fill_with_what_gets_old(&self) {
        let user = self.add_user("old@example.com").await;
        let younger = NOW.plus_millis(398 * 86_400_000);
        let words = [
            ("{project}", self.id_in_sql(*self.project.as_bytes())),
            ("{organization}", self.id_in_sql(*self.organization.as_bytes())),
            ("{user}", self.id_in_sql(*user.as_bytes())),
            ("{now}", NOW.as_millis().to_string()),
            ("{bytes}", self.bytes_in_sql("01")),
            (
                "{younger}",
                self.id_in_sql(crate::platform::entropy::ordered_id(younger)),
            ),
        ];
        for row in ROWS {
            let id = self.id_in_sql(crate::platform::entropy::ordered_id(NOW));
            let statement = row.replace("{id}", &id);
            let statement = words
                .iter()
                .fold(statement, |sql, (word, value)| sql.replace(word, value));
            self.write(Sql::new(statement)).await;
        }
        let draft = Draft::new(&operator(), Action::ProjectChanged, self.project, &[]);
        let drafts = drafts_of(self.organization, NOW, vec![draft]);
        self.store.commit_audited(&[], &drafts).await.unwrap();
        let checkpoints = self.keeper().checkpoints;
        checkpoints.append_due(&self.store, NOW).await.unwrap();
    }

    fn id_in_sql(&self, id: [u8; 16]) -> String {
        let hex = sendpromptly_core::hex::encode(&id);
        match self.store.dialect() {
            crate::store::Dialect::Sqlite => format!("x'{hex}'"),
            crate::store::Dialect::Postgres => format!("'{hex}'::uuid"),
        }
    }

    fn bytes_in_sql(&self, hex: &str) -> String {
        match self.store.dialect() {
            crate::store::Dialect::Sqlite => format!("x'{hex}'"),
            crate::store::Dialect::Postgres => format!("'\\x{hex}'::bytea"),
        }
    }
}
