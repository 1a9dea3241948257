//! PostgreSQL's log as it is once a server has run for a while: its files are there and are written anew. A young one
//! makes each of them first, 16 MiB of zeroes, while whoever commits waits.

use sendpromptly_tests::world::World;

/// Files of the log to have at hand: more than any benchmark fills.
const FILES: usize = 48;

/// Has the files of the log made, and let go of by a checkpoint, which keeps them for later. Does nothing on SQLite,
/// whose log is one file that begins anew.
pub(crate) async fn log(world: &World) {
    let sql = world.sql().await;
    if !world.store.url().starts_with("postgres") {
        return;
    }
    for _ in 0..FILES {
        sql.run("SELECT pg_logical_emit_message(false, 'benchmark', ''); SELECT pg_switch_wal()")
            .await;
    }
    sql.run("CHECKPOINT").await;
}
