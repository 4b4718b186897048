//! TLS as the driver does it, from the driver's own options.

use std::sync::Arc;

use mysql_async::{Opts, Result, SslOpts, TlsError};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Encrypts a connection whose server has been asked to.
///
/// # Errors
/// What rustls found wrong, as `crate::tls` reads it: an I/O error that holds it, or the driver's TLS error.
pub(super) async fn encrypt(socket: TcpStream, opts: &Opts, ssl: &SslOpts) -> Result<TlsStream<TcpStream>> {
    let name = ssl.tls_hostname_override().unwrap_or_else(|| opts.ip_or_hostname());
    let name = ServerName::try_from(name.to_owned()).map_err(TlsError::InvalidDnsName)?;
    let config = client_config(ssl).await?;
    Ok(TlsConnector::from(Arc::new(config)).connect(name, socket).await?)
}

async fn client_config(ssl: &SslOpts) -> Result<ClientConfig> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
    let builder = builder.dangerous().with_custom_certificate_verifier(verifier(ssl, provider).await?);
    let Some(identity) = ssl.client_identity() else { return Ok(builder.with_no_client_auth()) };
    let chain = certificates(&identity.cert_chain().read().await?)?;
    let key = identity.priv_key();
    let key = key.read().await?;
    let key = if is_pem(&key) {
        PrivateKeyDer::from_pem_slice(&key)?
    } else {
        PrivateKeyDer::try_from(key.into_owned()).map_err(|text| rustls::Error::General(text.to_owned()))?
    };
    Ok(builder.with_client_auth_cert(chain, key)?)
}

async fn verifier(ssl: &SslOpts, provider: Arc<CryptoProvider>) -> Result<Arc<dyn ServerCertVerifier>> {
    if ssl.accept_invalid_certs() {
        return Ok(Arc::new(AnyCertificate(provider)));
    }
    let mut roots = RootCertStore::empty();
    if !ssl.disable_built_in_roots() {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    for file in ssl.root_certs() {
        for certificate in certificates(&file.read().await?)? {
            roots.add(certificate)?;
        }
    }
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build();
    Ok(verifier.map_err(TlsError::VerifierBuilderError)?)
}

fn is_pem(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_ok()
}

fn certificates(bytes: &[u8]) -> Result<Vec<CertificateDer<'static>>> {
    if !is_pem(bytes) {
        return Ok(vec![CertificateDer::from(bytes.to_vec())]);
    }
    Ok(CertificateDer::pem_slice_iter(bytes).collect::<std::result::Result<_, _>>()?)
}

/// For the modes that encrypt and ask nobody who is at the other end. That the server has the key to the certificate
/// it shows is checked still.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

type Signature = std::result::Result<HandshakeSignatureValid, rustls::Error>;

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(&self, message: &[u8], cert: &CertificateDer<'_>, signed: &DigitallySignedStruct) -> Signature {
        verify_tls12_signature(message, cert, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(&self, message: &[u8], cert: &CertificateDer<'_>, signed: &DigitallySignedStruct) -> Signature {
        verify_tls13_signature(message, cert, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
