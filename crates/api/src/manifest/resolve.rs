//! Puts the manifest's endpoints and its Secrets together. The result is what the engine connects with; its `Debug` shows no secret.

use std::fmt;

use super::error::{FieldError, ManifestError};
use super::hosts;
use super::secrets::{Origin, SecretText, Secrets};
use crate::{Flavor, MigrationTaskSpec, MysqlEndpoint, TablestoreDestination, Tls, TlsMode, WebhookReference};

const DEFAULT_PORT: u16 = 3306;

/// A server and an account, complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvedEndpoint {
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// The account.
    pub username: String,
    /// Its password; may be empty.
    pub password: SecretText,
    /// Which member of the family the manifest says the server is.
    pub flavor: Flavor,
    /// Encryption.
    pub tls: ResolvedTls,
}

/// Encryption of a connection, with the certificates themselves.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ResolvedTls {
    /// How strictly.
    pub mode: TlsMode,
    /// Certificate authorities in PEM; nothing: the public ones.
    pub ca_pem: Option<Vec<u8>>,
    /// Client certificate chain and private key, both in PEM.
    pub client_cert: Option<(Vec<u8>, Vec<u8>)>,
    /// The server's RSA public key in PEM, for passwords on connections without encryption.
    pub server_public_key: Option<Vec<u8>>,
    /// Whether the server may be asked for it.
    pub allow_public_key_retrieval: bool,
}

impl fmt::Debug for ResolvedTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResolvedTls")
            .field("mode", &self.mode)
            .field("ca_pem", &self.ca_pem.as_ref().map(|_| "***"))
            .field("client_cert", &self.client_cert.as_ref().map(|_| "***"))
            .field("server_public_key", &self.server_public_key.as_ref().map(|_| "***"))
            .field("allow_public_key_retrieval", &self.allow_public_key_retrieval)
            .finish()
    }
}

/// A Tablestore instance and an access key, complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvedTablestore {
    /// Address, without a slash at the end.
    pub endpoint: String,
    /// Name of the instance.
    pub instance: String,
    /// AccessKey ID.
    pub access_key_id: String,
    /// AccessKey secret.
    pub access_key_secret: SecretText,
    /// Token of temporary credentials.
    pub security_token: Option<SecretText>,
}

/// Whether every Secret and key that the spec names is there and holds what it should.
pub fn check_secrets(spec: &MigrationTaskSpec, secrets: &Secrets) -> Result<(), Vec<FieldError>> {
    let mut errors = Vec::new();
    let mut collect = |result: Result<(), ManifestError>| {
        if let Err(error) = result {
            errors.extend(error.errors);
        }
    };
    collect(resolve_endpoint(&spec.source.mysql, secrets, "spec.source.mysql").map(drop));
    if let Some(mysql) = &spec.destination.mysql {
        collect(resolve_endpoint(&mysql.endpoint(), secrets, "spec.destination.mysql").map(drop));
    }
    if let Some(tablestore) = &spec.destination.tablestore {
        collect(resolve_tablestore(tablestore, secrets, "spec.destination.tablestore").map(drop));
    }
    if let Some(webhook) = &spec.alerts.webhook {
        collect(resolve_webhook(webhook, secrets, "spec.alerts.webhook").map(drop));
    }
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

/// Completes a MySQL endpoint from its Secrets; what stands in the manifest wins. `path` is where it stands in the manifest, for errors.
pub fn resolve_endpoint(mysql: &MysqlEndpoint, secrets: &Secrets, path: &str) -> Result<ResolvedEndpoint, ManifestError> {
    let mut lookup = Lookup { secrets, errors: Vec::new() };
    let secret_name = mysql.credentials.as_ref().map(|credentials| credentials.secret_name.as_str());
    let secret_path = format!("{path}.credentials.secretName");
    let secret = secret_name.filter(|name| lookup.exists(name, &secret_path));

    let mut required = |field: &str, given: Option<&String>| match (given, secret) {
        (Some(text), _) => text.clone(),
        (None, Some(name)) => {
            let remedy = format!("add it, or set {path}.{field}");
            lookup.required_text(name, field, &secret_path, &remedy).trim().to_owned()
        }
        // A Secret that is missing altogether has been reported already.
        (None, None) => {
            if secret_name.is_none() {
                lookup.errors.push(FieldError::new(format!("{path}.{field}"), "set it, or set credentials.secretName"));
            }
            String::new()
        }
    };
    let host = required("host", mysql.host.as_ref());
    let username = required("username", mysql.username.as_ref());
    let password = secret.map(|name| {
        let remedy = "add it; for an account without a password set it to \"\"";
        SecretText::new(lookup.required_text(name, "password", &secret_path, remedy))
    });
    let port = match (mysql.port, secret.and_then(|name| lookup.optional_text(name, "port", &secret_path))) {
        (Some(port), _) => port,
        (None, None) => DEFAULT_PORT,
        (None, Some(text)) => text.trim().parse().ok().filter(|port| *port > 0).unwrap_or_else(|| {
            let name = secret_name.unwrap_or_default();
            lookup
                .errors
                .push(FieldError::new(&*secret_path, format!("key \"port\" of Secret \"{name}\" is not a port; use 1 to 65535")));
            DEFAULT_PORT
        }),
    };
    let tls = lookup.tls(&mysql.tls, path);
    lookup.errors.extend(hosts::refused(secrets.limits(), &host, path, secret_name, Some(&mysql.tls)));
    let endpoint = ResolvedEndpoint { host, port, username, password: password.unwrap_or_default(), flavor: mysql.flavor, tls };
    lookup.finish(endpoint)
}

/// Completes a Tablestore destination from its Secret.
pub fn resolve_tablestore(
    tablestore: &TablestoreDestination,
    secrets: &Secrets,
    path: &str,
) -> Result<ResolvedTablestore, ManifestError> {
    let mut lookup = Lookup { secrets, errors: Vec::new() };
    let name = tablestore.credentials.secret_name.as_str();
    let secret_path = format!("{path}.credentials.secretName");
    let (mut access_key_id, mut access_key_secret, mut security_token) = (String::new(), SecretText::default(), None);
    if lookup.exists(name, &secret_path) {
        let remedy = "add it, from the access key of a RAM user that may read and write the instance";
        access_key_id = lookup.required_text(name, "accessKeyId", &secret_path, remedy).trim().to_owned();
        access_key_secret = SecretText::new(lookup.required_text(name, "accessKeySecret", &secret_path, remedy).trim());
        let token = lookup.optional_text(name, "securityToken", &secret_path);
        security_token = token.map(|text| SecretText::new(text.trim()));
    }
    let endpoint = tablestore.endpoint.trim_end_matches('/').to_owned();
    lookup.errors.extend(hosts::refused(secrets.limits(), hosts::host_of(&endpoint), path, Some(name), None));
    lookup.finish(ResolvedTablestore {
        endpoint,
        instance: tablestore.instance.clone(),
        access_key_id,
        access_key_secret,
        security_token,
    })
}

/// Address of the alerts' webhook; a secret, because it often carries a token.
pub fn resolve_webhook(webhook: &WebhookReference, secrets: &Secrets, path: &str) -> Result<SecretText, ManifestError> {
    let mut lookup = Lookup { secrets, errors: Vec::new() };
    let secret_path = format!("{path}.secretName");
    let mut url = String::new();
    if lookup.exists(&webhook.secret_name, &secret_path) {
        url = lookup.required_text(&webhook.secret_name, &webhook.key, &secret_path, "add it with the webhook's address");
        let url_is_http = url.trim().starts_with("http://") || url.trim().starts_with("https://");
        if !url_is_http && lookup.errors.is_empty() {
            let message = format!(
                "key {:?} of Secret {:?} does not hold an http or https address; set it to one",
                webhook.key, webhook.secret_name
            );
            lookup.errors.push(FieldError::new(secret_path, message));
        }
    }
    lookup.finish(SecretText::new(url.trim()))
}

/// Reads Secrets and gathers what is missing.
struct Lookup<'a> {
    secrets: &'a Secrets,
    errors: Vec<FieldError>,
}

impl Lookup<'_> {
    fn exists(&mut self, name: &str, path: &str) -> bool {
        let found = self.secrets.contains(name);
        if !found {
            let names: Vec<&str> = self.secrets.names().collect();
            let listed = names.join(", ");
            let message = match self.secrets.origin {
                Origin::File => {
                    let there = if names.is_empty() { "there is none in it".to_owned() } else { format!("it has {listed}") };
                    format!("Secret \"{name}\" is not in the file ({there}); add a document with kind: Secret of that name")
                }
                Origin::Mounted => {
                    let there = if names.is_empty() { "none is".to_owned() } else { format!("there are {listed}") };
                    format!(
                        "Secret \"{name}\" is not mounted in the engine's pod ({there}); create it in the task's namespace, or correct the name"
                    )
                }
            };
            self.errors.push(FieldError::new(path, message));
        }
        found
    }

    /// The text of a key; where it is missing, a problem is noted and the text is empty.
    fn required_text(&mut self, name: &str, key: &str, path: &str, remedy: &str) -> String {
        if self.secrets.get(name, key).is_none() {
            let keys: Vec<&str> = self.secrets.keys(name).collect();
            let there = if keys.is_empty() { "it is empty".to_owned() } else { format!("it has {}", keys.join(", ")) };
            self.errors.push(FieldError::new(path, format!("Secret \"{name}\" lacks the key \"{key}\" ({there}); {remedy}")));
        }
        self.optional_text(name, key, path).unwrap_or_default()
    }

    fn optional_text(&mut self, name: &str, key: &str, path: &str) -> Option<String> {
        let bytes = self.secrets.get(name, key)?;
        match std::str::from_utf8(bytes) {
            Ok(text) => Some(text.to_owned()),
            Err(_) => {
                self.errors.push(FieldError::new(
                    path,
                    format!("key \"{key}\" of Secret \"{name}\" is not UTF-8 text; write it anew as one"),
                ));
                None
            }
        }
    }

    fn tls(&mut self, tls: &Tls, path: &str) -> ResolvedTls {
        let certificate = "-----BEGIN CERTIFICATE-----";
        let private_key = "PRIVATE KEY-----";
        let ca_pem = tls.ca.as_ref().and_then(|ca| self.pem(&ca.secret_name, &ca.key, certificate, &format!("{path}.tls.ca")));
        let client_path = format!("{path}.tls.clientCertificate");
        let client_cert = tls.client_certificate.as_ref().and_then(|client| {
            let chain = self.pem(&client.secret_name, &client.certificate_key, certificate, &client_path);
            let key =
                chain.as_ref().and_then(|_| self.pem(&client.secret_name, &client.private_key_key, private_key, &client_path));
            chain.zip(key)
        });
        let server_public_key = tls
            .server_public_key
            .as_ref()
            .and_then(|key| self.pem(&key.secret_name, &key.key, "PUBLIC KEY-----", &format!("{path}.tls.serverPublicKey")));
        let allow_public_key_retrieval = tls.allow_public_key_retrieval;
        ResolvedTls { mode: tls.mode, ca_pem, client_cert, server_public_key, allow_public_key_retrieval }
    }

    fn pem(&mut self, name: &str, key: &str, marker: &str, path: &str) -> Option<Vec<u8>> {
        let path = format!("{path}.secretName");
        if !self.exists(name, &path) {
            return None;
        }
        let text = self.required_text(name, key, &path, "add it in PEM");
        self.secrets.get(name, key)?;
        if !text.contains(marker) {
            let message = format!(
                "key \"{key}\" of Secret \"{name}\" is not PEM: it has no line with {marker}; put the text of a PEM file into it"
            );
            self.errors.push(FieldError::new(path, message));
        }
        Some(text.into_bytes())
    }

    fn finish<T>(self, value: T) -> Result<T, ManifestError> {
        if self.errors.is_empty() { Ok(value) } else { Err(self.errors.into()) }
    }
}
