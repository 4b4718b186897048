//! The source is not a read-only node that shares another node's storage: such a node has no binary log of its own.

use crate::precheck::context::{Context, Product};
use crate::precheck::finding::Finding;

pub(super) fn check(context: &Context) -> Option<Finding> {
    let source = &context.source;
    let read_only = source.flag("read_only") == Some(true);
    let shared_storage = matches!(source.product, Product::Aurora | Product::PolarDb);
    if source.flag("innodb_read_only") == Some(true) || (shared_storage && read_only && source.flag("log_bin") != Some(true)) {
        return Some(Finding::failed(
            format!("{} is a read-only node of {}", source.address, source.describe()),
            "a reader shares the writer's storage and has no complete binary log of its own",
            "set spec.source.mysql.host to the address of the cluster's writer",
        ));
    }
    Some(Finding::passed(match source.is_replica {
        Some(true) => "the source is a replica that can serve its own log",
        _ if read_only => "the source is set to read_only; it can serve its log",
        _ => "the source takes writes",
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::precheck::fixture::{context, set};
    use godwit_api::Verdict;

    #[test]
    fn a_reader_of_a_cluster_fails_and_a_replica_passes() {
        let mut context = context();
        context.source.is_replica = Some(true);
        set(&mut context.source, "read_only", "ON");
        assert_eq!(check(&context).unwrap().verdict, Verdict::Passed);
        context.source.product = Product::PolarDb;
        set(&mut context.source, "log_bin", "OFF");
        assert_eq!(check(&context).unwrap().verdict, Verdict::Failed);
        let mut context = super::tests::context();
        context.source.product = Product::Aurora;
        set(&mut context.source, "innodb_read_only", "ON");
        assert_eq!(check(&context).unwrap().verdict, Verdict::Failed);
    }
}
