//! The two ends of a migration: how they are reached, and as whom. Passwords never stand here, only the names of Secrets.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::tablestore::TablestoreDestination;
use super::{DEFAULT_RECORDS_DATABASE, patterns};

/// Where the data comes from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Source {
    /// A MySQL-family server. For PolarDB the writer's address, never that of a read-only node.
    pub mysql: MysqlEndpoint,
}

/// Where the data goes: exactly one of mysql and tablestore.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [
    {
        "rule": "has(self.mysql) != has(self.tablestore)",
        "message": "spec.destination: set exactly one of mysql and tablestore"
    },
    {
        "rule": "self.recordsDatabase == oldSelf.recordsDatabase",
        "message": "spec.destination.recordsDatabase: the task's progress lives there, it cannot change; create a new task instead",
        "fieldPath": ".recordsDatabase"
    }
]))]
pub struct Destination {
    /// A MySQL-family server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "MysqlDestination")]
    pub mysql: Option<MysqlDestination>,
    /// An Alibaba Cloud Tablestore instance. Rows only: definition statements are reported, not applied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "TablestoreDestination")]
    pub tablestore: Option<TablestoreDestination>,
    /// Database (in Tablestore: table) that holds the engine's own records, one set for all tasks. It is created when absent.
    #[serde(default = "default_records_database")]
    #[schemars(length(min = 1, max = 64), pattern(patterns::PLAIN_NAME))]
    pub records_database: String,
}

impl Destination {
    /// A MySQL-family destination with everything else left out.
    pub fn mysql(mysql: MysqlDestination) -> Self {
        Self { mysql: Some(mysql), tablestore: None, records_database: default_records_database() }
    }

    /// A Tablestore destination with everything else left out.
    pub fn tablestore(tablestore: TablestoreDestination) -> Self {
        Self { mysql: None, tablestore: Some(tablestore), records_database: default_records_database() }
    }
}

fn default_records_database() -> String {
    DEFAULT_RECORDS_DATABASE.to_owned()
}

/// A MySQL-family server. What is left out is taken from the Secret in the Service Binding layout.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "has(self.host) || has(self.credentials)", "message": "host: set it, or set credentials.secretName to a Secret that has the key host", "fieldPath": ".host"},
    {
        "rule": "has(self.username) || has(self.credentials)",
        "message": "username: set it, or set credentials.secretName to a Secret that has the key username",
        "fieldPath": ".username"
    }
]))]
pub struct MysqlEndpoint {
    /// Host name or address. Left out: key host of the Secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(min = 1, max = 253), pattern(patterns::HOST))]
    pub host: Option<String>,
    /// TCP port. Left out: key port of the Secret, else 3306.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u16", range(min = 1, max = 65535))]
    pub port: Option<u16>,
    /// The account. Left out: key username of the Secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(min = 1, max = 128))]
    pub username: Option<String>,
    /// Which member of the family the server is. Auto finds out from its variables.
    pub flavor: Flavor,
    /// Secret with the key password, and host, port and username where they are left out here. Left out: an empty password.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "SecretRef")]
    pub credentials: Option<SecretRef>,
    /// Encryption of the connection.
    pub tls: Tls,
}

/// A MySQL-family destination: the fields of a source, and how tables are made.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "has(self.host) || has(self.credentials)", "message": "host: set it, or set credentials.secretName to a Secret that has the key host", "fieldPath": ".host"},
    {
        "rule": "has(self.username) || has(self.credentials)",
        "message": "username: set it, or set credentials.secretName to a Secret that has the key username",
        "fieldPath": ".username"
    }
]))]
pub struct MysqlDestination {
    /// Host name or address. Left out: key host of the Secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(min = 1, max = 253), pattern(patterns::HOST))]
    pub host: Option<String>,
    /// TCP port. Left out: key port of the Secret, else 3306.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u16", range(min = 1, max = 65535))]
    pub port: Option<u16>,
    /// The account. Left out: key username of the Secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(min = 1, max = 128))]
    pub username: Option<String>,
    /// Which member of the family the server is. Auto finds out from its variables.
    pub flavor: Flavor,
    /// Secret with the key password, and host, port and username where they are left out here. Left out: an empty password.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "SecretRef")]
    pub credentials: Option<SecretRef>,
    /// Encryption of the connection.
    pub tls: Tls,
    /// Storage engine of the tables that are created. AsSource: what the source's table has. XEngine: PolarDB only.
    pub table_engine: TableEngine,
}

impl MysqlDestination {
    /// The connection alone, as a source has it.
    pub fn endpoint(&self) -> MysqlEndpoint {
        MysqlEndpoint {
            host: self.host.clone(),
            port: self.port,
            username: self.username.clone(),
            flavor: self.flavor,
            credentials: self.credentials.clone(),
            tls: self.tls.clone(),
        }
    }
}

/// A member of the MySQL family.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Flavor {
    /// Found out from the server's variables.
    #[default]
    Auto,
    /// MySQL 5.7 to 9.x, RDS included.
    MySQL,
    /// MariaDB 10.11 and 11.x.
    MariaDB,
    /// PolarDB for MySQL.
    PolarDB,
    /// Amazon Aurora MySQL.
    Aurora,
}

/// Storage engine of the tables that are created.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum TableEngine {
    /// What the source's table has.
    AsSource,
    /// InnoDB: the only engine that keeps position and data in one transaction everywhere.
    #[default]
    InnoDB,
    /// PolarDB's X-Engine.
    XEngine,
}

/// Encryption of a connection, with the meaning of the `mysql` client's `--ssl-mode`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [
    {
        "rule": "self.mode != 'VerifyCA' || has(self.ca)",
        "message": "ca: VerifyCA takes every certificate of the authority, whatever its name, so it must be an authority of your own; set ca, or VerifyIdentity",
        "fieldPath": ".ca"
    }
]))]
pub struct Tls {
    /// Disabled: none. Preferred: where the server offers it; one that does not is a warning of the precheck. Required: always, without looking at
    /// the certificate. VerifyCA: the certificate must come from ca, which must be set. VerifyIdentity: and its name must be the host's.
    pub mode: TlsMode,
    /// Certificate authority in PEM, from a Secret. Left out: the public ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "CaReference")]
    pub ca: Option<CaReference>,
    /// Client certificate and key in PEM, from a Secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "ClientCertificate")]
    pub client_certificate: Option<ClientCertificate>,
    /// The server's RSA public key in PEM (SHOW STATUS LIKE 'Caching_sha2_password_rsa_public_key'), from a Secret. Without encryption the password
    /// of caching_sha2_password is sent encrypted with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "PublicKeyReference")]
    pub server_public_key: Option<PublicKeyReference>,
    /// Without encryption and serverPublicKey: ask the server for its key. Whoever stands between can then read the password. It is always asked at a
    /// loopback address.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub allow_public_key_retrieval: bool,
}

/// How strictly a connection is encrypted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum TlsMode {
    /// No encryption.
    Disabled,
    /// Encrypted where the server offers it.
    #[default]
    Preferred,
    /// Always encrypted; the certificate is not looked at.
    Required,
    /// The certificate must come from the authority.
    VerifyCA,
    /// The certificate must come from the authority and carry the host's name.
    VerifyIdentity,
}

/// A Secret in the task's namespace, read in the Service Binding layout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SecretRef {
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253), pattern(patterns::DNS_SUBDOMAIN))]
    pub secret_name: String,
}

/// A certificate authority in PEM.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CaReference {
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253), pattern(patterns::DNS_SUBDOMAIN))]
    pub secret_name: String,
    /// Key of the Secret.
    #[serde(default = "ca_key")]
    #[schemars(length(min = 1, max = 253), pattern(patterns::SECRET_KEY))]
    pub key: String,
}

fn ca_key() -> String {
    "ca.crt".to_owned()
}

/// An RSA public key in PEM.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PublicKeyReference {
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253), pattern(patterns::DNS_SUBDOMAIN))]
    pub secret_name: String,
    /// Key of the Secret.
    #[serde(default = "public_key_key")]
    #[schemars(length(min = 1, max = 253), pattern(patterns::SECRET_KEY))]
    pub key: String,
}

fn public_key_key() -> String {
    "public_key.pem".to_owned()
}

/// A client certificate and its private key in PEM; the defaults are the layout of Secrets of type kubernetes.io/tls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClientCertificate {
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253), pattern(patterns::DNS_SUBDOMAIN))]
    pub secret_name: String,
    /// Key of the Secret that holds the certificate chain.
    #[serde(default = "certificate_key")]
    #[schemars(length(min = 1, max = 253), pattern(patterns::SECRET_KEY))]
    pub certificate_key: String,
    /// Key of the Secret that holds the private key.
    #[serde(default = "private_key_key")]
    #[schemars(length(min = 1, max = 253), pattern(patterns::SECRET_KEY))]
    pub private_key_key: String,
}

fn certificate_key() -> String {
    "tls.crt".to_owned()
}

fn private_key_key() -> String {
    "tls.key".to_owned()
}
