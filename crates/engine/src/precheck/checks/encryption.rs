//! Nobody between the engine and the servers reads or changes what passes.

use crate::connection::is_loopback;
use crate::precheck::context::{Context, Server};
use crate::precheck::finding::{Finding, some};
use godwit_api::TlsMode;

pub(super) fn check(context: &Context) -> Option<Finding> {
    if let Some(endpoint) = plain_instance(context) {
        return Some(Finding::warning(
            format!("not encrypted: the destination {endpoint}"),
            "who stands between can read and change all rows",
            "write https:// in spec.destination.tablestore.endpoint; or ignore this item where the network is to be trusted",
        ));
    }
    let mut sides = vec![("source", &context.source, context.spec.source.mysql.tls.mode)];
    // An instance of Tablestore is no server of this family.
    sides.extend(context.spec.destination.mysql.as_ref().map(|mysql| ("destination", &context.destination, mysql.tls.mode)));
    let open: Vec<_> = sides.into_iter().filter(|(_, server, _)| server.link.tls.is_none() && !is_at_loopback(server)).collect();
    let named = |(side, server, _): &(&str, &Server, TlsMode)| format!("the {side} {}", server.address);
    // Disabled was asked for.
    let fallen_back: Vec<String> = open.iter().filter(|(_, _, mode)| *mode != TlsMode::Disabled).map(named).collect();
    if !fallen_back.is_empty() {
        return Some(Finding::warning(
            format!("not encrypted, because the server offers no TLS: {}", some(&fallen_back)),
            "who stands between can read and change all rows, and may be the one who says that there is no TLS",
            "enable TLS on the server and set tls.mode to VerifyIdentity, VerifyCA or Required; or set it to Disabled where the network is \
             to be trusted, or ignore this item",
        ));
    }
    let open: Vec<String> = open.iter().map(named).collect();
    Some(Finding::passed(match open.is_empty() {
        true => "connections are encrypted, or do not leave this machine".to_owned(),
        false => format!("not encrypted, as tls.mode says: {}", some(&open)),
    }))
}

/// The address of an instance that is spoken to without TLS, by a way that others may be on.
fn plain_instance(context: &Context) -> Option<&str> {
    let endpoint = context.spec.destination.tablestore.as_ref()?.endpoint.as_str();
    let rest = endpoint.strip_prefix("http://")?.trim_end_matches('/');
    let host = rest.rsplit_once(':').map_or(rest, |(host, _)| host);
    (!is_loopback(host)).then_some(endpoint)
}

fn is_at_loopback(server: &Server) -> bool {
    server.address.rsplit_once(':').is_some_and(|(host, _)| is_loopback(host))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::precheck::fixture::context;
    use godwit_api::Verdict;

    #[test]
    fn an_instance_without_tls_is_told() {
        let mut context = context();
        context.spec.destination.mysql = None;
        let mut with = |endpoint: &str| {
            let tablestore = serde_json::json!({"endpoint": endpoint, "instance": "i", "credentials": {"secretName": "s"}});
            context.spec.destination.tablestore = Some(serde_json::from_value(tablestore).unwrap());
            check(&context).unwrap().verdict
        };
        assert_eq!(with("https://i.cn-hangzhou.ots.example.com"), Verdict::Passed);
        assert_eq!(with("http://127.0.0.1:8087"), Verdict::Passed);
        assert_eq!(with("http://i.cn-hangzhou.ots.example.com/"), Verdict::Warning);
        assert_eq!(with("http://10.0.0.1:80"), Verdict::Warning);
    }

    #[test]
    fn falling_back_is_told_unless_nobody_can_stand_between() {
        let mut context = context();
        assert_eq!(check(&context).unwrap().verdict, Verdict::Passed);
        context.source.link.tls = None;
        context.source.address = "127.0.0.1:3306".into();
        assert_eq!(check(&context).unwrap().verdict, Verdict::Passed);
        context.source.address = "db.example.com:3306".into();
        let found = check(&context).unwrap();
        assert_eq!(found.verdict, Verdict::Warning);
        assert!(found.seen.contains("the source db.example.com:3306") && !found.seen.contains("destination"), "{}", found.seen);
        context.spec.source.mysql.tls.mode = TlsMode::Disabled;
        let found = check(&context).unwrap();
        assert_eq!(found.verdict, Verdict::Passed);
        assert!(found.seen.contains("db.example.com"), "{}", found.seen);
    }
}
