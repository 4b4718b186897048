//! From a TCP connection to a session: the server's handshake, encryption, authentication.
//!
//! Takes the driver's options and gives the driver's errors, and knows the authentication plugins that the driver knows
//! with these options: every other connection of the engine is the driver's, so one account must do for both.

use std::sync::Arc;

use mysql_async::consts::CapabilityFlags;
use mysql_async::{DriverError, Error, Opts, Result};
use mysql_common::constants::MariadbCapabilities;
use mysql_common::crypto;
use mysql_common::io::ParseBuf;
use mysql_common::packets::{AuthPlugin, AuthSwitchRequest, ErrPacket, HandshakePacket, HandshakeResponse, SslRequest};
use mysql_common::proto::MySerialize;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::encryption::encrypt;
use super::packet::{EOF, ERR, FULL_PACKET, OK, Packets};

/// Plain or encrypted.
pub(super) trait Socket: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Socket for T {}

/// utf8mb4_general_ci, as every server since MySQL 5.5.3 has it.
const COLLATION: u8 = 45;
const SINCE_UTF8MB4: (u16, u16, u16) = (5, 5, 3);

/// First byte of what a plugin says in between.
const MORE: u8 = 0x01;
/// What caching_sha2_password says: the password's digest was right.
const FAST_PATH: u8 = 0x03;
/// The server does not know the digest and needs the password.
const FULL_PATH: u8 = 0x04;
/// The answer that asks for the server's public key.
const ASK_FOR_KEY: u8 = 0x02;

/// What is done for a password where nothing is encrypted.
#[derive(Clone)]
pub struct Plain {
    /// The server's public key, with which caching_sha2_password has its password encrypted.
    pub key: PublicKey,
    /// Whoever stands between must not get a weaker proof of the password by asking for it. False at loopback addresses.
    pub strict: bool,
}

/// Where the server's public key comes from.
#[derive(Clone)]
pub enum PublicKey {
    /// From its owner, in PEM.
    Given(Arc<[u8]>),
    /// From the server, or from whoever answers in its place.
    Asked,
    /// From nowhere: no password is sent.
    Refused,
}

impl Plain {
    /// At an address that nobody stands in front of.
    pub fn loopback() -> Self {
        Self { key: PublicKey::Asked, strict: false }
    }

    /// Whether the driver, which asks for the key and does what it is asked for, may log in by itself.
    pub fn is_lenient(&self) -> bool {
        !self.strict && matches!(self.key, PublicKey::Asked)
    }
}

/// A scramble has twenty bytes; a server that sends nearly none wants a proof that it has seen before.
const SHORTEST_NONCE: usize = 20;

/// Logs in over a fresh connection.
///
/// # Errors
/// As the driver's `Conn::new`.
pub(super) async fn login(packets: Packets<TcpStream>, opts: &Opts, plain: &Plain) -> Result<Packets<Box<dyn Socket>>> {
    let mut packets = packets;
    let greeting = receive(&mut packets).await?;
    let greeting = read_greeting(&greeting)?;
    let mut capabilities = CapabilityFlags::CLIENT_PROTOCOL_41
        | CapabilityFlags::CLIENT_SECURE_CONNECTION
        | CapabilityFlags::CLIENT_LONG_PASSWORD
        | CapabilityFlags::CLIENT_TRANSACTIONS
        | CapabilityFlags::CLIENT_PLUGIN_AUTH;
    if opts.ssl_opts().is_some() {
        capabilities |= CapabilityFlags::CLIENT_SSL;
        if !greeting.capabilities().contains(CapabilityFlags::CLIENT_SSL) {
            return Err(DriverError::NoClientSslFlagFromServer.into());
        }
    }
    let capabilities = capabilities & greeting.capabilities();
    let mut packets = match opts.ssl_opts() {
        None => packets.wrap(|socket| async { Ok::<_, Error>(Box::new(socket) as Box<dyn Socket>) }).await?,
        Some(ssl) => {
            let request = SslRequest::new(capabilities, FULL_PACKET as u32, COLLATION);
            packets.send(&bytes_of(&request)).await?;
            packets
                .wrap(|socket| async { Ok::<_, Error>(Box::new(encrypt(socket, opts, ssl).await?) as Box<dyn Socket>) })
                .await?
        }
    };
    let client = Client { capabilities, mariadb: MariadbCapabilities::empty(), largest_packet: FULL_PACKET as u32 };
    authenticate(&mut packets, &greeting, opts, plain, client).await?;
    Ok(packets)
}

/// The server's first packet, if it can be one: the driver's crate reckons with what it says.
pub(super) fn read_greeting(packet: &[u8]) -> Result<HandshakePacket<'_>> {
    // Behind the version's zero byte: id, scramble, filler, capabilities, collation, status, capabilities, the scramble's length.
    let length = packet.iter().skip(1).position(|byte| *byte == 0).and_then(|end| packet.get(end + 2 + 20));
    if length.is_none_or(|length| *length > 127) {
        return Err(unexpected(packet));
    }
    Ok(ParseBuf(packet).parse::<HandshakePacket<'_>>(())?)
}

/// What the session can do.
pub(super) struct Client {
    pub capabilities: CapabilityFlags,
    pub mariadb: MariadbCapabilities,
    pub largest_packet: u32,
}

/// Says who we are, and proves it; the packet by which the server takes it.
pub(super) async fn authenticate(
    packets: &mut Packets<Box<dyn Socket>>,
    greeting: &HandshakePacket<'_>,
    opts: &Opts,
    plain: &Plain,
    client: Client,
) -> Result<bytes::Bytes> {
    // What else a server offers first it can ask for later.
    let plugin = match greeting.auth_plugin() {
        Some(AuthPlugin::CachingSha2Password) => AuthPlugin::CachingSha2Password,
        _ => AuthPlugin::MysqlNativePassword,
    };
    let nonce = greeting.nonce();
    let answer = plugin.gen_data(opts.pass(), &nonce);
    let response = HandshakeResponse::new(
        answer.as_deref(),
        SINCE_UTF8MB4,
        opts.user().map(str::as_bytes),
        None::<&[u8]>,
        Some(plugin.borrow()),
        client.capabilities,
        None,
        client.largest_packet,
    )
    .with_mariadb_ext_capabilities(client.mariadb);
    packets.send(&bytes_of(&response)).await?;
    Login { packets, opts, plain, plugin: plugin.into_owned(), nonce }.finish().await
}

/// The conversation behind the handshake.
struct Login<'a> {
    packets: &'a mut Packets<Box<dyn Socket>>,
    opts: &'a Opts,
    plain: &'a Plain,
    plugin: AuthPlugin<'static>,
    nonce: Vec<u8>,
}

impl Login<'_> {
    async fn finish(mut self) -> Result<bytes::Bytes> {
        let mut switched = false;
        loop {
            let packet = receive(self.packets).await?;
            match (packet.first(), &self.plugin) {
                (Some(&OK), _) => return Ok(packet),
                // One byte alone is the request of servers before MySQL 4.1 passwords.
                (Some(&EOF), _) if packet.len() == 1 => return Err(DriverError::MysqlOldPasswordDisabled.into()),
                (Some(&EOF), _) if !switched => {
                    switched = true;
                    self.switch(ParseBuf(&packet).parse(())?).await?;
                }
                (Some(&MORE), AuthPlugin::CachingSha2Password) => match packet.get(1) {
                    Some(&FAST_PATH) => {}
                    Some(&FULL_PATH) => self.send_password().await?,
                    _ => return Err(unexpected(&packet)),
                },
                _ => return Err(unexpected(&packet)),
            }
        }
    }

    fn is_encrypted(&self) -> bool {
        self.opts.ssl_opts().is_some()
    }

    async fn switch(&mut self, request: AuthSwitchRequest<'_>) -> Result<()> {
        let plugin = request.auth_plugin().into_owned();
        let weaker = matches!((&self.plugin, &plugin), (AuthPlugin::CachingSha2Password, AuthPlugin::MysqlNativePassword));
        if weaker && self.plain.strict && !self.is_encrypted() {
            return Err(refused(
                "the server, or whoever answers in its place, asks for mysql_native_password, a weaker proof of the password than the one \
                 it offered, over a connection that is not encrypted; set tls.mode to Required or stricter, or give the account \
                 caching_sha2_password",
            ));
        }
        self.plugin = plugin;
        self.nonce = request.plugin_data().to_vec();
        if self.nonce.len() < SHORTEST_NONCE {
            return Err(refused("the server sent a scramble that is too short"));
        }
        match &self.plugin {
            AuthPlugin::MysqlNativePassword | AuthPlugin::CachingSha2Password | AuthPlugin::Ed25519 => {}
            AuthPlugin::MysqlOldPassword => return Err(DriverError::MysqlOldPasswordDisabled.into()),
            // It sends the password as it is, so the driver wants to be told that it may, and nobody tells it.
            AuthPlugin::MysqlClearPassword => return Err(DriverError::CleartextPluginDisabled.into()),
            other => {
                let name = String::from_utf8_lossy(other.as_bytes()).into_owned();
                return Err(DriverError::UnknownAuthPlugin { name }.into());
            }
        }
        let answer = self.plugin.gen_data(self.opts.pass(), &self.nonce);
        self.packets.send(answer.as_deref().unwrap_or_default()).await?;
        Ok(())
    }

    /// As it is where the connection is encrypted, else encrypted with the server's public key.
    async fn send_password(&mut self) -> Result<()> {
        let mut password = self.opts.pass().unwrap_or_default().as_bytes().to_vec();
        password.push(0);
        if self.is_encrypted() {
            return Ok(self.packets.send(&password).await?);
        }
        let key = match &self.plain.key {
            PublicKey::Given(key) => key.to_vec(),
            PublicKey::Refused => {
                return Err(refused(
                    "the server, or whoever answers in its place, asks for the password, and the connection is not encrypted; set tls.mode \
                     to Required or stricter, or tls.serverPublicKey to a Secret with the server's RSA public key (there: SHOW STATUS LIKE \
                     'Caching_sha2_password_rsa_public_key'), or tls.allowPublicKeyRetrieval: true where nobody can stand between",
                ));
            }
            PublicKey::Asked => {
                self.packets.send(&[ASK_FOR_KEY]).await?;
                let answer = receive(self.packets).await?;
                let Some((&MORE, key)) = answer.split_first() else { return Err(unexpected(&answer)) };
                key.to_vec()
            }
        };
        password.iter_mut().zip(self.nonce.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
        // By its own thread: the crate panics on a key that is none, or is too short for the password.
        let encrypted = tokio::task::spawn_blocking(move || crypto::encrypt(&password, &key)).await;
        let encrypted = encrypted.map_err(|_| refused("the password does not go with the server's RSA public key"))?;
        self.packets.send(&encrypted).await?;
        Ok(())
    }
}

fn refused(why: &str) -> Error {
    Error::Other(why.into())
}

fn bytes_of(packet: &impl MySerialize) -> Vec<u8> {
    let mut bytes = Vec::new();
    packet.serialize(&mut bytes);
    bytes
}

/// The next packet, if it is no error.
pub(super) async fn receive<S: AsyncRead + AsyncWrite + Unpin>(packets: &mut Packets<S>) -> Result<bytes::Bytes> {
    let packet = packets.receive().await?;
    if packet.first() == Some(&ERR) { Err(server_error(&packet)) } else { Ok(packet) }
}

/// What an error packet says.
pub(super) fn server_error(packet: &[u8]) -> Error {
    // Before a server knows what the client can do it leaves the SQLSTATE out.
    let has_state = packet.get(3) == Some(&b'#');
    let capabilities = if has_state { CapabilityFlags::CLIENT_PROTOCOL_41 } else { CapabilityFlags::empty() };
    match ParseBuf(packet).parse::<ErrPacket<'_>>(capabilities) {
        Ok(ErrPacket::Error(error)) => error.into(),
        _ => unexpected(packet),
    }
}

pub(super) fn unexpected(packet: &[u8]) -> Error {
    DriverError::UnexpectedPacket { payload: packet.to_vec() }.into()
}
