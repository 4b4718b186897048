//! Logins at a scripted server: what servers of the lab do not ask for. The others: tests/e2e/dump.rs.

use std::time::Duration;

use mysql_async::consts::{CapabilityFlags, StatusFlags};
use mysql_async::{Opts, OptsBuilder, SslOpts};
use mysql_common::packets::{AuthPlugin, AuthSwitchRequest, HandshakePacket};
use mysql_common::proto::MySerialize;
use tokio::net::{TcpListener, TcpStream};

use super::packet::Packets;
use super::{Dump, Plain, PublicKey};
use crate::sql::Failure;
use godwit_model::error::{Class, Error};

const PASSWORD: &str = "scripted-pass";
const NONCE: &[u8; 32] = b"0123456789abcdefghijklmnopqrstuv";
const OK: &[u8] = &[0, 0, 0, 2, 0, 0, 0];

fn bytes_of(packet: &impl MySerialize) -> Vec<u8> {
    let mut bytes = Vec::new();
    packet.serialize(&mut bytes);
    bytes
}

fn greeting(plugin: &str) -> Vec<u8> {
    let capabilities =
        CapabilityFlags::CLIENT_PROTOCOL_41 | CapabilityFlags::CLIENT_SECURE_CONNECTION | CapabilityFlags::CLIENT_PLUGIN_AUTH;
    bytes_of(&HandshakePacket::new(
        10,
        &b"11.4.5-MariaDB"[..],
        7,
        *b"01234567",
        Some(&b"89abcdefghij\0"[..]),
        capabilities,
        45,
        StatusFlags::SERVER_STATUS_AUTOCOMMIT,
        Some(plugin.as_bytes()),
    ))
}

/// A server that greets with `plugin` and then does what `script` says; what a client makes of it, and of the script.
async fn login<F, T>(greeting: Vec<u8>, script: impl FnOnce(Packets<TcpStream>) -> F + Send + 'static) -> (Result<(), Error>, T)
where
    F: Future<Output = T> + Send,
    T: Send + 'static,
{
    login_by(Plain::loopback(), greeting, script).await
}

async fn login_by<F, T>(
    plain: Plain,
    greeting: Vec<u8>,
    script: impl FnOnce(Packets<TcpStream>) -> F + Send + 'static,
) -> (Result<(), Error>, T)
where
    F: Future<Output = T> + Send,
    T: Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = tokio::spawn(async move {
        let (socket, _) = listener.accept().await.unwrap();
        let mut packets = Packets::new(socket, Duration::from_secs(5));
        packets.send(&greeting).await.unwrap();
        script(packets).await
    });
    let dump = Dump::connect(opts(port, None), plain).await.map(drop).map_err(Failure::from).map_err(Error::from);
    (dump, server.await.unwrap())
}

fn opts(port: u16, ssl: Option<SslOpts>) -> Opts {
    let opts = OptsBuilder::default().ip_or_hostname("127.0.0.1").tcp_port(port).user(Some("u")).pass(Some(PASSWORD));
    opts.ssl_opts(ssl).into()
}

fn switch_to(plugin: &str) -> Vec<u8> {
    bytes_of(&AuthSwitchRequest::new(plugin.as_bytes(), &NONCE[..]))
}

#[tokio::test]
async fn ed25519_of_mariadb() {
    let (client, answer) = login(greeting("mysql_native_password"), async |mut packets| {
        packets.receive().await.unwrap();
        packets.send(&switch_to("client_ed25519")).await.unwrap();
        let answer = packets.receive().await.unwrap();
        packets.send(OK).await.unwrap();
        answer
    })
    .await;
    client.unwrap();
    let signature = AuthPlugin::Ed25519.gen_data(Some(PASSWORD), NONCE).unwrap();
    assert_eq!(signature.len(), 64);
    assert_eq!(*answer, *signature);
}

#[tokio::test]
async fn a_password_is_not_shown_to_whoever_asks() {
    for plugin in ["mysql_clear_password", "mysql_old_password", "dialog"] {
        let (client, rest) = login(greeting("mysql_native_password"), async move |mut packets| {
            packets.receive().await.unwrap();
            packets.send(&switch_to(plugin)).await.unwrap();
            packets.receive().await
        })
        .await;
        let error = client.unwrap_err();
        assert_eq!(error.class(), Class::Definite, "{error}");
        assert!(error.to_string().contains("password") || error.to_string().contains(plugin), "{error}");
        assert!(!error.to_string().contains(PASSWORD), "{error}");
        assert_eq!(rest.unwrap_err().kind(), std::io::ErrorKind::UnexpectedEof);
    }
}

#[tokio::test]
async fn a_server_may_ask_for_another_plugin_once() {
    let (client, ()) = login(greeting("mysql_native_password"), async |mut packets| {
        packets.receive().await.unwrap();
        for _ in 0..2 {
            packets.send(&switch_to("mysql_native_password")).await.unwrap();
            let _ = packets.receive().await;
        }
    })
    .await;
    assert!(client.unwrap_err().to_string().contains("Unexpected packet"));
}

#[tokio::test]
async fn a_public_key_that_is_none_is_an_error() {
    let (client, first) = login(greeting("caching_sha2_password"), async |mut packets| {
        packets.receive().await.unwrap();
        packets.send(&[1, 4]).await.unwrap();
        let asked = packets.receive().await.unwrap();
        packets.send(b"\x01-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n").await.unwrap();
        asked
    })
    .await;
    assert_eq!(first[..], [2]);
    let error = client.unwrap_err();
    assert_eq!(error.class(), Class::Definite);
    assert!(error.to_string().contains("RSA public key"), "{error}");
}

#[tokio::test]
async fn a_server_that_has_no_place_is_tried_again() {
    // Without an SQLSTATE: the client has not said yet what it understands.
    let full = [&[0xff, 0x10, 0x04], &b"Too many connections"[..]].concat();
    let (client, _) = login(full, async |packets| packets).await;
    let error = client.unwrap_err();
    assert_eq!(error.class(), Class::Connection);
    assert!(error.to_string().contains("Too many connections"), "{error}");
}

#[tokio::test]
async fn a_server_without_encryption_is_told_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = tokio::spawn(async move {
        let (socket, _) = listener.accept().await.unwrap();
        let mut packets = Packets::new(socket, Duration::from_secs(5));
        packets.send(&greeting("mysql_native_password")).await.unwrap();
        packets.receive().await.unwrap_err().kind()
    });
    let error = Dump::connect(opts(port, Some(SslOpts::default())), Plain::loopback()).await.map(drop).unwrap_err();
    assert!(matches!(error, mysql_async::Error::Driver(mysql_async::DriverError::NoClientSslFlagFromServer)), "{error}");
    assert_eq!(server.await.unwrap(), std::io::ErrorKind::UnexpectedEof);
}

fn far(key: PublicKey) -> Plain {
    Plain { key, strict: true }
}

/// The password and the weaker proof of it stay here where somebody may stand between; nothing more is sent.
#[tokio::test]
async fn without_encryption_a_password_is_asked_for_in_vain() {
    for (plain, ask, sentence) in [
        (far(PublicKey::Refused), vec![1, 4], "tls.serverPublicKey"),
        (far(PublicKey::Asked), switch_to("mysql_native_password"), "weaker proof"),
        (Plain::loopback(), bytes_of(&AuthSwitchRequest::new(&b"mysql_native_password"[..], &b"short"[..])), "too short"),
        (Plain::loopback(), bytes_of(&AuthSwitchRequest::new(&b"mysql_native_password"[..], &b""[..])), "too short"),
    ] {
        let (client, rest) = login_by(plain, greeting("caching_sha2_password"), async move |mut packets| {
            packets.receive().await.unwrap();
            packets.send(&ask).await.unwrap();
            packets.receive().await
        })
        .await;
        let error = client.unwrap_err();
        assert!(error.to_string().contains(sentence) && error.class() == Class::Definite, "{error}");
        assert_eq!(rest.unwrap_err().kind(), std::io::ErrorKind::UnexpectedEof);
    }
}

const PUBLIC_KEY: &str = "\
-----BEGIN PUBLIC KEY-----\n\
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAtRF5EMwSDOoeFKFXBqoy\n\
C0/lkc8Jegud9Z5aoPX5DLM34vdLo7lnBxCm93xkrKiLN698ajm/kA8+xE3pCDh4\n\
CuxdV/ofqQMv37a6+4Fp1flew0uqmENjoLBl8bq8PDdKAeN7+NCKrGdQQR0qDhfl\n\
2TArP4LkTD/FWtu91p4d7JwrKExWOJ3XfSAgf7SGNnkv79C/EiPvzX1astQ+C9kS\n\
CITJnS2/qg7tRyDdeQr3zIOlwVTLIxFeMumLEOZzIvhbO28ZbjCB5lWHRhcKnVkn\n\
EBnjYubUrERXC+h15TZ+ldCegQQjilE/jweU4nwUwOCfJuzWlN/oNQ1qHvTaBRPX\n\
BwIDAQAB\n\
-----END PUBLIC KEY-----\n\
";

#[tokio::test]
async fn a_key_that_was_given_is_not_asked_for() {
    let key = PublicKey::Given(PUBLIC_KEY.as_bytes().into());
    let (client, answer) = login_by(far(key), greeting("caching_sha2_password"), async |mut packets| {
        packets.receive().await.unwrap();
        packets.send(&[1, 4]).await.unwrap();
        let answer = packets.receive().await.unwrap();
        packets.send(OK).await.unwrap();
        answer
    })
    .await;
    client.unwrap();
    // A block of the key's 2048 bits.
    assert_eq!(answer.len(), 256);
}

#[tokio::test]
async fn a_greeting_that_is_none_is_an_error() {
    let whole = greeting("caching_sha2_password");
    // The length of the scramble, beyond what the driver's crate can reckon with.
    let mut long = whole.clone();
    let place = whole.iter().skip(1).position(|byte| *byte == 0).unwrap() + 2 + 20;
    long[place] = 0x80;
    for bytes in [vec![10], whole[..20].to_vec(), long, vec![0; 64], Vec::new()] {
        let (client, _) = login(bytes, async |packets| packets).await;
        client.unwrap_err();
    }
}
