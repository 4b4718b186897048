//! What a server is started with.

use std::time::Duration;

/// Settings of a server.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The name of its one instance.
    pub instance: String,
    /// The AccessKey ID that it knows.
    pub access_key_id: String,
    /// The secret of that key.
    pub access_key_secret: String,
    /// The security token that requests have to bring; none where they bring none.
    pub security_token: Option<String>,
    /// The tables that the instance may have.
    pub tables: usize,
    /// Operations on tables within a second; none for any number.
    pub table_operations_per_second: Option<u32>,
    /// How long a new table is answered `OTSTableNotReady`.
    pub loading: Duration,
    /// How many bodies of requests are kept for whoever asks.
    pub recorded: usize,
}

impl Default for Settings {
    /// The limits of the service, and tables that are ready at once.
    fn default() -> Self {
        Self {
            instance: "instance".to_owned(),
            access_key_id: "test-id".to_owned(),
            access_key_secret: "test-secret".to_owned(),
            security_token: None,
            tables: 64,
            table_operations_per_second: Some(10),
            loading: Duration::ZERO,
            recorded: 64,
        }
    }
}
