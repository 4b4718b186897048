//! The source keeps its binary log long enough for pauses and outages.

use crate::precheck::context::{Context, ManagedRetention, Product, Server};
use crate::precheck::finding::Finding;

/// How long the log is kept.
enum Retention {
    Forever,
    Hours(u64),
    /// A managed service that does not say.
    Unknown,
}

pub(super) fn check(context: &Context) -> Option<Finding> {
    let wanted = if context.plan.full { 7 * 24 } else { 24 };
    let source = &context.source;
    let (retention, setting) = retention(source);
    let hours = match retention {
        Retention::Forever => return Some(Finding::passed(format!("{setting}: the log is kept until it is purged by hand"))),
        // For incremental alone it must be more than a day.
        Retention::Hours(hours) if hours >= wanted && (context.plan.full || hours > wanted) => {
            return Some(Finding::passed(format!("{setting}: the log is kept {hours} h")));
        }
        Retention::Hours(hours) => format!("{setting}: the log is kept {hours} h"),
        Retention::Unknown => format!("{setting} cannot be read by this account"),
    };
    Some(Finding::warning(
        hours,
        format!(
            "a task that stands still for longer than that (a pause, an outage) cannot go on and has to start anew; {} is advised",
            if context.plan.full { "7 days" } else { "more than 24 h" }
        ),
        remedy(source, wanted),
    ))
}

fn retention(source: &Server) -> (Retention, String) {
    if matches!(source.product, Product::Rds | Product::Aurora) {
        return match source.managed_retention {
            Some(ManagedRetention::Hours(hours)) => (Retention::Hours(hours), format!("binlog retention hours is {hours}")),
            Some(ManagedRetention::NotSet) => (Retention::Hours(0), "binlog retention hours is not set".to_owned()),
            None => (Retention::Unknown, "binlog retention hours".to_owned()),
        };
    }
    if source.flag("binlog_expire_logs_auto_purge") == Some(false) {
        return (Retention::Forever, "binlog_expire_logs_auto_purge is OFF".to_owned());
    }
    let seconds = source.number("binlog_expire_logs_seconds").unwrap_or(0);
    if seconds > 0 {
        return (Retention::Hours(seconds / 3600), format!("binlog_expire_logs_seconds is {seconds}"));
    }
    let days = source.number("expire_logs_days").unwrap_or(0);
    if days > 0 {
        return (Retention::Hours(days * 24), format!("expire_logs_days is {days}"));
    }
    (Retention::Forever, "no expiry is set".to_owned())
}

fn remedy(source: &Server, hours: u64) -> String {
    let hours = if hours == 24 { 48 } else { hours };
    match source.product {
        Product::Rds | Product::Aurora => format!("CALL mysql.rds_set_configuration('binlog retention hours', {hours});"),
        _ if source.variable("binlog_expire_logs_seconds").is_some() => {
            source.set_variable("binlog_expire_logs_seconds", &(hours * 3600).to_string())
        }
        _ => source.set_variable("expire_logs_days", &(hours / 24).to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::precheck::fixture::{context, set};
    use godwit_api::Verdict;

    #[test]
    fn seven_days_with_a_copy_and_more_than_one_without() {
        for (variables, full, expected) in [
            (vec![("binlog_expire_logs_seconds", "2592000")], true, Verdict::Passed),
            (vec![("binlog_expire_logs_seconds", "604800")], true, Verdict::Passed),
            (vec![("binlog_expire_logs_seconds", "604799")], true, Verdict::Warning),
            (vec![("binlog_expire_logs_seconds", "86400")], false, Verdict::Warning),
            (vec![("binlog_expire_logs_seconds", "90000")], false, Verdict::Passed),
            (vec![("binlog_expire_logs_seconds", "0"), ("expire_logs_days", "3")], true, Verdict::Warning),
            (vec![("binlog_expire_logs_seconds", "0"), ("expire_logs_days", "10.000000")], true, Verdict::Passed),
            (vec![("binlog_expire_logs_seconds", "0"), ("expire_logs_days", "0")], true, Verdict::Passed),
            (vec![("binlog_expire_logs_seconds", "10"), ("binlog_expire_logs_auto_purge", "OFF")], true, Verdict::Passed),
        ] {
            let mut context = context();
            context.plan.full = full;
            context.source.variables.retain(|name, _| !name.contains("expire"));
            for (name, value) in &variables {
                set(&mut context.source, name, value);
            }
            assert_eq!(check(&context).unwrap().verdict, expected, "{variables:?}");
        }
    }

    #[test]
    fn managed_services_have_a_setting_of_their_own() {
        for (retention, expected) in [
            (Some(ManagedRetention::Hours(168)), Verdict::Passed),
            (Some(ManagedRetention::Hours(24)), Verdict::Warning),
            (Some(ManagedRetention::NotSet), Verdict::Warning),
            (None, Verdict::Warning),
        ] {
            let mut context = context();
            context.source.product = Product::Aurora;
            context.source.managed_retention = retention;
            let found = check(&context).unwrap();
            assert_eq!(found.verdict, expected);
            if expected == Verdict::Warning {
                assert_eq!(found.remedy, "CALL mysql.rds_set_configuration('binlog retention hours', 168);");
            }
        }
    }
}
