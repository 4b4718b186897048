//! Connections: kept, bounded, encrypted.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use godwit_tablestore::{Client, Condition, Credentials, ErrorKind, Read, Replaceable};
use godwit_tablestore_server::{Fault, FaultKind, Settings};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{RootCertStore, ServerConfig};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::setup::{self, Setup, id, number, start, with};

#[tokio::test]
async fn requests_one_after_the_other_share_a_connection() {
    let setup = start().await;
    setup.numbered("t").await;
    for at in 0..100 {
        setup.client.put_row("t", id(at), vec![number("value", at)], Condition::default()).await.unwrap();
    }
    // The pool may open one beside one that comes back at the same moment.
    assert!(setup.server.connections() <= 3, "{}", setup.server.connections());
}

#[tokio::test]
async fn many_requests_at_a_time_wait_for_their_turn() {
    let setup = with(Settings::default(), |config| config.limits.connections = 4).await;
    setup.numbered("t").await;
    setup.server.set_faults(vec![Fault::always("GetRow", FaultKind::Slow { milliseconds: 10 })]);
    let began = tokio::time::Instant::now();
    let mut requests = JoinSet::new();
    for at in 0..40 {
        let client = setup.client.clone();
        requests.spawn(async move { client.get_row("t", &id(at), &Read::default()).await });
    }
    while let Some(done) = requests.join_next().await {
        done.unwrap().unwrap();
    }
    // Forty of 10 ms each, four at a time.
    assert!(began.elapsed() >= Duration::from_millis(95), "{:?}", began.elapsed());
    assert!(setup.server.connections() <= 8, "{}", setup.server.connections());
}

/// A certificate for this machine by an authority of its own, made by the lab.
fn certificates(folder: &Path) {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../lab/certs.sh");
    let made = std::process::Command::new(script).arg(folder).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

/// Takes TLS off what comes and hands it to the server.
async fn before(server: SocketAddr, folder: &Path, name: &str) -> SocketAddr {
    let chain = CertificateDer::pem_file_iter(folder.join(format!("{name}-cert.pem"))).unwrap().map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_file(folder.join(format!("{name}-key.pem"))).unwrap();
    let config = ServerConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                // A client that does not trust us ends here.
                let Ok(mut from) = acceptor.accept(stream).await else { return };
                let mut to = TcpStream::connect(server).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut from, &mut to).await;
            });
        }
    });
    address
}

fn client(setup: &Setup, endpoint: String, roots: Option<RootCertStore>) -> Client {
    let mut config = setup::config(&setup.server, Replaceable::new(Credentials::new("test-id", "test-secret")));
    config.endpoint = endpoint;
    config.roots = roots;
    config.retry.within = Duration::from_millis(50);
    Client::new(config).unwrap()
}

#[tokio::test]
async fn https_is_spoken_to_those_who_prove_who_they_are() {
    let setup = start().await;
    let folder = tempfile::tempdir().unwrap();
    certificates(folder.path());
    let proxy = before(setup.server.address(), folder.path(), "server").await;
    let stranger = before(setup.server.address(), folder.path(), "wrong-name").await;
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(folder.path().join("ca-cert.pem")).unwrap()).unwrap();
    let endpoint = format!("https://127.0.0.1:{}", proxy.port());
    assert!(client(&setup, endpoint.clone(), Some(roots.clone())).list_tables().await.unwrap().is_empty());
    // Without the authority, or under another name, nothing that the other side says is believed, and nothing is sent to it.
    let other_name = format!("https://127.0.0.1:{}", stranger.port());
    for (endpoint, roots) in [(endpoint, None), (other_name, Some(roots.clone()))] {
        let error = client(&setup, endpoint, roots).list_tables().await.unwrap_err();
        let ErrorKind::Connect(told) = &error.kind else { panic!("{error:?}") };
        assert!(told.contains("certificate") && !error.may_have_succeeded(), "{error}");
    }
    // Nor is plain text taken for TLS.
    let plain = format!("https://{}", setup.server.address());
    let error = client(&setup, plain, Some(roots)).list_tables().await.unwrap_err();
    assert!(matches!(error.kind, ErrorKind::Connect(_)), "{error:?}");
    assert_eq!(setup.count("ListTable"), 1);
}
