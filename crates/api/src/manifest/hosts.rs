//! Which hosts a Secret may be shown to: annotation [`HOSTS_ANNOTATION`], a list of names, addresses and patterns with `*`.
//!
//! Who may create tasks in a namespace may name any Secret of it, and any host: without this, every password of the namespace can be
//! sent anywhere. The annotation is its owner's word; who may change the Secret may change it.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::FieldError;
use crate::{MigrationTaskSpec, Tls};

/// Annotation of a Secret: `db.example.com, *.internal, 10.0.*`. Without it every host gets what the Secret holds.
pub const HOSTS_ANNOTATION: &str = "godwit.dev/hosts";

/// Names of Secrets that are not for every host, each with its annotation's text.
pub type HostLimits = BTreeMap<String, String>;

/// Whether the list admits the host.
pub(super) fn admits(list: &str, host: &str) -> bool {
    let host = normal(host);
    !host.is_empty() && list.split(',').any(|pattern| matches(&normal(pattern), &host))
}

/// As it is compared: names know no case, a name may end with the root's dot, an IPv6 address may stand in brackets.
fn normal(text: &str) -> String {
    let text = text.trim();
    let text = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase()
}

fn matches(pattern: &str, host: &str) -> bool {
    if pattern.is_empty() {
        return false;
    }
    // 10.0.* means addresses; 10.0.0.1.example.com is a name that anybody may register.
    let of_addresses = pattern.contains(':') || !pattern.chars().any(|letter| letter.is_ascii_alphabetic()) && pattern != "*";
    if of_addresses && host.parse::<IpAddr>().is_err() {
        return false;
    }
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = host.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.len() >= last.len() && rest.ends_with(last)
}

/// The Secrets of an endpoint that must not be shown to this host. `path`: where the endpoint stands in the manifest.
pub(super) fn refused<'a>(
    limits: &'a HostLimits,
    host: &'a str,
    path: &'a str,
    credentials: Option<&'a str>,
    tls: Option<&'a Tls>,
) -> impl Iterator<Item = FieldError> + 'a {
    let client = tls.and_then(|tls| tls.client_certificate.as_ref()).map(|client| client.secret_name.as_str());
    let named = [("credentials", credentials), ("tls.clientCertificate", client)];
    named.into_iter().filter_map(move |(field, name)| {
        let name = name?;
        let list = limits.get(name).filter(|list| !admits(list, host))?;
        Some(FieldError::new(
            format!("{path}.{field}.secretName"),
            format!(
                "Secret \"{name}\" is for other hosts (its annotation {HOSTS_ANNOTATION} says \"{list}\"), not for \"{host}\"; name another Secret, or \
                 have its owner add the host"
            ),
        ))
    })
}

/// The Secrets that the spec's own hosts must not get. Hosts that stand in Secrets are known to the engine only.
pub fn refused_of_spec(spec: &MigrationTaskSpec, limits: &HostLimits) -> Vec<FieldError> {
    let mut found = Vec::new();
    let mut endpoint = |path: &str, host: Option<&String>, credentials: Option<&str>, tls: Option<&Tls>| {
        if let Some(host) = host {
            found.extend(refused(limits, host, path, credentials, tls));
        }
    };
    let source = &spec.source.mysql;
    let credentials = source.credentials.as_ref().map(|credentials| credentials.secret_name.as_str());
    endpoint("spec.source.mysql", source.host.as_ref(), credentials, Some(&source.tls));
    if let Some(mysql) = &spec.destination.mysql {
        let credentials = mysql.credentials.as_ref().map(|credentials| credentials.secret_name.as_str());
        endpoint("spec.destination.mysql", mysql.host.as_ref(), credentials, Some(&mysql.tls));
    }
    if let Some(tablestore) = &spec.destination.tablestore {
        let host = host_of(&tablestore.endpoint).to_owned();
        endpoint("spec.destination.tablestore", Some(&host), Some(&tablestore.credentials.secret_name), None);
    }
    found
}

/// The host of an address with a scheme; the text itself where it is none.
pub(super) fn host_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None => host.split_once(':').map_or(host, |(name, _)| name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_admitted_as_the_list_says() {
        let list = "db.example.com, 10.0.*,*.internal , fd00::*, DB2.example.com.";
        for host in ["db.example.com", "DB.Example.com.", "10.0.3.4", "a.b.internal", "fd00::1", "[fd00::2]", "db2.example.com"] {
            assert!(admits(list, host), "{host}");
        }
        for host in ["", "example.com", "xdb.example.com", "db.example.com.evil.org", "10.1.0.1", "internal", "a.internal.org"] {
            assert!(!admits(list, host), "{host}");
        }
        // Names that look like addresses are names.
        for host in ["10.0.evil.org", "10.0.0.1.evil.org", "fd00::1.evil.org", "10.0.x"] {
            assert!(!admits(list, host), "{host}");
        }
        assert!(admits("*", "anything.at.all") && admits("a*c*e", "abcde") && !admits("a*c*e", "abde") && !admits("ab*b", "ab"));
        assert!(!admits("", "db") && !admits(" , ", "db"));
    }

    #[test]
    fn hosts_of_addresses() {
        assert_eq!(host_of("https://shop.cn-hangzhou.ots.aliyuncs.com/x?y"), "shop.cn-hangzhou.ots.aliyuncs.com");
        assert_eq!(host_of("http://a:b@[::1]:80/"), "::1");
        assert_eq!(host_of("http://good.org:80@evil.org:81"), "evil.org");
        assert_eq!(host_of("plain"), "plain");
    }
}
