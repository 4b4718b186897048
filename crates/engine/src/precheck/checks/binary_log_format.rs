//! The binary log holds rows, not statements.

use crate::precheck::context::Context;
use crate::precheck::finding::Finding;

pub(super) fn check(context: &Context) -> Option<Finding> {
    // The variable goes away with the other formats in a later MySQL: then there is only ROW.
    let format = context.source.variable("binlog_format").unwrap_or("ROW");
    if format.eq_ignore_ascii_case("ROW") {
        return Some(Finding::passed("binlog_format is ROW"));
    }
    Some(Finding::failed(
        format!("binlog_format is {format}"),
        "a statement that runs again at the destination may change other rows than it did at the source; only row images are exact",
        format!(
            "{}\nThen reconnect the application: open sessions keep the old format, and what they wrote before cannot be read.",
            context.source.set_variable("binlog_format", "ROW")
        ),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::precheck::fixture::{context, set};
    use godwit_api::Verdict;

    #[test]
    fn only_rows_pass() {
        for (value, expected) in [("ROW", Verdict::Passed), ("STATEMENT", Verdict::Failed), ("MIXED", Verdict::Failed)] {
            let mut context = context();
            set(&mut context.source, "binlog_format", value);
            assert_eq!(check(&context).unwrap().verdict, expected, "{value}");
        }
    }
}
