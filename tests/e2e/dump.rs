//! The connection that reads the binary log, on its own: logins by every plugin, long way and short way, with and without
//! encryption, and what it says when it does not come about. Each reads the log of a real server.

use godwit::api::{Flavor, TlsMode};
use godwit::engine::connection::Connector;
use godwit::engine::source::stream::{Follow, LogStream};
use godwit::manifest::{ResolvedEndpoint, ResolvedTls, SecretText};
use godwit::model::error::{Class, Result};
use godwit::model::position::{GtidPosition, Position};
use serde_json::json;

use crate::support::{Migration, Server, place};
use crate::tls::{certificates, server};

const FORMAT_DESCRIPTION: u8 = 15;
/// QUERY, and MariaDB's GTID, which stands for BEGIN: something that the server was told to do.
const DONE: [u8; 2] = [2, 162];

fn plain() -> ResolvedTls {
    ResolvedTls { mode: TlsMode::Disabled, ..ResolvedTls::default() }
}

fn connector(port: u16, account: (&str, &str), host: &str, tls: ResolvedTls) -> Connector {
    let endpoint = ResolvedEndpoint {
        host: host.into(),
        port,
        username: account.0.into(),
        password: SecretText::new(account.1),
        flavor: Flavor::Auto,
        tls,
    };
    Connector::new(&endpoint, "source")
}

/// Reads the server's whole log as the account, over a connection made with `tls`. No other connection is made as it.
async fn reads(server: &Server, account: (&str, &str), host: &str, tls: ResolvedTls) -> Result<()> {
    let info = connector(server.port, ("root", "godwit-root"), "127.0.0.1", plain()).server_info().await.unwrap();
    let start = Position::at("binlog.000001", 4);
    let source = connector(server.port, account, host, tls);
    let mut stream = LogStream::open(&source, &info, &start, 4_000_000, Follow::ToEnd).await?;
    let mut seen = Vec::new();
    while let Some(event) = stream.next().await? {
        seen.push(event.raw().event_type);
    }
    assert!(seen.contains(&FORMAT_DESCRIPTION) && seen.iter().any(|event| DONE.contains(event)), "{seen:?}");
    assert_eq!(stream.file(), "binlog.000001");
    stream.close().await;
    Ok(())
}

async fn refused(server: &Server, account: (&str, &str), tls: ResolvedTls, sentence: &str) {
    let error = reads(server, account, "127.0.0.1", tls).await.unwrap_err();
    assert_eq!(error.class(), Class::Definite, "{error}");
    assert!(error.to_string().contains(sentence), "{error}");
    assert!(error.to_string().starts_with("connecting to the source 127.0.0.1:"), "{error}");
    assert!(!error.to_string().contains(account.1), "{error}");
}

async fn account(server: &Server, name: &str, identified: &str) {
    server
        .run(&[
            &format!("CREATE USER {name} IDENTIFIED {identified}"),
            &format!("GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO {name}"),
        ])
        .await;
}

const PLAIN: &[TlsMode] = &[TlsMode::Disabled, TlsMode::Preferred];
const ENCRYPTED: &[TlsMode] = &[TlsMode::Disabled, TlsMode::Required, TlsMode::Preferred, TlsMode::VerifyIdentity];

/// Each plugin in each mode, with a password that the server does not have in its cache and with one that it has.
async fn every_plugin(server: &Server, ca: Option<&[u8]>, modes: &[TlsMode], plugins: &[&str]) {
    for (number, plugin) in plugins.iter().enumerate() {
        let name = format!("reader{number}");
        account(server, &name, &format!("{plugin} BY 'dump-login-pass'")).await;
        let right = (name.as_str(), "dump-login-pass");
        for mode in modes.iter().copied() {
            let tls = ResolvedTls { mode, ca_pem: ca.map(<[u8]>::to_vec), ..ResolvedTls::default() };
            // Forgets what it knows of passwords.
            server.run(&["FLUSH PRIVILEGES"]).await;
            for _ in 0..2 {
                let read = reads(server, right, "127.0.0.1", tls.clone()).await;
                read.unwrap_or_else(|error| panic!("{plugin} {mode:?}: {error}"));
            }
            refused(server, (&name, "not-this-one"), tls.clone(), "Access denied").await;
            refused(server, (&name, "not-this-one"), tls, "1045").await;
        }
    }
    account(server, "nobody", "BY ''").await;
    reads(server, ("nobody", ""), "127.0.0.1", plain()).await.unwrap();
}

async fn every_plugin_encrypted(kind: &str, plugins: &[&str]) {
    let _place = place().await;
    let lab = certificates();
    let ca = std::fs::read(lab.path().join("ca-cert.pem")).unwrap();
    let server = server(kind, lab.path(), "server").await;
    every_plugin(&server, Some(&ca), ENCRYPTED, plugins).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_plugin_of_mysql97() {
    every_plugin_encrypted("mysql97", &["WITH caching_sha2_password"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_plugin_of_mariadb114() {
    every_plugin_encrypted("mariadb114", &[""]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_plugin_of_mysql80() {
    let _place = place().await;
    let server = Server::start("mysql80", &[]);
    every_plugin(&server, None, PLAIN, &["WITH caching_sha2_password", "WITH mysql_native_password"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_plugin_of_mysql57() {
    let _place = place().await;
    let server = Server::start("mysql57", &[]);
    every_plugin(&server, None, PLAIN, &["WITH mysql_native_password"]).await;
    let required = ResolvedTls { mode: TlsMode::Required, ..plain() };
    refused(&server, ("reader0", "dump-login-pass"), required, "the server offers no TLS").await;
    passes_by_in_silence(&server).await;
    one_dump_for_all_snapshots(&server).await;
}

/// What the reader has is not sent, and no heartbeat is in its place.
async fn passes_by_in_silence(server: &Server) {
    server
        .run(&[
            "CREATE DATABASE shop",
            "CREATE TABLE shop.t0 (n INT)",
            "CREATE PROCEDURE shop.fill() BEGIN DECLARE i INT DEFAULT 0; WHILE i < 3000 DO INSERT INTO shop.t0 VALUES (i); SET i=i+1; END WHILE; END",
            "CALL shop.fill()",
        ])
        .await;
    let source = connector(server.port, ("root", "godwit-root"), "127.0.0.1", plain());
    let info = source.server_info().await.unwrap();
    let executed = server.list("SELECT @@GLOBAL.gtid_executed").await[0].parse().unwrap();
    let start = Position { gtid: GtidPosition::MySql(executed), ..Position::default() };
    let mut stream = LogStream::open(&source, &info, &start, 4_000_000, Follow::Forever).await.unwrap();
    server.run(&["INSERT INTO shop.t0 VALUES (-1)"]).await;
    let mut before = 0;
    // TABLE_MAP: the row.
    while stream.next().await.unwrap().unwrap().raw().event_type != 19 {
        before += 1;
    }
    stream.close().await;
    assert!(before < 20, "{before} events before the first new one");
}

/// Tables without a key, each with a snapshot of its own.
async fn one_dump_for_all_snapshots(server: &Server) {
    for table in 1..12 {
        server
            .run(&[&format!("CREATE TABLE shop.t{table} (n INT)"), &format!("INSERT INTO shop.t{table} VALUES (1), (1)")])
            .await;
    }
    server.run(&["DROP PROCEDURE shop.fill", "SET GLOBAL log_output='TABLE'", "SET GLOBAL general_log=ON"]).await;
    let migration = Migration::new(server, server).with("/objects/0/renameTo", json!("copy"));
    migration.run_until_caught_up().await.expect(0);
    let dumps = server.list("SELECT CAST(COUNT(*) AS CHAR) FROM mysql.general_log WHERE command_type='Binlog Dump GTID'").await;
    assert_eq!(dumps, ["2"], "one for the snapshots, one to follow");
    let rows = "SELECT CONCAT((SELECT COUNT(*) FROM copy.t0), ' ', (SELECT COUNT(*) FROM copy.t11))";
    assert_eq!(server.list(rows).await, ["3001 2"]);
}

/// Certificates of clients and of servers, as the other connections take them.
#[tokio::test(flavor = "multi_thread")]
async fn certificates_are_looked_at() {
    let _place = place().await;
    let (lab, other) = (certificates(), certificates());
    let file = |folder: &std::path::Path, name: &str| std::fs::read(folder.join(format!("{name}.pem"))).unwrap();
    let with = |mode, ca: &[u8], client: bool| ResolvedTls {
        mode,
        ca_pem: Some(ca.to_vec()),
        client_cert: client.then(|| (file(lab.path(), "client-cert"), file(lab.path(), "client-key"))),
        ..ResolvedTls::default()
    };
    let (ca, stranger) = (file(lab.path(), "ca-cert"), file(other.path(), "ca-cert"));
    let (certified, encrypted) = (("with_certificate", "certified-pass"), ("encrypted", "encrypted-pass"));
    for kind in ["mysql97", "mariadb114"] {
        let named = server(kind, lab.path(), "server").await;
        for host in ["127.0.0.1", "localhost"] {
            reads(&named, certified, host, with(TlsMode::VerifyIdentity, &ca, true)).await.unwrap();
        }
        refused(&named, certified, with(TlsMode::VerifyIdentity, &ca, false), "Access denied").await;
        refused(&named, encrypted, plain(), "Access denied").await;
        for mode in [TlsMode::VerifyCA, TlsMode::VerifyIdentity] {
            refused(&named, encrypted, with(mode, &stranger, false), "TLS does not come about: invalid peer certificate").await;
        }
        let public = ResolvedTls { mode: TlsMode::VerifyIdentity, ..ResolvedTls::default() };
        refused(&named, encrypted, public, "UnknownIssuer").await;
        drop(named);

        let misnamed = server(kind, lab.path(), "wrong-name").await;
        for host in ["127.0.0.1", "localhost"] {
            reads(&misnamed, encrypted, host, with(TlsMode::VerifyCA, &ca, false)).await.unwrap();
        }
        refused(&misnamed, encrypted, with(TlsMode::VerifyIdentity, &ca, false), "other.example.test").await;
        refused(&misnamed, encrypted, with(TlsMode::VerifyCA, &stranger, false), "invalid peer certificate").await;
    }
}

/// A log without checksums, TLS that does not come about, a plugin that no connection of ours knows, an account that may
/// not read the log, and no server.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_server_does_not_have() {
    let _place = place().await;
    // Offers TLS, with which rustls has no cipher in common.
    let server = Server::start("mysql80", &["--binlog-checksum=NONE", "--ssl"]);
    account(&server, "reader", "WITH mysql_native_password BY 'dump-login-pass'").await;
    let right = ("reader", "dump-login-pass");
    reads(&server, right, "127.0.0.1", plain()).await.unwrap();
    for mode in [TlsMode::Required, TlsMode::Preferred] {
        refused(&server, right, ResolvedTls { mode, ..plain() }, "TLS does not come about").await;
    }
    account(&server, "other", "WITH sha256_password BY 'dump-login-pass'").await;
    refused(&server, ("other", "dump-login-pass"), plain(), "sha256_password").await;
    server.run(&["CREATE USER blind IDENTIFIED WITH mysql_native_password BY 'dump-login-pass'"]).await;
    let error = reads(&server, ("blind", "dump-login-pass"), "127.0.0.1", plain()).await.unwrap_err();
    assert!(error.to_string().contains("Access denied") && error.class() == Class::Definite, "{error}");
    server.kill();
    let source = connector(server.port, right, "127.0.0.1", plain());
    let info = godwit::model::server::ServerInfo::parse("8.0.15");
    let start = Position::at("binlog.000001", 4);
    let error = LogStream::open(&source, &info, &start, 4_000_000, Follow::ToEnd).await.err().unwrap();
    assert_eq!(error.class(), Class::Connection, "{error}");
}

/// A file that is not there, and a log that ends while more is waited for.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_source_says_instead_of_events() {
    let _place = place().await;
    for kind in ["mysql97", "mariadb114"] {
        let server = Server::start(kind, &[]);
        let source = connector(server.port, ("root", "godwit-root"), "127.0.0.1", plain());
        let info = source.server_info().await.unwrap();
        let missing = Position::at("binlog.000900", 4);
        let mut stream = LogStream::open(&source, &info, &missing, 4_000_000, Follow::Forever).await.unwrap();
        let error = loop {
            match stream.next().await {
                Ok(event) => assert!(event.is_some()),
                Err(error) => break error,
            }
        };
        assert_eq!(error.class(), Class::Definite, "{error}");
        assert!(error.to_string().contains("cannot send the binary log from where the task stands"), "{error}");
        let start = Position::at("binlog.000001", 4);
        let mut stream = LogStream::open(&source, &info, &start, 4_000_001, Follow::Forever).await.unwrap();
        let mut heartbeats = 0;
        while heartbeats < 2 {
            heartbeats += u32::from(matches!(stream.next().await.unwrap().unwrap().raw().event_type, 27 | 41));
        }
        let killed = tokio::task::spawn_blocking(move || server.kill());
        let error = loop {
            match stream.next().await {
                Ok(event) => assert!(event.is_some()),
                Err(error) => break error,
            }
        };
        assert_eq!(error.class(), Class::Connection, "{error}");
        killed.await.unwrap();
    }
}
