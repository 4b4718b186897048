//! Two tasks that would write the same tables: one of them does not start.

use std::time::Duration;

use godwit::api::{Flavor, TlsMode};
use godwit::engine::checkpoint::NewTask;
use godwit::engine::connection::Connector;
use godwit::engine::destination::Records;
use godwit::engine::destination::mysql::Record;
use godwit::manifest::{ResolvedEndpoint, ResolvedTls, SecretText};
use godwit::model::error::Class;
use godwit::model::names::TableName;
use serde_json::json;

use crate::support::PASSWORD;
use crate::support::writers::load;
use crate::support::{Migration, Server, place};

fn record(server: &Server, task: &str) -> Record {
    // Only the first caller installs it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let endpoint = ResolvedEndpoint {
        host: "127.0.0.1".into(),
        port: server.port,
        username: "root".into(),
        password: SecretText::new(PASSWORD),
        flavor: Flavor::Auto,
        tls: ResolvedTls { mode: TlsMode::Disabled, ..ResolvedTls::default() },
    };
    Record::new(Connector::new(&endpoint, "destination"), "godwit", task)
}

/// Tables `from..to` of the database `shop`.
fn tables(numbers: std::ops::Range<u32>) -> Vec<TableName> {
    numbers.map(|number| TableName { database: "shop".into(), table: format!("t{number}") }).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_tasks_at_the_same_moment_one_wins() {
    let _place = place().await;
    let server = Server::start("mysql97", &[]);
    record(&server, "none").prepare().await.unwrap();
    for round in 0..25 {
        let (one, two) = (format!("shops/one-{round}"), format!("shops/two-{round}"));
        let base = round * 1000;
        // They have some tables in common, more than one statement enters, and name them in opposite order.
        let (first, mut second) = (tables(base..base + 300), tables(base + 250..base + 600));
        second.reverse();
        let create = |task: String, tables: Vec<TableName>| {
            let record = record(&server, &task);
            tokio::spawn(async move {
                let task =
                    NewTask { fingerprint: &[], source_identity: "uuid", start: None, definitions: &[], destinations: &tables };
                record.create(task).await
            })
        };
        let (one_task, two_task) = (create(one.clone(), first), create(two.clone(), second));
        let results = [one_task.await.unwrap(), two_task.await.unwrap()];
        let errors: Vec<_> = results.into_iter().filter_map(Result::err).collect();
        assert_eq!(errors.len(), 1, "round {round}: {errors:?}");
        let text = errors[0].to_string();
        assert_eq!(errors[0].class(), Class::Definite, "{text}");
        assert!(text.contains(&one) && text.contains(&two) && text.contains("shop.t"), "{text}");
        let recorded = [record(&server, &one).load().await.unwrap(), record(&server, &two).load().await.unwrap()];
        assert_eq!(recorded.iter().flatten().count(), 1, "the other left nothing behind");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_precheck_names_table_and_task() {
    let _place = place().await;
    let (source, destination) = (Server::start("mysql97", &[]), Server::start("mysql97", &[]));
    load(&source, 500, false).await;
    let first = Migration::new(&source, &destination);
    first.run_until_caught_up().await.expect(0);
    let mut second = Migration::new(&source, &destination).with("/conflictPolicy", json!("IgnoreErrorsAndProceed"));
    second.document["metadata"]["name"] = json!("other");
    let refused = second.run().await.expect(3);
    refused.says("DestinationInUse").says("by task default/shop").says("desiredState: Stopped");
    // Under other names there is room for both.
    let mut beside =
        Migration::new(&source, &destination).with("/objects", json!([{"database": "shop", "renameTo": "shop_two"}]));
    beside.document["metadata"]["name"] = json!("beside");
    beside.run_until_caught_up().await.expect(0);
    // The first one is stopped: its tables are free, and now they are only tables that stand there.
    let stopped = Migration::new(&source, &destination).with("/desiredState", json!("Stopped"));
    stopped.run().await.expect(0);
    let ended = second.run().await.expect(3);
    assert!(!ended.text().contains("FAILED DestinationInUse"), "{}", ended.text());
    destination.run(&["DROP DATABASE shop"]).await;
    let mut running = second.start(&[]);
    running.until_phase("Replicating", Duration::from_secs(60)).await;
    running.terminate().await;
}
