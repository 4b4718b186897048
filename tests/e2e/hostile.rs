//! Servers whose GLOBAL settings are against whatever a session could lean on, and rows that change meanwhile.

use std::time::Duration;

use serde_json::json;

use crate::support::writers::load;
use crate::support::{Migration, Server, Writers, assert_equal, place, sleep};

/// What all servers have.
// Not div_precision_increment: what it changes in values computed by sessions that began before is a real difference (verify_real::generated).
const COMMON: &[(&str, &str)] = &[
    ("auto_increment_increment", "7"),
    ("auto_increment_offset", "3"),
    ("autocommit", "0"),
    ("binlog_checksum", "NONE"),
    ("character_set_server", "latin1"),
    ("completion_type", "'CHAIN'"),
    ("default_storage_engine", "MyISAM"),
    ("explicit_defaults_for_timestamp", "0"),
    ("foreign_key_checks", "0"),
    ("group_concat_max_len", "4"),
    ("init_connect", "'SET SESSION sql_select_limit=2'"),
    ("innodb_lock_wait_timeout", "1"),
    ("lock_wait_timeout", "1"),
    ("low_priority_updates", "1"),
    ("max_error_count", "0"),
    ("max_heap_table_size", "16384"),
    ("max_join_size", "1"),
    ("max_sort_length", "64"),
    ("net_buffer_length", "1024"),
    ("net_read_timeout", "1"),
    ("net_write_timeout", "1"),
    ("session_track_schema", "1"),
    ("session_track_state_change", "1"),
    ("session_track_system_variables", "'*'"),
    ("session_track_transaction_info", "'CHARACTERISTICS'"),
    ("sort_buffer_size", "32768"),
    ("sql_auto_is_null", "1"),
    ("sql_big_selects", "0"),
    ("sql_buffer_result", "1"),
    ("sql_notes", "0"),
    ("sql_quote_show_create", "0"),
    ("sql_safe_updates", "1"),
    ("sql_select_limit", "0"),
    ("sql_warnings", "1"),
    ("time_zone", "'+05:30'"),
    ("transaction_isolation", "'SERIALIZABLE'"),
    ("unique_checks", "0"),
    ("wait_timeout", "1"),
];

const MYSQL: &[(&str, &str)] = &[
    ("binlog_rows_query_log_events", "1"),
    ("default_collation_for_utf8mb4", "'utf8mb4_general_ci'"),
    ("end_markers_in_json", "1"),
    ("max_execution_time", "500"),
    ("range_optimizer_max_mem_size", "1"),
    ("session_track_gtids", "'ALL_GTIDS'"),
    ("show_create_table_verbosity", "1"),
    (
        "sql_mode",
        "'ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PAD_CHAR_TO_FULL_LENGTH,PIPES_AS_CONCAT,IGNORE_SPACE,NO_UNSIGNED_SUBTRACTION,\
          HIGH_NOT_PRECEDENCE,REAL_AS_FLOAT,ONLY_FULL_GROUP_BY'",
    ),
];

const SINCE_MYSQL_84: &[(&str, &str)] = &[
    ("binlog_row_value_options", "PARTIAL_JSON"),
    ("binlog_transaction_compression", "1"),
    ("partial_revokes", "1"),
    ("show_gipk_in_create_table_and_information_schema", "0"),
    ("sql_generate_invisible_primary_key", "1"),
    ("sql_require_primary_key", "1"),
];

const MARIADB: &[(&str, &str)] = &[
    ("alter_algorithm", "'INSTANT'"),
    ("character_set_collations", "'utf8mb4=utf8mb4_uca1400_as_cs,latin1=latin1_german1_ci'"),
    ("check_constraint_checks", "0"),
    ("idle_readonly_transaction_timeout", "1"),
    ("idle_transaction_timeout", "1"),
    ("idle_write_transaction_timeout", "1"),
    ("innodb_snapshot_isolation", "1"),
    ("lc_messages", "'de_DE'"),
    ("max_statement_time", "0.5"),
    ("old_mode", "''"),
    ("sql_if_exists", "1"),
    ("sql_mode", "'ORACLE,ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PAD_CHAR_TO_FULL_LENGTH,EMPTY_STRING_IS_NULL'"),
    ("system_versioning_alter_history", "'ERROR'"),
];

async fn hostile(kind: &str, own: &[&[(&str, &str)]]) {
    let _place = place().await;
    let servers = [Server::start(kind, &[]), Server::start(kind, &[])];
    load(&servers[0], 5_000, false).await;
    servers[0]
        .run(&[
            "CREATE TABLE shop.isam (id INT NOT NULL, name VARCHAR(40), KEY (name), PRIMARY KEY (id)) ENGINE=MyISAM ROW_FORMAT=FIXED KEY_BLOCK_SIZE=1024",
            "INSERT INTO shop.isam VALUES (1, 'a\\\\b'), (2, '\"'), (3, '')",
            "CREATE TABLE shop.heap (id INT PRIMARY KEY, name VARCHAR(40), KEY (name)) ENGINE=MEMORY",
            "INSERT INTO shop.heap VALUES (1, 'one'), (2, NULL)",
        ])
        .await;
    // Who has all privileges passes init_connect by.
    let mut accounts = Vec::new();
    for server in &servers {
        server
            .run(&[
                "CREATE USER mover IDENTIFIED BY 'godwit-root'",
                "GRANT ALL ON shop.* TO mover",
                "GRANT ALL ON again.* TO mover",
            ])
            .await;
        server.run(&["GRANT ALL ON `godwit\\_trial\\_%`.* TO mover"]).await;
        server.run(&["GRANT ALL ON godwit.* TO mover", "GRANT REPLICATION CLIENT, REPLICATION SLAVE ON *.* TO mover"]).await;
        if kind.starts_with("mysql") {
            // For what the precheck asks it for by name; init_connect still is for this account.
            server.run(&["GRANT SESSION_VARIABLES_ADMIN ON *.* TO mover"]).await;
        }
        accounts.push(Server::given(&format!("mysql://mover:godwit-root@{}:{}", server.host, server.port)));
    }
    let migration = Migration::new(&accounts[0], &accounts[1])
        // partial_revokes knows no patterns for the trial's databases.
        .ignoring(&["StorageEngines", "MaxAllowedPacket", "Trial"])
        .with("/verification", json!({"full": {"mode": "Rows"}}));
    // Their sessions are from before.
    let writers = Writers::start(&servers[0], 4, 500, 5, 0);
    sleep(0.5).await;
    let settings: Vec<(&str, &str)> = std::iter::once(COMMON).chain(own.iter().copied()).flatten().copied().collect();
    for server in &servers {
        let set: Vec<String> = settings.iter().map(|(name, value)| format!("SET GLOBAL {name}={value}")).collect();
        server.run(&set.iter().map(String::as_str).collect::<Vec<_>>()).await;
    }

    let mut running = migration.start(&[]);
    running.until_phase("Replicating", Duration::from_secs(120)).await;
    // Longer than a session may be idle.
    sleep(3.0).await;
    running.terminate().await;
    writers.stop().await;
    migration.run_until_caught_up().await.expect(0);
    migration.verify().await;
    // Another task finds the records there.
    let objects = json!([{"database": "shop", "renameTo": "again", "tables": [{"table": "isam"}, {"table": "heap"}]}]);
    let mut second = migration.with("/objects", objects).with("/migrationTypes", json!(["Schema", "Full"]));
    second.document["metadata"]["name"] = json!("again");
    second.run().await.expect(0);
    second.verify().await;

    for server in &servers {
        let undo = settings.iter().map(|(name, _)| format!("SET GLOBAL {name}=DEFAULT"));
        let set: Vec<String> = std::iter::once("SET SESSION autocommit=1".to_owned()).chain(undo).collect();
        server.run(&set.iter().map(String::as_str).collect::<Vec<_>>()).await;
    }
    assert!(assert_equal(&servers[0], &servers[1], "shop").await > 2_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_of_mysql80() {
    hostile("mysql80", &[MYSQL]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_of_mysql97() {
    hostile("mysql97", &[MYSQL, SINCE_MYSQL_84]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_of_mariadb114() {
    hostile("mariadb114", &[MARIADB]).await;
}
