//! XA transactions that are prepared when a task begins: the log still holds their rows.

use crate::precheck::context::Context;
use crate::precheck::finding::{Finding, count};

pub(super) fn check(context: &Context) -> Option<Finding> {
    let open = &context.source_objects.undecided;
    if open.gone.is_empty() {
        let prepared = count(open.found.len(), "XA transaction");
        let seen = format!("{prepared} prepared and not decided, and the binary log holds the rows");
        return (!open.is_empty()).then(|| Finding::passed(seen));
    }
    Some(Finding::failed(
        format!(
            "{} prepared and not decided, whose rows no binary log holds any more (the oldest is {})",
            count(open.gone.len(), "XA transaction"),
            open.oldest
        ),
        "what they changed is not known when they are committed",
        open.remedy(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::precheck::fixture::context;
    use godwit_api::Verdict;
    use godwit_model::position::Position;

    #[test]
    fn rows_that_are_purged_are_missed() {
        let mut context = context();
        assert!(check(&context).is_none(), "nobody is told of what is not there");
        let place = Position::at("binlog.000007", 4);
        context.source_objects.undecided.found.insert("X'61',X'',1".into(), place);
        assert_eq!(check(&context).unwrap().verdict, Verdict::Passed);
        context.source_objects.undecided.gone.push("X'62',X'',1".into());
        context.source_objects.undecided.oldest = "binlog.000005".into();
        let found = check(&context).unwrap();
        assert_eq!(found.verdict, Verdict::Failed);
        assert!(found.seen.contains("1 XA transaction prepared") && found.seen.contains("binlog.000005"), "{found:?}");
        assert!(found.remedy.contains("X'62',X'',1"), "{found:?}");
    }
}
