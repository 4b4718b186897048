//! The source writes a binary log.

use crate::precheck::context::{Context, Product};
use crate::precheck::finding::Finding;

pub(super) fn check(context: &Context) -> Option<Finding> {
    let source = &context.source;
    if source.flag("log_bin") == Some(true) {
        let where_it_stands = source.log.as_ref().map(|log| format!(", at {}:{}", log.file, log.position)).unwrap_or_default();
        return Some(Finding::passed(format!("log_bin is ON{where_it_stands}")));
    }
    let remedy = match source.product {
        Product::PolarDb => "set loose_polar_log_bin = ON in the cluster's parameters, and connect to the writer".to_owned(),
        Product::Aurora => "set binlog_format = ROW in the DB cluster parameter group and restart the writer".to_owned(),
        Product::Rds => "turn automated backups on; the service then writes the log".to_owned(),
        Product::Plain => "add log_bin = binlog and server_id = 1 to the server's configuration file and restart it".to_owned(),
    };
    Some(Finding::failed(
        "log_bin is OFF",
        "changes are read from the binary log; without it only Schema and Full are possible",
        remedy,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::precheck::fixture::{context, set};
    use godwit_api::Verdict;

    #[test]
    fn off_fails_with_the_remedy_of_the_product() {
        let mut context = context();
        assert_eq!(check(&context).unwrap().verdict, Verdict::Passed);
        set(&mut context.source, "log_bin", "OFF");
        assert!(check(&context).unwrap().remedy.contains("log_bin = binlog"));
        context.source.product = Product::PolarDb;
        let found = check(&context).unwrap();
        assert_eq!(found.verdict, Verdict::Failed);
        assert!(found.remedy.contains("loose_polar_log_bin"));
    }
}
