//! The end of a fuzzer's round.

use tokio::task::JoinHandle;

use super::{Migration, Server, assert_equal};

/// When the writers have stopped: how many transactions they made, and the rows, which both sides have.
pub async fn arrive(migration: &Migration, source: &Server, destination: &Server, writers: Vec<JoinHandle<u64>>) -> (u64, u64) {
    let mut transactions = 0;
    for writer in writers {
        transactions += writer.await.unwrap();
    }
    migration.run_until_caught_up().await.expect(0);
    let rows = assert_equal(source, destination, "shop").await;
    migration.verify().await;
    (transactions, rows)
}
