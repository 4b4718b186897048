//! The source has global transaction ids.

use crate::precheck::context::{Context, Server};
use crate::precheck::finding::Finding;

/// Every transaction has a GTID.
pub(super) fn is_on(server: &Server) -> bool {
    server.variable("gtid_mode").is_some_and(|mode| mode.eq_ignore_ascii_case("ON"))
}

pub(super) fn check(context: &Context) -> Option<Finding> {
    let source = &context.source;
    if source.info.is_mariadb() {
        return Some(Finding::passed("MariaDB: every transaction has a GTID"));
    }
    if is_on(source) {
        return Some(Finding::passed("gtid_mode is ON"));
    }
    let mode = source.variable("gtid_mode").unwrap_or("not there");
    let steps = [
        source.set_variable("enforce_gtid_consistency", "ON"),
        source.set_variable("gtid_mode", "OFF_PERMISSIVE"),
        source.set_variable("gtid_mode", "ON_PERMISSIVE"),
        source.set_variable("gtid_mode", "ON"),
    ];
    Some(Finding::warning(
        format!("gtid_mode is {mode}"),
        "the position is file and offset, which hold on this one server only: after a failover of the source the task cannot go on; a table \
         without a key is locked for a moment while it is read",
        steps.join("\n"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::precheck::fixture::{context, set};
    use godwit_api::Verdict;
    use godwit_model::server::ServerInfo;

    #[test]
    fn only_on_passes_and_mariadb_always() {
        for (value, expected) in [("ON", Verdict::Passed), ("OFF", Verdict::Warning), ("ON_PERMISSIVE", Verdict::Warning)] {
            let mut context = context();
            set(&mut context.source, "gtid_mode", value);
            assert_eq!(check(&context).unwrap().verdict, expected);
        }
        let mut context = context();
        context.source.info = ServerInfo::parse("11.4.5-MariaDB");
        context.source.variables.remove("gtid_mode");
        assert_eq!(check(&context).unwrap().verdict, Verdict::Passed);
    }
}
