//! From a TCP connection to a session: the server's handshake, encryption, authentication.
//!
//! Takes the driver's options and gives the driver's errors, and knows the authentication plugins that the driver knows
//! with these options: every other connection of the engine is the driver's, so one account must do for both.

use mysql_async::consts::CapabilityFlags;
use mysql_async::{DriverError, Error, Opts, Result};
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

/// Logs in over a fresh connection.
///
/// # Errors
/// As the driver's `Conn::new`.
pub(super) async fn login(packets: Packets<TcpStream>, opts: &Opts) -> Result<Packets<Box<dyn Socket>>> {
    let mut packets = packets;
    let greeting = receive(&mut packets).await?;
    let greeting = ParseBuf(&greeting).parse::<HandshakePacket<'_>>(())?;
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
        capabilities,
        None,
        FULL_PACKET as u32,
    );
    packets.send(&bytes_of(&response)).await?;
    Login { packets: &mut packets, opts, plugin: plugin.into_owned(), nonce }.finish().await?;
    Ok(packets)
}

/// The conversation behind the handshake.
struct Login<'a> {
    packets: &'a mut Packets<Box<dyn Socket>>,
    opts: &'a Opts,
    plugin: AuthPlugin<'static>,
    nonce: Vec<u8>,
}

impl Login<'_> {
    async fn finish(mut self) -> Result<()> {
        let mut switched = false;
        loop {
            let packet = receive(self.packets).await?;
            match (packet.first(), &self.plugin) {
                (Some(&OK), _) => return Ok(()),
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

    async fn switch(&mut self, request: AuthSwitchRequest<'_>) -> Result<()> {
        self.plugin = request.auth_plugin().into_owned();
        self.nonce = request.plugin_data().to_vec();
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
        if self.opts.ssl_opts().is_some() {
            return Ok(self.packets.send(&password).await?);
        }
        self.packets.send(&[ASK_FOR_KEY]).await?;
        let answer = receive(self.packets).await?;
        let Some((&MORE, key)) = answer.split_first() else { return Err(unexpected(&answer)) };
        let key = key.to_vec();
        password.iter_mut().zip(self.nonce.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
        // By its own thread: the crate panics on a key that is none, or is too short for the password.
        let encrypted = tokio::task::spawn_blocking(move || crypto::encrypt(&password, &key)).await;
        let encrypted =
            encrypted.map_err(|_| Error::Other("the password does not go with the server's RSA public key".into()))?;
        self.packets.send(&encrypted).await?;
        Ok(())
    }
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
