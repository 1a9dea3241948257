//! What is taken out of the store is all of one organization's, and of nobody else's.

use std::collections::BTreeSet;

use super::*;
use crate::testing::World;
use crate::testing::console::House;
use crate::testing::estate::{Estate, every_table};

#[tokio::test]
async fn every_table_is_taken_out_or_left_out_for_a_reason() {
    let world = World::set_up().await;
    let there: BTreeSet<String> = every_table(&world).await.into_iter().collect();
    let taken = tables::TAKEN.iter().map(|table| table.name);
    let left_out = tables::LEFT_OUT.iter().map(|(table, _)| *table);
    let known: Vec<_> = taken
        .chain(tables::AUDIT.iter().copied())
        .chain(left_out)
        .collect();
    let once: BTreeSet<String> = known.iter().map(|table| (*table).to_owned()).collect();
    assert_eq!(once.len(), known.len(), "each in one of the lists");
    assert_eq!(once, there);
    assert!(tables::LEFT_OUT.iter().all(|(_, because)| !because.is_empty()));
}

/// Every row that is taken out, as text.
async fn taken(world: &World) -> Vec<(&'static str, String)> {
    let takeout = world.store.takeout(world.scope()).await.unwrap().unwrap();
    let mut taken = Vec::new();
    for table in tables::TAKEN {
        let mut place = Place::begin(table);
        loop {
            let lines = takeout.next(&mut place, true).await.unwrap();
            if lines.is_empty() {
                break;
            }
            taken.extend(
                lines
                    .iter()
                    .map(|line| (table.name, Value::Object(line.fields.clone()).to_string())),
            );
        }
    }
    taken
}

#[tokio::test]
async fn the_rows_of_an_organization_are_taken_out_and_nobody_elses() {
    let house = House::open().await;
    let first = Estate::found(&house, "first").await;
    let second = Estate::found(&house, "second").await;
    let own = taken(&first.world).await;
    for (name, id) in &first.ids {
        let is_told = !["session", "token", "file"].contains(name);
        assert_eq!(own.iter().any(|(_, line)| line.contains(id)), is_told, "{name}");
    }
    for (table, line) in &own {
        for foreign in &second.canaries {
            assert!(!line.contains(foreign), "{table}: {line}");
        }
    }
    house.close().await;
}

#[tokio::test]
async fn long_tables_are_read_page_by_page_without_a_gap() {
    let world = World::set_up().await;
    let count = PAGE * 2 + 1;
    for number in 0..count {
        world.receive(&format!("evt_{number}")).await;
    }
    let events: BTreeSet<String> = taken(&world)
        .await
        .into_iter()
        .filter(|(table, _)| *table == "events")
        .map(|(_, line)| line)
        .collect();
    assert_eq!(events.len(), count);
}

#[tokio::test]
async fn what_comes_in_meanwhile_is_not_taken_out() {
    let world = World::set_up().await;
    world.receive("before").await;
    let takeout = world.store.takeout(world.scope()).await.unwrap().unwrap();
    let events = tables::TAKEN.iter().find(|table| table.name == "events").unwrap();
    world.receive("after").await;
    let lines = takeout.next(&mut Place::begin(events), false).await.unwrap();
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0].fields["provider_event_id"], "before");
}

#[test]
fn of_a_repair_url_only_the_host_is_told() {
    assert_eq!(
        origin("https://shop.example.com:8443/repair/secret?token=x"),
        "https://shop.example.com:8443"
    );
    assert_eq!(origin("nonsense"), "");
}
