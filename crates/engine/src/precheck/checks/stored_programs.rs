//! Procedures, functions, triggers and events of whole databases can be made at the destination; sequences are not migrated.

use crate::plan::ProgramPlan;
use crate::plan::programs::make::{Making, statement};
use crate::plan::programs::names::ProgramNames;
use crate::plan::statements::definer;
use crate::precheck::context::Context;
use crate::precheck::finding::{Finding, count, some};
use crate::schema::program::read::SEES_ROUTINES;
use crate::sql::lexer::{LexMode, tokens};
use godwit_api::ConflictPolicy;
use godwit_model::program::ProgramKind;

pub(super) fn check(context: &Context) -> Option<Finding> {
    if !context.schema() {
        return None;
    }
    let mut problems = unmade(context);
    problems.extend(loadable(context));
    let sequences = &context.source_objects.sequences;
    if !sequences.is_empty() {
        problems.push(format!(
            "{}, which this version does not migrate: {}",
            count(sequences.len(), "sequence"),
            some(sequences)
        ));
    }
    if problems.is_empty() {
        return Some(Finding::passed(seen(context)));
    }
    Some(Finding::warning(
        some(&problems),
        "what is named will be missing at the destination; the tables are migrated all the same, and status names it again",
        "change it at the source so that the sentence no longer holds (select what it uses, call tables as the destination has them, create it again \
         in a session with SET NAMES utf8mb4), DROP what stands at the destination under its name, or create it there by hand (mysqldump --no-data \
         --no-create-info --routines --events) and ignore this item. A sequence, which a column's default may need beforehand, is made by hand with the \
         source's value once the source is not written any more: SELECT SETVAL(name, next_not_cached_value)",
    ))
}

/// Why programs cannot be made, a sentence each.
fn unmade(context: &Context) -> Vec<String> {
    let plan = &context.plan;
    let names = ProgramNames::new(plan);
    let making = Making {
        definer: definer(&context.spec),
        guarded: plan.incremental,
        source: &context.source.info,
        destination: &context.destination.info,
    };
    let keeps = context.spec.conflict_policy == ConflictPolicy::IgnoreErrorsAndProceed;
    let problem = |program: &ProgramPlan| match statement(program, &names, making, None) {
        Err(error) => Some(error.to_string()),
        Ok(_) if !keeps && context.programs_there.contains(&program.destination) => {
            Some(format!("{}: {} stands at the destination already", program.source, program.destination))
        }
        Ok(_) => None,
    };
    plan.programs.iter().filter_map(problem).collect()
}

/// Loadable functions that the destination lacks, with what calls them.
fn loadable(context: &Context) -> Vec<String> {
    let calls = |text: &str, name: &str| {
        tokens(text.as_bytes(), &LexMode::default()).iter().any(|token| token.is_word(text.as_bytes(), name))
    };
    let mut found = Vec::new();
    for name in &context.loadable_functions {
        let views =
            context.plan.views.iter().filter(|view| calls(&view.create_statement, name)).map(|view| view.source.to_string());
        let bodies = context.plan.programs.iter().filter_map(|program| Some((program, program.definition.as_ref().ok()?)));
        let programs =
            bodies.filter(|(_, definition)| calls(&definition.body, name)).map(|(program, _)| program.source.to_string());
        let callers: Vec<String> = views.chain(programs).collect();
        if !callers.is_empty() {
            found.push(format!(
                "the loadable function {name} is not installed at the destination and is called by {}",
                some(&callers)
            ));
        }
    }
    found
}

fn seen(context: &Context) -> String {
    let programs = &context.plan.programs;
    let of = |kind: ProgramKind| programs.iter().filter(|program| program.source.kind == kind).count();
    let kinds = [ProgramKind::Procedure, ProgramKind::Function, ProgramKind::Trigger, ProgramKind::Event];
    let counted: Vec<String> = kinds.into_iter().filter(|kind| of(*kind) > 0).map(|kind| count(of(kind), kind.word())).collect();
    let mut seen = match counted.is_empty() {
        true => "no stored programs are seen in the databases that are selected as a whole".to_owned(),
        false => format!("{} can be made at the destination", counted.join(", ")),
    };
    if of(ProgramKind::Event) > 0 {
        seen.push_str("; events arrive disabled");
    }
    if of(ProgramKind::Trigger) > 0 && context.plan.holds_triggers {
        seen.push_str("; triggers are left to you (triggers: Manual)");
    }
    let grants = &context.source.grants;
    let mut whole = context.plan.databases.iter().filter(|database| database.whole);
    if let Some(database) = whole.find(|database| !grants.on_database("TRIGGER", &database.source)) {
        seen.push_str(&format!(
            "; triggers that the account may not see are not known (GRANT TRIGGER ON `{}`.*)",
            database.source
        ));
    }
    if !grants.any_global(&["SHOW_ROUTINE", "SELECT"]) && !grants.on_table("SELECT", "mysql", "proc") {
        seen.push_str(&format!(
            "; routines that the account may not see are not known (GRANT {SEES_ROUTINES}), nor are events without EVENT on their database"
        ));
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::precheck::fixture::{context, procedure};
    use godwit_api::Verdict;

    #[test]
    fn what_cannot_be_made_is_named() {
        let mut context = context();
        assert_eq!(check(&context).unwrap().verdict, Verdict::Passed);
        context.plan.programs.push(procedure("shop", "total", "SELECT COUNT(*) FROM orders"));
        let found = check(&context).unwrap();
        assert!(found.verdict == Verdict::Passed && found.seen.contains("1 procedure can be made"), "{found:?}");
        context.programs_there.insert(context.plan.programs[0].destination.clone());
        assert!(check(&context).unwrap().seen.contains("procedure shop.total stands at the destination already"));
        context.programs_there.clear();
        context.plan.programs.push(procedure("shop", "out", "SELECT * FROM mysql.user"));
        let found = check(&context).unwrap();
        assert_eq!(found.verdict, Verdict::Warning);
        assert!(found.seen.contains("procedure shop.out: it uses the database mysql"), "{found:?}");
        context.plan.programs[1].definition = Err("the account may not see its definition".into());
        assert!(check(&context).unwrap().seen.contains("procedure shop.out: the account may not see"));
    }

    #[test]
    fn loadable_functions_and_sequences_are_named() {
        let mut context = context();
        context.plan.programs.push(procedure("shop", "total", "SELECT lib_hash(1)"));
        context.loadable_functions.push("LIB_HASH".into());
        assert!(
            check(&context)
                .unwrap()
                .seen
                .contains("LIB_HASH is not installed at the destination and is called by procedure shop.total")
        );
        context.loadable_functions.clear();
        context.source_objects.sequences.push("shop.s".into());
        assert!(check(&context).unwrap().seen.contains("1 sequence, which"));
    }
}
