//! What every step keeps to, and what the turns of those who take them.

use std::collections::BTreeMap;

use super::super::rows::{self, Sql};
use super::*;
use crate::testing::World;

#[test]
fn every_step_runs_in_a_transaction_and_the_steps_are_in_order() {
    let steps = Migrator::migrations();
    let names: Vec<_> = steps.iter().map(|step| step.name().to_owned()).collect();
    assert!(names.is_sorted(), "{names:?}");
    for step in &steps {
        // Outside PostgreSQL the library's default is none.
        assert_eq!(step.use_transaction(), Some(true), "{}", step.name());
    }
}

/// Each column of each table: its type, whether it may be empty, and whether a row may be written without it.
type Columns = BTreeMap<(String, String), (String, bool, bool)>;

async fn columns(store: &Store) -> Columns {
    let query = Sql::new(
        "SELECT table_name::text AS t, column_name::text AS c, data_type::text AS kind,
            (is_nullable = 'YES')::int::bigint AS may_be_empty,
            (is_nullable = 'YES' OR column_default IS NOT NULL)::int::bigint AS may_be_left_out
         FROM information_schema.columns WHERE table_schema = 'public'",
    );
    let found = query.all(&store.reader).await.unwrap();
    let text = |row, column| rows::get::<String>(row, column).unwrap();
    let flag = |row, column| rows::get::<i64>(row, column).unwrap() != 0;
    let column = |row| {
        let name = (text(row, "t"), text(row, "c"));
        let nature = (
            text(row, "kind"),
            flag(row, "may_be_empty"),
            flag(row, "may_be_left_out"),
        );
        (name, nature)
    };
    found.iter().map(column).collect()
}

/// Nodes are replaced one by one, and those of the version before go on meanwhile.
#[tokio::test]
async fn a_step_leaves_postgresqls_columns_as_the_program_before_it_reads_and_writes_them() {
    let world = World::set_up().await;
    let store = &world.store;
    if store.dialect() == Dialect::Sqlite {
        return; // one program at a time has its file
    }
    for statement in ["DROP SCHEMA public CASCADE", "CREATE SCHEMA public"] {
        world.write(Sql::new(statement)).await;
    }
    let mut before = Columns::new();
    for step in Migrator::migrations() {
        Migrator::up(&store.writer, Some(1)).await.unwrap();
        let after = columns(store).await;
        for (name, nature) in &before {
            assert_eq!(after.get(name), Some(nature), "{}: {name:?}", step.name());
        }
        for (name, (.., may_be_left_out)) in &after {
            let table_is_new = !before.keys().any(|(table, _)| *table == name.0);
            let is_known = before.contains_key(name);
            assert!(
                table_is_new || is_known || *may_be_left_out,
                "{}: {name:?}",
                step.name()
            );
        }
        before = after;
    }
    assert!(before.len() > 200, "{} columns", before.len());
}

#[tokio::test]
async fn a_turn_is_waited_for_however_long_another_node_migrates() {
    let world = World::set_up().await;
    let Turn::Transaction(turn) = Turn::take(&world.store).await.unwrap() else {
        return; // SQLite's is a file, whose lock has no time limit
    };
    let show = Statement::from_string(world.store.dialect.backend(), "SHOW lock_timeout");
    let row = turn.query_one_raw(show).await.unwrap().unwrap();
    assert_eq!(row.try_get::<String>("", "lock_timeout").unwrap(), "0");
}
