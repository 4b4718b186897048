//! What the engine holds while the log has far to go and chunks are read: it is bounded, and a chunk whose keys found no room is read again.

use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable;
use serde_json::{Value, json};

use crate::pod_files::{Engine, Pod, condition};
use crate::support::PASSWORD;
use crate::support::{Migration, Server, assert_equal, sleep};

/// A pod's memory, and the most that the engine may hold of it in the end: twenty times what is kept of keys, a tenth of what the keys of the
/// load take.
const MEMORY: u64 = 64 << 20;
const PEAK_MEBIBYTES: u64 = 110;

/// More than there is room for (1.5 MiB of 40 bytes each).
const ROWS: u32 = 60_000;

/// Long: on a busy machine the changes of all keys take their time, once at the source and once at the destination.
const SOON: Duration = Duration::from_secs(300);

fn plan(source: &Server, destination: &Server) -> Value {
    let end = |server: &Server, secret: &str| json!({"mysql": {"host": "127.0.0.1", "port": server.port, "credentials": {"secretName": secret}}});
    json!({
        "apiVersion": "godwit.dev/v1alpha1",
        "mode": "Run",
        "task": {"namespace": "shops", "name": "shop", "uid": "1-2-3"},
        "generation": 1,
        "spec": {
            "source": end(source, "source"),
            "destination": end(destination, "destination"),
            "objects": [{"database": "shop"}],
            "precheck": {"ignore": ["PrimaryKeys", "GtidMode"]},
            "throttle": {"full": {"rowsPerSecond": 2000}}
        },
        "retry": {"connectionMinutes": 30, "otherMinutes": 10, "failedTaskDays": 7},
        "resources": {"units": 1, "cpuMillis": 1000, "memoryBytes": MEMORY}
    })
}

async fn fill(source: &Server) {
    let digits = "(SELECT 0 n UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4 UNION ALL SELECT 5 UNION ALL SELECT 6 \
                  UNION ALL SELECT 7 UNION ALL SELECT 8 UNION ALL SELECT 9)";
    source
        .run(&[
            "DROP DATABASE IF EXISTS shop",
            "CREATE DATABASE shop",
            "CREATE TABLE shop.bare (n INT)",
            "CREATE TABLE shop.wide (k VARCHAR(220) CHARACTER SET latin1 COLLATE latin1_bin PRIMARY KEY, n INT NOT NULL)",
            &format!("INSERT INTO shop.bare SELECT a.n FROM {digits} a, {digits} b, {digits} c, {digits} d WHERE a.n < 3"),
            &format!(
                "INSERT INTO shop.wide SELECT CONCAT(REPEAT('k', 215), LPAD(a.n*10000+b.n*1000+c.n*100+d.n*10+e.n, 5, '0')), 0 \
                 FROM {digits} a, {digits} b, {digits} c, {digits} d, {digits} e WHERE a.n*10000+b.n*1000+c.n*100+d.n*10+e.n < {ROWS}"
            ),
        ])
        .await;
}

fn read_again(engine: &Engine) -> bool {
    engine.log().contains("a chunk is read again in pieces")
}

/// A source without GTIDs: chunks are read with locks, so that a session that holds one row keeps a chunk open for as long as it wants,
/// while others change all keys of the table.
pub async fn keys_without_room(source: &Server, destination: &Server) {
    fill(source).await;
    for database in ["shop", "godwit"] {
        destination.run(&[&format!("DROP DATABASE IF EXISTS {database}")]).await;
    }
    let mut pod = Pod::new();
    for secret in ["source", "destination"] {
        pod.secret(secret, &[("username", "root"), ("password", PASSWORD)]);
    }
    pod.plan(&plan(source, destination).to_string());
    let mut engine = pod.start();
    engine.until_phase("Copying", SOON);
    // The table without a key is being copied from its snapshot: all keys change meanwhile.
    let mut holder = source.connect().await;
    holder.query_drop("START TRANSACTION").await.unwrap();
    holder.query_drop("UPDATE shop.wide SET n=n+1 ORDER BY k LIMIT 1").await.unwrap();
    let all = "UPDATE shop.wide SET n=n+1 WHERE k > CONCAT(REPEAT('k', 215), '00000')";
    source.run(&[all]).await;
    engine.until("the other table is copied", SOON, |report| report["full"]["rowsCopied"].as_u64().unwrap_or_default() >= 3000);
    // A chunk waits for the row, so it is registered; for it no other of the keys has room.
    let waiting = "SELECT CAST(COUNT(*) AS CHAR) FROM information_schema.innodb_trx WHERE trx_state='LOCK WAIT'";
    let deadline = Instant::now() + SOON;
    while source.list(waiting).await == ["0"] {
        assert!(Instant::now() < deadline, "{:#}\n{}", engine.status(), engine.log());
        sleep(0.05).await;
    }
    source.run(&[all, "INSERT INTO shop.bare VALUES (7)"]).await;
    let applied = "SELECT CAST(COUNT(*) AS CHAR) FROM shop.bare WHERE n=7";
    let deadline = Instant::now() + SOON;
    while destination.list(applied).await != ["1"] {
        assert!(Instant::now() < deadline, "{:#}\n{}", engine.status(), engine.log());
        sleep(0.05).await;
    }
    assert!(!read_again(&engine), "it still waits for the row");
    holder.query_drop("COMMIT").await.unwrap();
    holder.disconnect().await.unwrap();
    engine.until("in sync", SOON, |status| condition(status, "InSync") == "True");
    assert!(read_again(&engine), "{}", engine.log());
    let peak = engine.peak_mebibytes();
    println!("peak memory with {ROWS} keys of 220 bytes touched twice while a chunk is open: {peak} MiB");
    assert!(peak < PEAK_MEBIBYTES, "{peak} MiB");
    engine.terminate();
    assert_equal(source, destination, "shop").await;
    Migration::new(source, destination).verify().await;
}
