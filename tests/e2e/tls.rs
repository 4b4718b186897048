//! Encrypted connections and logins, in both roles, on servers with certificates of the lab (e2e/lab/certs.sh).
//!
//! That a connection is encrypted is shown by accounts that the server lets in only then (REQUIRE X509, REQUIRE SSL).

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use mysql_async::prelude::Queryable;
use serde_json::{Value, json};

use crate::support::{Ended, Migration, Server, assert_equal, place};

const REFUSED: i32 = 3;

/// An authority with certificates for localhost and 127.0.0.1, for another name, and for a client.
pub fn certificates() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/e2e/lab/certs.sh");
    let output = Command::new(script).arg(folder.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    folder
}

fn pem(folder: &Path, name: &str) -> Value {
    json!(std::fs::read_to_string(folder.join(format!("{name}.pem"))).unwrap())
}

/// A server that presents the certificate, with a table and accounts of every kind.
pub async fn server(kind: &str, folder: &Path, certificate: &str) -> Server {
    let file = |part: &str| folder.join(format!("{certificate}-{part}.pem")).display().to_string();
    let options = [format!("--ssl-cert={}", file("cert")), format!("--ssl-key={}", file("key"))];
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let server = Server::start_with(kind, &["--tls", folder.to_str().unwrap()], &options);
    server
        .run(&[
            "CREATE USER with_certificate IDENTIFIED BY 'certified-pass' REQUIRE X509",
            "GRANT ALL ON *.* TO with_certificate WITH GRANT OPTION",
            "CREATE USER encrypted IDENTIFIED BY 'encrypted-pass' REQUIRE SSL",
            "GRANT ALL ON *.* TO encrypted WITH GRANT OPTION",
        ])
        .await;
    server
}

async fn fill(source: &Server) {
    source
        .run(&[
            "CREATE DATABASE shop",
            "CREATE TABLE shop.items (id INT PRIMARY KEY, name VARCHAR(40))",
            "INSERT INTO shop.items VALUES (1, 'one'), (2, 'two')",
        ])
        .await;
}

struct Case<'a> {
    source: &'a Server,
    destination: &'a Server,
    folder: &'a Path,
}

impl Case<'_> {
    /// Both ends as the account, on `host`, with `tls`.
    fn migration(&self, account: (&str, &str), host: &str, tls: Value) -> Migration {
        let mut migration = Migration::new(self.source, self.destination);
        for end in ["source", "destination"] {
            migration.set(&format!("/{end}/mysql/host"), json!(host));
            migration.set(&format!("/{end}/mysql/tls"), tls.clone());
        }
        let login = json!({"username": account.0, "password": account.1});
        migration.secrets = vec![
            ("source", login.clone()),
            ("destination", login),
            ("authority", json!({"ca.crt": pem(self.folder, "ca-cert")})),
            ("client", json!({"tls.crt": pem(self.folder, "client-cert"), "tls.key": pem(self.folder, "client-key")})),
        ];
        migration
    }
}

const CERTIFIED: (&str, &str) = ("with_certificate", "certified-pass");
const ENCRYPTED: (&str, &str) = ("encrypted", "encrypted-pass");

async fn passes(migration: &Migration) {
    migration.godwit(&["precheck"]).await.expect(0);
}

/// Both ends are refused, each under its own name.
async fn refused(migration: &Migration, sentences: &[&str]) -> Ended {
    let ended = migration.godwit(&["precheck"]).await.expect(REFUSED);
    for sentence in ["SourceConnectivity", "DestinationConnectivity"].iter().chain(sentences) {
        ended.says(sentence);
    }
    ended
}

async fn every_mode(kind: &str) {
    let _place = place().await;
    let (lab, other) = (certificates(), certificates());
    let (source, destination) = (server(kind, lab.path(), "server").await, server(kind, lab.path(), "server").await);
    fill(&source).await;
    let case = Case { source: &source, destination: &destination, folder: lab.path() };
    let authority = json!({"secretName": "authority"});
    let client = json!({"secretName": "client"});
    let verified = |mode: &str| json!({"mode": mode, "ca": authority, "clientCertificate": client});

    for host in ["127.0.0.1", "localhost"] {
        passes(&case.migration(CERTIFIED, host, verified("VerifyIdentity"))).await;
    }
    passes(&case.migration(CERTIFIED, "127.0.0.1", verified("VerifyCA"))).await;
    passes(&case.migration(CERTIFIED, "127.0.0.1", json!({"mode": "Required", "clientCertificate": client}))).await;
    for mode in ["Required", "Preferred"] {
        passes(&case.migration(ENCRYPTED, "127.0.0.1", json!({"mode": mode}))).await;
    }

    // What the server demands is not there.
    let without = json!({"mode": "VerifyIdentity", "ca": authority});
    refused(&case.migration(CERTIFIED, "127.0.0.1", without), &["Access denied"]).await;
    refused(&case.migration(ENCRYPTED, "127.0.0.1", json!({"mode": "Disabled"})), &["Access denied"]).await;
    // What the task demands is not there: an authority that knows the certificate.
    for mode in ["VerifyCA", "VerifyIdentity"] {
        let mut stranger = case.migration(ENCRYPTED, "127.0.0.1", json!({"mode": mode, "ca": authority}));
        stranger.secrets[2].1 = json!({"ca.crt": pem(other.path(), "ca-cert")});
        let sentences = [
            "TLS does not come about",
            "invalid peer certificate",
            "Secret of tls.ca",
            "spec.source.mysql",
            "spec.destination.mysql",
        ];
        refused(&stranger, &sentences).await;
    }
    // The public authorities do not know it either.
    refused(&case.migration(ENCRYPTED, "127.0.0.1", json!({"mode": "VerifyIdentity"})), &["UnknownIssuer", "tls.ca"]).await;

    // All the way, each kind of connection that an engine makes.
    let migration = case.migration(CERTIFIED, "localhost", verified("VerifyIdentity"));
    migration.run_until_caught_up().await.expect(0);
    source.run(&["INSERT INTO shop.items VALUES (3, 'three')", "UPDATE shop.items SET name='deux' WHERE id=2"]).await;
    migration.arrives(&source, &destination).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_mode_on_mysql97() {
    every_mode("mysql97").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_mode_on_mariadb114() {
    every_mode("mariadb114").await;
}

/// A certificate of the right authority for another host.
#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_name() {
    let _place = place().await;
    let lab = certificates();
    for kind in ["mysql97", "mariadb114"] {
        let (source, destination) = (server(kind, lab.path(), "wrong-name").await, server(kind, lab.path(), "wrong-name").await);
        fill(&source).await;
        let case = Case { source: &source, destination: &destination, folder: lab.path() };
        let with = |mode: &str| json!({"mode": mode, "ca": {"secretName": "authority"}});
        for host in ["127.0.0.1", "localhost"] {
            let strict = case.migration(ENCRYPTED, host, with("VerifyIdentity"));
            refused(&strict, &["TLS does not come about", "other.example.test", "VerifyCA"]).await;
            passes(&case.migration(ENCRYPTED, host, with("VerifyCA"))).await;
        }
        case.migration(ENCRYPTED, "127.0.0.1", with("VerifyCA")).run_until_caught_up().await.expect(0);
        assert_equal(&source, &destination, "shop").await;
        // Leniency about the name is none about the authority.
        let mut stranger = case.migration(ENCRYPTED, "127.0.0.1", with("VerifyCA"));
        stranger.secrets[2].1 = json!({"ca.crt": pem(certificates().path(), "ca-cert")});
        refused(&stranger, &["invalid peer certificate", "Secret of tls.ca"]).await;
    }
}

/// Logins without encryption: the password is never sent as it is. A new account is unknown to the server's cache, so that
/// caching_sha2_password goes its long way, with the server's public key.
async fn plain_login(kind: &str, plugin: &str) {
    let _place = place().await;
    let (source, destination) = (Server::start(kind, &[]), Server::start(kind, &[]));
    fill(&source).await;
    let create = format!("CREATE USER mover IDENTIFIED {plugin} BY 'plain-login-pass'");
    for server in [&source, &destination] {
        server.run(&[create.as_str(), "GRANT ALL ON *.* TO mover WITH GRANT OPTION"]).await;
    }
    let mut migration = Migration::new(&source, &destination);
    let login = json!({"username": "mover", "password": "plain-login-pass"});
    migration.secrets = vec![("source", login.clone()), ("destination", login)];
    for end in ["source", "destination"] {
        migration.set(&format!("/{end}/mysql/tls"), json!({"mode": "Disabled"}));
    }
    migration.arrives(&source, &destination).await;
    // The server knows the password now: the short way.
    migration.run_until_caught_up().await.expect(0);
    for end in ["source", "destination"] {
        migration.secrets.iter_mut().find(|(name, _)| *name == end).unwrap().1 =
            json!({"username": "mover", "password": "not-this-one"});
    }
    refused(&migration, &["Access denied"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_login_by_caching_sha2_password() {
    plain_login("mysql97", "WITH caching_sha2_password").await;
    plain_login("mysql80", "WITH caching_sha2_password").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_login_by_mysql_native_password() {
    plain_login("mysql57", "WITH mysql_native_password").await;
    plain_login("mysql80", "WITH mysql_native_password").await;
    // Its own default.
    plain_login("mariadb114", "").await;
}

/// Where somebody can stand between, a password is not sent for the asking. 0.0.0.0 leads to this machine and is no loopback address.
#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_not_sent_for_the_asking() {
    let _place = place().await;
    let (source, destination) = (Server::start("mysql80", &[]), Server::start("mysql80", &[]));
    fill(&source).await;
    for server in [&source, &destination] {
        server
            .run(&[
                "CREATE USER mover IDENTIFIED WITH caching_sha2_password BY 'plain-login-pass'",
                "GRANT ALL ON *.* TO mover WITH GRANT OPTION",
                "CREATE USER weak IDENTIFIED WITH mysql_native_password BY 'plain-login-pass'",
            ])
            .await;
    }
    let with = |account: &str, tls: Value| {
        let mut migration = Migration::new(&source, &destination);
        let login = json!({"username": account, "password": "plain-login-pass"});
        migration.secrets = vec![("source", login.clone()), ("destination", login)];
        for end in ["source", "destination"] {
            migration.set(&format!("/{end}/mysql/host"), json!("0.0.0.0"));
            migration.set(&format!("/{end}/mysql/tls"), tls.clone());
        }
        migration
    };
    let disabled = || json!({"mode": "Disabled"});
    refused(&with("mover", disabled()), &["tls.serverPublicKey", "not encrypted"]).await;
    refused(&with("weak", disabled()), &["mysql_native_password, a weaker proof"]).await;
    // Each server's own key, and no question for it.
    let mut given = with("mover", json!({"mode": "Disabled", "serverPublicKey": {"secretName": "key"}}));
    given.set("/destination/mysql/tls", json!({"mode": "Disabled", "serverPublicKey": {"secretName": "other-key"}}));
    for (name, server) in [("key", &source), ("other-key", &destination)] {
        let statement = "SHOW STATUS LIKE 'Caching_sha2_password_rsa_public_key'";
        let found: Option<(String, String)> = server.connect().await.query_first(statement).await.unwrap();
        given.secrets.push((name, json!({"public_key.pem": found.unwrap().1})));
    }
    given.arrives(&source, &destination).await;
    for server in [&source, &destination] {
        // Forgets what it knows of passwords.
        server.run(&["FLUSH PRIVILEGES"]).await;
    }
    passes(&with("mover", json!({"mode": "Disabled", "allowPublicKeyRetrieval": true}))).await;
    // The server offers no TLS: somebody may say so in its place.
    let ended = with("mover", json!({"mode": "Preferred", "allowPublicKeyRetrieval": true})).godwit(&["precheck"]).await;
    ended.expect(REFUSED).says("Encryption").says("offers no TLS");
    // Who accepts that sees it for as long as the task runs: a condition, and the line of the status.
    let accepted = with("mover", json!({"mode": "Preferred", "allowPublicKeyRetrieval": true})).ignoring(&["Encryption"]);
    let mut running = accepted.start(&[]);
    let report = running.until_phase("Replicating", Duration::from_secs(60)).await;
    let conditions = report["conditions"].as_array().unwrap();
    let encrypted = conditions.iter().find(|condition| condition["type"] == "Encrypted").unwrap_or_else(|| panic!("{report}"));
    assert_eq!((&encrypted["status"], &encrypted["reason"]), (&json!("False"), &json!("NotOffered")), "{report}");
    for (side, server) in [("source", &source), ("destination", &destination)] {
        let named = format!("the {side} 0.0.0.0:{}", server.port);
        let says = |text: &Value| text.as_str().is_some_and(|text| text.contains("not encrypted") && text.contains(&named));
        assert!(says(&encrypted["message"]) && says(&report["message"]), "{report}");
    }
    running.terminate().await;
    // At a loopback address nobody can stand between.
    let near = Migration::new(&source, &destination);
    let mut running = near.start(&[]);
    let report = running.until_phase("Replicating", Duration::from_secs(60)).await;
    assert!(!report.to_string().contains("not encrypted"), "{report}");
    running.terminate().await;
}
