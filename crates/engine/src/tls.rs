//! Encryption of connections: the driver's options, and what to do where a handshake fails.

use mysql_async::{ClientIdentity, IoError, SslOpts};
use rustls::CertificateError;
use rustls::pki_types::ServerName;

use godwit_api::TlsMode;
use godwit_api::manifest::ResolvedTls;

/// The driver's options; None: not encrypted.
pub(crate) fn options(tls: &ResolvedTls) -> Option<SslOpts> {
    let options = match tls.mode {
        TlsMode::Disabled => return None,
        TlsMode::Preferred | TlsMode::Required => {
            SslOpts::default().with_danger_accept_invalid_certs(true).with_danger_skip_domain_validation(true)
        }
        // The name is dealt with by `other_name`.
        TlsMode::VerifyCA | TlsMode::VerifyIdentity => SslOpts::default(),
    };
    let options = match &tls.ca_pem {
        Some(ca) => options.with_root_certs(vec![ca.clone().into()]).with_disable_built_in_roots(true),
        None => options,
    };
    let identity = tls.client_cert.as_ref();
    Some(options.with_client_identity(identity.map(|(chain, key)| ClientIdentity::new(chain.clone().into(), key.clone().into()))))
}

/// What rustls found wrong: no common version or cipher, a certificate that does not verify. A connection that broke is none.
pub(crate) fn failure(error: &mysql_async::Error) -> Option<String> {
    match (error, rustls_error(error)) {
        (_, Some(inner)) => Some(inner.to_string()),
        (mysql_async::Error::Io(IoError::Tls(error)), None) => Some(error.to_string()),
        _ => None,
    }
}

fn rustls_error(error: &mysql_async::Error) -> Option<&rustls::Error> {
    match error {
        mysql_async::Error::Io(IoError::Io(error)) => error.get_ref()?.downcast_ref(),
        _ => None,
    }
}

/// What to do about a failed handshake.
pub(crate) fn remedy(error: &mysql_async::Error) -> &'static str {
    match rustls_error(error) {
        Some(rustls::Error::InvalidCertificate(certificate)) => match certificate {
            CertificateError::NotValidForNameContext { presented, .. } if presented.is_empty() => {
                "the certificate carries no name (subjectAltName), without which none is verified; the ones that MySQL makes for \
                 itself are such. Give the server one with its name, or set tls.mode to Required, which does not look at it"
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "set host to a name that the certificate carries (subjectAltName), or tls.mode to VerifyCA, which takes any name \
                 of a certificate that the authority has signed"
            }
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. } => {
                "give the server a certificate that is valid today, and check the clocks on both machines"
            }
            _ => {
                "put the certificate of the authority that signed the server's into the Secret of tls.ca (on the server: \
                 SHOW VARIABLES LIKE 'ssl_ca'), or set tls.mode to Required, which does not look at the certificate"
            }
        },
        Some(rustls::Error::AlertReceived(_)) => {
            "the server refused the handshake: check the Secret of tls.clientCertificate, and the server's error log"
        }
        _ => "check tls.mode, tls.ca and the server's certificate",
    }
}

/// A name that the certificate carries, where only the name was wrong. With VerifyCA it is the one to ask for: the driver
/// can be told to skip the check of the name, but the text by which it recognises that error is not rustls's any more.
/// None also for a certificate without any name, which rustls takes under no circumstances.
pub(crate) fn other_name(error: &mysql_async::Error) -> Option<String> {
    let Some(rustls::Error::InvalidCertificate(CertificateError::NotValidForNameContext { presented, .. })) = rustls_error(error)
    else {
        return None;
    };
    presented.iter().find_map(|name| name_of(name))
}

/// From `DnsName("db.example.com")` or `IpAddress(10.0.0.1)`. A wildcard stands for any label.
fn name_of(presented: &str) -> Option<String> {
    let (_, rest) = presented.split_once('(')?;
    let name = rest.trim_end_matches(')').trim_matches('"').replacen("*.", "any.", 1);
    ServerName::try_from(name.as_str()).is_ok().then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong_name(presented: &[&str]) -> mysql_async::Error {
        let expected = ServerName::try_from("db.example.test").unwrap();
        let presented = presented.iter().map(|name| (*name).to_owned()).collect();
        let error = rustls::Error::InvalidCertificate(CertificateError::NotValidForNameContext { expected, presented });
        mysql_async::Error::Io(IoError::Io(std::io::Error::other(error)))
    }

    #[test]
    fn a_wrong_name_is_told_from_none() {
        let other = wrong_name(&["DnsName(\"other.example.test\")"]);
        assert_eq!(other_name(&other).as_deref(), Some("other.example.test"));
        assert!(remedy(&other).contains("tls.mode to VerifyCA"));
        let none = wrong_name(&[]);
        assert_eq!(other_name(&none), None);
        assert!(remedy(&none).contains("carries no name"));
        assert!(failure(&none).is_some());
    }

    #[test]
    fn names_of_certificates_are_read() {
        assert_eq!(name_of("DnsName(\"other.example.test\")").as_deref(), Some("other.example.test"));
        assert_eq!(name_of("DnsName(\"*.example.test\")").as_deref(), Some("any.example.test"));
        assert_eq!(name_of("IpAddress(10.0.0.1)").as_deref(), Some("10.0.0.1"));
        assert_eq!(name_of("DirectoryName"), None);
    }
}
