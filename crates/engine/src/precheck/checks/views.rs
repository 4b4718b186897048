//! Every view of a whole database can be created at the destination.

use crate::plan::names::PlanNames;
use crate::precheck::context::Context;
use crate::precheck::finding::{Finding, count, some};
use crate::schema::view::{Definer, rewrite_view};
use godwit_api::DefinerMode;

pub(super) fn check(context: &Context) -> Option<Finding> {
    if !context.schema() || context.plan.views.is_empty() {
        return None;
    }
    let names = PlanNames::new(&context.plan);
    let definer = match context.spec.definer {
        DefinerMode::Invoker => Definer::Invoker,
        DefinerMode::Keep => Definer::Keep,
    };
    let mut problems = Vec::new();
    for view in &context.plan.views {
        if view.create_statement.is_empty() {
            problems.push(format!("{}: the source cannot show its definition", view.source));
        } else if let Err(error) = rewrite_view(&view.create_statement, &view.source, &names, definer) {
            problems.push(error.to_string());
        } else if let Err(error) = view.session.at(&context.destination.info) {
            problems.push(format!("{}: made with a collation of its own: {error}", view.source));
        } else if let Some(why) = context.unsayable.get(&view.source) {
            problems.push(format!("{}: {why}", view.source));
        }
    }
    if problems.is_empty() {
        return Some(Finding::passed(format!("{} can be written at the destination", count(context.plan.views.len(), "view"))));
    }
    Some(Finding::warning(
        some(&problems),
        "these views will be missing at the destination: they read what is not selected, are broken at the source already, or were made in a \
         session whose character set or collation the destination or its names do not fit",
        "select what they read, create them again at the source in a session with SET NAMES utf8mb4, DROP VIEW … there, leave them out with \
         excludeTables, or ignore this item",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::precheck::fixture::{VIEW, context};
    use godwit_api::Verdict;
    use godwit_model::server::ServerInfo;

    #[test]
    fn views_that_cannot_be_written_are_named() {
        let mut context = context();
        assert_eq!(check(&context).unwrap().verdict, Verdict::Passed);
        context.plan.views[0].create_statement = context.plan.views[0].create_statement.replace("`orders`", "`gone`");
        let found = check(&context).unwrap();
        assert_eq!(found.verdict, Verdict::Warning);
        context.plan.views[0].create_statement = VIEW.into();
        context.plan.views[0].session.collation_connection = "utf8mb4_ja_0900_as_cs_ks".into();
        assert_eq!(check(&context).unwrap().verdict, Verdict::Passed);
        context.destination.info = ServerInfo::parse("11.4.5-MariaDB");
        assert!(check(&context).unwrap().seen.contains("utf8mb4_ja_0900_as_cs_ks"));
        context.plan.views[0].session.collation_connection = "utf8mb4_bin".into();
        context.unsayable.insert(context.plan.views[0].source.clone(), "latin1 cannot say it".into());
        assert!(check(&context).unwrap().seen.contains("shop.totals: latin1 cannot say it"));
        context.plan.views[0].create_statement.clear();
        assert!(check(&context).unwrap().seen.contains("shop.totals"));
    }
}
