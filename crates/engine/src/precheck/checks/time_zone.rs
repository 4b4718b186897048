//! The servers' time zones. TIMESTAMP values travel in UTC, so they arrive as they are either way.

use crate::precheck::context::{Context, Server};
use crate::precheck::finding::Finding;

pub(super) fn check(context: &Context) -> Option<Finding> {
    let (source, destination) = (zone(&context.source), zone(&context.destination));
    Some(Finding::passed(if source == destination {
        format!("time_zone is {source} on both sides")
    } else {
        format!(
            "time_zone is {source} at the source and {destination} at the destination; TIMESTAMP values arrive exactly, but sessions that set \
             no zone will show and compute them in the destination's"
        )
    }))
}

fn zone(server: &Server) -> String {
    match (server.variable("time_zone"), server.variable("system_time_zone")) {
        (Some("SYSTEM"), Some(system)) => format!("SYSTEM ({system})"),
        (Some(zone), _) => zone.to_owned(),
        (None, _) => "not known".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::precheck::fixture::{context, set};
    use godwit_api::Verdict;

    #[test]
    fn passes_and_says_what_differs() {
        let mut context = context();
        set(&mut context.source, "time_zone", "SYSTEM");
        set(&mut context.source, "system_time_zone", "CET");
        set(&mut context.destination, "time_zone", "+00:00");
        let found = check(&context).unwrap();
        assert_eq!(found.verdict, Verdict::Passed);
        assert!(found.seen.contains("SYSTEM (CET)") && found.seen.contains("+00:00"));
    }
}
