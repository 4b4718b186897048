//! Source and destination may be one server, as long as no table is written onto itself.

use crate::precheck::context::Context;
use crate::precheck::finding::{Finding, some};

pub(super) fn check(context: &Context) -> Option<Finding> {
    let id = |name: &str| (context.source.variable(name), context.destination.variable(name));
    let same = match (id("server_uuid"), id("server_uid")) {
        ((Some(a), Some(b)), _) | (_, (Some(a), Some(b))) => a == b,
        _ => context.source.address == context.destination.address,
    };
    if !same {
        return Some(Finding::passed("source and destination are two servers"));
    }
    let why = "the task would read what it writes";
    let onto_itself: Vec<String> = context
        .plan
        .tables
        .iter()
        .filter(|table| table.source == table.destination)
        .map(|table| table.source.to_string())
        .collect();
    if !onto_itself.is_empty() {
        return Some(Finding::failed(
            format!("source and destination are the same server, and {} would be written onto itself", some(&onto_itself)),
            why,
            "set renameTo for the database, or correct spec.destination.mysql.host",
        ));
    }
    let again: Vec<String> = context
        .plan
        .databases
        .iter()
        .map(|database| database.destination.clone())
        .filter(|name| context.selection.database(name).is_some_and(|found| found.whole))
        .collect();
    if !again.is_empty() && context.incremental() {
        return Some(Finding::failed(
            format!("source and destination are the same server, and the copy in {} is selected itself", some(&again)),
            why,
            "name the databases in spec.objects exactly, or add the copies to spec.excludeDatabases",
        ));
    }
    Some(Finding::passed("source and destination are the same server, under other names"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::precheck::fixture::{change_plan, context, set};
    use godwit_api::Verdict;

    #[test]
    fn no_table_onto_itself() {
        let mut context = context();
        set(&mut context.source, "server_uuid", "a");
        set(&mut context.destination, "server_uuid", "b");
        assert_eq!(check(&context).unwrap().verdict, Verdict::Passed);
        set(&mut context.destination, "server_uuid", "a");
        assert_eq!(check(&context).unwrap().verdict, Verdict::Failed);
        change_plan(&mut context, |table| table.destination.database = "copy".into());
        context.plan.databases[0].destination = "copy".into();
        // The fixture selects everything.
        assert!(check(&context).unwrap().seen.contains("copy in copy is selected itself"));
        context.plan.incremental = false;
        assert_eq!(check(&context).unwrap().verdict, Verdict::Passed);
    }
}
