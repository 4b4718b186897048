//! Patterns of texts, as the CRDs carry them. They are constants because the command line checks them too, without a regular expression engine
//! (`crate::manifest`).

/// RFC 1123 label: what a namespaced reference of ours may be called.
pub const DNS_LABEL: &str = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$";
/// RFC 1123 subdomain: names of Secrets, priority classes, runtime classes.
pub const DNS_SUBDOMAIN: &str = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$";
/// A key of a Secret (`ValidateConfigMapKey` in Kubernetes' validation).
pub const SECRET_KEY: &str = "^[-._a-zA-Z0-9]+$";
/// A value of a label.
pub const LABEL_VALUE: &str = "^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$";
/// A host name, an IPv4 or an IPv6 address. An address of the latter kind has two colons or more, so that `db:3306` is none.
pub const HOST: &str = "^([A-Za-z0-9._-]+|[0-9A-Fa-f.]*:[0-9A-Fa-f.]*:[0-9A-Fa-f.:]*)$";
/// Address of a Tablestore instance.
pub const HTTP_URL: &str = "^https?://[^\\s/]+/?$";
/// A name of a Tablestore instance.
pub const TABLESTORE_INSTANCE: &str = "^[A-Za-z][-A-Za-z0-9]*$";
/// Name of a database of ours: it needs no quoting, and may begin a Tablestore table's name.
pub const PLAIN_NAME: &str = "^[A-Za-z_][A-Za-z0-9_]*$";
/// A precheck item's name.
pub const ITEM_NAME: &str = "^[A-Z][A-Za-z0-9]*$";
/// An amount of CPU or memory (`resource.Quantity`) without sign and exponent; how little it may be is a rule of its own.
pub const QUANTITY: &str = "^[0-9]+(\\.[0-9]+)?(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?$";
