//! Who takes a statement and then says nothing more: the server's answer is lost on the way, the connections stay. No limit in time can tell
//! that from a statement that works for hours.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::support::{Migration, Server, assert_equal};

/// On the first connection that sent this, and on which so many bytes came behind it, nothing comes any more.
struct Stall {
    behind: Vec<u8>,
    bytes: usize,
    happened: AtomicBool,
}

type Stalls = Arc<Vec<Stall>>;

/// The proxy's port.
async fn between(server: &Server, stalls: &Stalls) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (port, to, stalls) = (listener.local_addr().unwrap().port(), server.port, Arc::clone(stalls));
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(pass(client, to, Arc::clone(&stalls)));
        }
    });
    port
}

async fn pass(client: TcpStream, to: u16, stalls: Stalls) {
    let Ok(server) = TcpStream::connect(("127.0.0.1", to)).await else { return };
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    // What came since the statement, for each stall.
    let since = Arc::new(Mutex::new(vec![None::<usize>; stalls.len()]));
    let counted = (Arc::clone(&since), Arc::clone(&stalls));
    let up = async move {
        let mut buffer = vec![0; 1 << 16];
        while let Ok(read @ 1..) = from_client.read(&mut buffer).await {
            for (count, stall) in since.lock().unwrap().iter_mut().zip(stalls.iter()) {
                if buffer[..read].windows(stall.behind.len()).any(|window| window.eq_ignore_ascii_case(&stall.behind)) {
                    *count = Some(0);
                }
            }
            if to_server.write_all(&buffer[..read]).await.is_err() {
                break;
            }
        }
    };
    let down = async move {
        let (mut buffer, mut silent) = (vec![0; 1 << 16], false);
        while let Ok(read @ 1..) = from_server.read(&mut buffer).await {
            for (count, stall) in counted.0.lock().unwrap().iter_mut().zip(counted.1.iter()) {
                let Some(count) = count else { continue };
                *count += read;
                silent |= *count > stall.bytes && !stall.happened.swap(true, Ordering::SeqCst);
            }
            if !silent && to_client.write_all(&buffer[..read]).await.is_err() {
                break;
            }
        }
    };
    tokio::select! { () = up => {}, () = down => {} }
}

fn stall(behind: &str, bytes: usize) -> Stall {
    Stall { behind: behind.into(), bytes, happened: AtomicBool::new(false) }
}

/// Each stall costs its time once; the rows arrive all the same, and nothing was counted as done that was not.
async fn outlives(side: &str, stalls: Vec<Stall>) {
    // No place is taken: this waits for a minute and a half and works for a few seconds.
    let (source, destination) = (Server::start("mysql97", &[]), Server::start("mysql97", &[]));
    source
        .run(&[
            "CREATE DATABASE shop",
            "CREATE TABLE shop.items (id INT PRIMARY KEY, t VARCHAR(200), KEY by_t (t))",
            "CREATE TABLE shop.bare (n INT, t VARCHAR(200))",
            "SET SESSION cte_max_recursion_depth = 10000",
            "INSERT INTO shop.items WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i < 5000) SELECT i, REPEAT('x', 150) FROM n",
            "INSERT INTO shop.bare SELECT * FROM shop.items",
        ])
        .await;
    let stalls: Stalls = Arc::new(stalls);
    let server = if side == "source" { &source } else { &destination };
    let port = between(server, &stalls).await;
    let mut migration = Migration::new(&source, &destination);
    migration.set(&format!("/{side}/mysql/port"), json!(port));
    migration.set(&format!("/{side}/mysql/tls"), json!({"mode": "Disabled"}));
    let mut running = migration.start(&[]);
    running.until_phase("Replicating", Duration::from_secs(300)).await;
    let log = running.log();
    assert!(stalls.iter().all(|stall| stall.happened.load(Ordering::SeqCst)), "{log}");
    let said = log.matches("stalls: it has worked on nothing for this connection").count();
    assert!(said >= stalls.len(), "{said} times: {log}");
    assert_eq!(assert_equal(&source, &destination, "shop").await, 10_000);
    running.terminate().await;
}

/// The rows of a snapshot and those of a chunk, in the middle.
#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_sends_no_more_rows() {
    outlives("source", vec![stall("FROM `shop`.`bare`", 100_000), stall("FROM `shop`.`items` FORCE INDEX", 100_000)]).await;
}

/// The end of a load, and of an index that it takes its time for.
#[tokio::test(flavor = "multi_thread")]
async fn a_destination_that_says_nothing() {
    // Definitions go as digits.
    let alter: String = "ALTER TABLE `shop`.`items` ADD".bytes().map(|byte| format!("{byte:02X}")).collect();
    outlives("destination", vec![stall("INTO TABLE `shop`.`items`", 20), stall(&alter, 0)]).await;
}
