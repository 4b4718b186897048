//! A server with its client, and short ways to write rows down.

use std::sync::Arc;
use std::time::Duration;

use godwit_tablestore::{
    Client, Column, Config, Credentials, KeyColumn, KeyType, KeyValue, PrimaryKey, Replaceable, Retry, RowChange, RowOperation,
    Signing, TableOptions, Throughput, Value,
};
use godwit_tablestore_server::{Server, Settings};

pub(crate) struct Setup {
    pub(crate) server: Server,
    pub(crate) client: Client,
    pub(crate) credentials: Replaceable,
}

pub(crate) fn config(server: &Server, credentials: Replaceable) -> Config {
    let mut config = Config::new(server.endpoint(), "instance", Arc::new(credentials));
    config.retry = Retry {
        within: Duration::from_secs(5),
        first_pause: Duration::from_millis(2),
        first_pause_throttled: Duration::from_millis(2),
        longest_pause: Duration::from_millis(20),
    };
    config.limits.attempt_timeout = Duration::from_secs(2);
    config
}

/// A server, and a client with retries that do not wait long; `change` may change the client's configuration.
pub(crate) async fn with(settings: Settings, change: impl FnOnce(&mut Config)) -> Setup {
    let server = Server::start(([127, 0, 0, 1], 0).into(), settings).await.unwrap();
    let credentials = Replaceable::new(Credentials::new("test-id", "test-secret"));
    let mut config = config(&server, credentials.clone());
    change(&mut config);
    Setup { client: Client::new(config).unwrap(), server, credentials }
}

pub(crate) async fn start() -> Setup {
    with(Settings { table_operations_per_second: None, ..Settings::default() }, |_| {}).await
}

pub(crate) fn v4(config: &mut Config) {
    config.signing = Signing::V4 { region: "cn-hangzhou".to_owned() };
}

impl Setup {
    /// A table with one number as its key.
    pub(crate) async fn numbered(&self, name: &str) {
        self.table(name, &[KeyColumn::new("id", KeyType::Integer)]).await;
    }

    pub(crate) async fn table(&self, name: &str, key: &[KeyColumn]) {
        self.client.create_table(name, key, TableOptions::default(), Throughput::default()).await.unwrap();
    }

    /// How often the server answered something.
    pub(crate) fn count(&self, of: &str) -> u64 {
        self.server.counts().get(of).copied().unwrap_or(0)
    }
}

pub(crate) fn id(value: i64) -> PrimaryKey {
    vec![("id".into(), KeyValue::Integer(value))]
}

pub(crate) fn number(name: &str, value: i64) -> Column {
    Column::new(name, Value::Integer(value))
}

pub(crate) fn put(at: i64, value: i64) -> RowChange {
    RowChange::new(id(at), RowOperation::Put(vec![number("value", value)]))
}

/// Cells without their versions, which the server chose.
pub(crate) fn unversioned(columns: Vec<Column>) -> Vec<Column> {
    columns.into_iter().map(|column| Column { timestamp: None, ..column }).collect()
}
