//! Compressed transactions in the log. Read either way; told for the record.

use crate::precheck::context::Context;
use crate::precheck::finding::Finding;

pub(super) fn check(context: &Context) -> Option<Finding> {
    let value = context.source.variable("binlog_transaction_compression")?;
    let meaning = if value.eq_ignore_ascii_case("OFF") {
        "transactions are not compressed"
    } else {
        "compressed transactions are understood"
    };
    Some(Finding::passed(format!(
        "binlog_transaction_compression is {}: {meaning}",
        if value.is_empty() { "empty" } else { value }
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::precheck::fixture::{context, set};
    use godwit_api::Verdict;

    #[test]
    fn passes_either_way_and_is_left_out_where_unknown() {
        let mut context = context();
        for value in ["OFF", "SOMETHING"] {
            set(&mut context.source, "binlog_transaction_compression", value);
            assert_eq!(check(&context).unwrap().verdict, Verdict::Passed);
        }
        context.source.variables.remove("binlog_transaction_compression");
        assert_eq!(check(&context), None);
    }
}
