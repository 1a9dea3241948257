//! Payloads that projects keep: stored with their events, or not at all.

use super::*;
use crate::store::rows;
use crate::store::snapshots::Era;

/// What is stored as an event's payload, of no other event's bytes or length.
fn sealed_of(provider_event_id: &str) -> Vec<u8> {
    provider_event_id.repeat(1_000).into_bytes()
}

/// A receipt whose payload was sealed in this era.
fn kept_receipt(provider_event_id: &str, era: u32) -> Signal {
    let Signal::Receipt(mut new) = receipt(provider_event_id) else {
        unreachable!()
    };
    let room = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
    new.payload = Kept::Sealed(SealedPayload {
        era: Era::new(era),
        sealed: sealed_of(provider_event_id),
        room: Room::new(room),
    });
    Signal::Receipt(new)
}

/// A receipt whose payload should be kept and could not be sealed.
fn unsealed_receipt(provider_event_id: &str) -> Signal {
    let Signal::Receipt(mut new) = receipt(provider_event_id) else {
        unreachable!()
    };
    new.payload = Kept::Unsealed;
    Signal::Receipt(new)
}

impl Fixture {
    /// The project's row, which the other tests do without.
    async fn project_row(&self, keep: bool, era: u32) {
        let (project, organization) = (self.project.project, self.project.organization);
        let tx = self.store.begin().await.unwrap();
        let organization_row = Sql::new(
            "INSERT INTO organizations (id, name, created_at) VALUES ({}, 'acme', 0) ON CONFLICT DO NOTHING",
        );
        organization_row
            .bind(organization.as_bytes())
            .run(&tx)
            .await
            .unwrap();
        let row = Sql::new(
            "INSERT INTO projects (id, organization_id, name, mode, timeout_minutes, created_at, keep_snapshots,
                snapshot_era)
             VALUES ({}, {}, 'shop', 'test', 30, 0, {}, {})
             ON CONFLICT (id) DO UPDATE SET keep_snapshots = excluded.keep_snapshots,
                snapshot_era = excluded.snapshot_era",
        );
        let row = row.bind(project.as_bytes()).bind(organization.as_bytes());
        row.bind(keep).bind(era).run(&tx).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// How many events and snapshots the project has.
    async fn events_and_snapshots(&self) -> (i64, i64) {
        let count = async |table: &str| {
            let count = Sql::new(format!(
                "SELECT count(*) AS n FROM {table} WHERE project_id = {{}}"
            ));
            let count = count.bind(self.project.project.as_bytes());
            let row = count.one(self.store.reader()).await.unwrap().unwrap();
            rows::get::<i64>(&row, "n").unwrap()
        };
        (count("events").await, count("snapshots").await)
    }
}

#[tokio::test]
async fn only_an_events_first_receipt_stores_its_payload_and_with_the_event() {
    let fixture = Fixture::set_up().await;
    fixture.project_row(true, 0).await;
    // One batch, so that two of one event meet in it; then one that meets what is stored.
    let answers = futures_all(
        [
            ("k1", "evt_1"),
            ("k2", "evt_1"),
            ("k3", "evt_20"),
            ("k4", "evt_300"),
        ]
        .iter()
        .map(|(key, event)| fixture.send(key, kept_receipt(event, 0))),
    )
    .await;
    assert!(answers.iter().all(Result::is_ok));
    fixture.send("k5", kept_receipt("evt_20", 0)).await.unwrap();
    fixture.send("k6", receipt("evt_none")).await.unwrap();
    assert_eq!(fixture.events_and_snapshots().await, (4, 3));
    let stored = Sql::new(
        "SELECT e.provider_event_id, s.sealed FROM snapshots s
         JOIN events e ON e.project_id = s.project_id AND e.id = s.event_id WHERE s.project_id = {}",
    );
    let stored = stored.bind(fixture.project.project.as_bytes());
    for row in stored.all(fixture.store.reader()).await.unwrap() {
        let event: String = rows::get(&row, "provider_event_id").unwrap();
        let sealed: Vec<u8> = rows::get(&row, "sealed").unwrap();
        assert!(sealed == sealed_of(&event), "{event}");
    }
}

#[tokio::test]
async fn what_was_under_way_when_keeping_was_turned_off_is_not_stored() {
    let fixture = Fixture::set_up().await;
    fixture.project_row(false, 0).await;
    fixture.send("k1", kept_receipt("evt_1", 0)).await.unwrap();
    assert_eq!(fixture.events_and_snapshots().await, (1, 0));
    // What was kept was deleted, and keeping turned on again: this one was sealed before.
    fixture.project_row(true, 1).await;
    fixture.send("k2", kept_receipt("evt_2", 0)).await.unwrap();
    assert_eq!(fixture.events_and_snapshots().await, (2, 0));
    fixture.send("k3", kept_receipt("evt_3", 1)).await.unwrap();
    assert_eq!(fixture.events_and_snapshots().await, (3, 1));
}

#[tokio::test]
async fn where_the_snapshot_cannot_be_stored_neither_is_the_event() {
    let fixture = Fixture::set_up().await;
    fixture.project_row(true, 0).await;
    let project = fixture.project.project;
    let hex = format!("{:032x}", u128::from_be_bytes(*project.as_bytes()));
    let statements = match fixture.store.dialect() {
        Dialect::Sqlite => vec![
            "CREATE TRIGGER refuse BEFORE INSERT ON snapshots BEGIN SELECT RAISE(ABORT, 'refused'); END"
                .to_owned(),
        ],
        Dialect::Postgres => vec![
            format!(
                "CREATE FUNCTION refuse_{hex}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'refused'; END $$"
            ),
            format!(
                "CREATE TRIGGER refuse_{hex} BEFORE INSERT ON snapshots FOR EACH ROW
                 WHEN (NEW.project_id = '{hex}') EXECUTE FUNCTION refuse_{hex}()"
            ),
        ],
    };
    for statement in statements {
        write(&fixture.store, &statement).await;
    }
    let refused = fixture.send("k1", kept_receipt("evt_1", 0)).await;
    assert_eq!(refused, Err(IngestError::Internal));
    assert_eq!(fixture.events_and_snapshots().await, (0, 0));
    fixture.send("k2", receipt("evt_1")).await.unwrap();
    assert_eq!(fixture.events_and_snapshots().await, (1, 0));
}

#[tokio::test]
async fn payloads_that_wait_are_bounded_in_memory() {
    let fixture = Fixture::set_up().await;
    let first = fixture.ingest.room_for(PAYLOADS - 1).unwrap();
    let second = fixture.ingest.room_for(1).unwrap();
    assert!(fixture.ingest.room_for(1).is_none());
    drop(second);
    assert!(fixture.ingest.room_for(1).is_some());
    drop(first);
    assert!(fixture.ingest.room_for(PAYLOADS + 1).is_none());
}

#[tokio::test]
async fn a_receipt_whose_payload_was_not_sealed_makes_no_event_and_may_be_a_repeat() {
    let fixture = Fixture::set_up().await;
    fixture.project_row(true, 0).await;
    let refused = fixture.send("k1", unsealed_receipt("evt_1")).await;
    assert_eq!(refused, Err(IngestError::Unavailable));
    assert_eq!(fixture.events_and_snapshots().await, (0, 0));
    let first = fixture.send("k1", kept_receipt("evt_1", 0)).await.unwrap();
    let repeat = fixture.send("k1", unsealed_receipt("evt_1")).await.unwrap();
    assert_eq!((repeat.body, repeat.replayed), (first.body.clone(), true));
    let duplicate = fixture.send("k2", unsealed_receipt("evt_1")).await.unwrap();
    assert_eq!(event_id(&duplicate), event_id(&first));
    let other = fixture.send("k1", unsealed_receipt("evt_2")).await;
    assert_eq!(other, Err(IngestError::Conflict));
    assert_eq!(fixture.events_and_snapshots().await, (1, 1));
}
