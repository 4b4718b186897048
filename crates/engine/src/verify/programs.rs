//! Whether the destination has the stored programs that were meant, and says in them what was meant.
//!
//! Definers, SQL SECURITY and whether an event is enabled are not compared: the first two are the task's choice, and events are somebody's to enable.
//! A trigger may stand behind the guard of a task that still writes.

use std::collections::BTreeMap;

use super::session::Session;
use crate::connection::server_info;
use crate::plan::Plan;
use crate::plan::programs::make::meant;
use crate::plan::programs::names::ProgramNames;
use crate::schema::program::ProgramDefinition;
use crate::schema::program::compare::{Difference, differences};
use crate::schema::program::read::{ListedProgram, read_programs};
use godwit_api::verification::SchemaDifference;
use godwit_model::error::Result;
use godwit_model::program::{ProgramKind, ProgramName};
use godwit_model::server::ServerInfo;

/// Compares all programs of the plan.
///
/// # Errors
/// From the destination.
pub(super) async fn compare(session: &mut Session, plan: &Plan, source_info: &ServerInfo) -> Result<Vec<SchemaDifference>> {
    let names = ProgramNames::new(plan);
    let mut by_database: BTreeMap<&str, Vec<ProgramDefinition>> = BTreeMap::new();
    let is_compared = |kind: ProgramKind| kind != ProgramKind::Trigger || !plan.holds_triggers;
    for program in plan.programs.iter().filter(|program| is_compared(program.source.kind)) {
        // What cannot be read, or is wrong under the destination's names, was made there by hand.
        if let Ok(wanted) = meant(program, &names) {
            by_database.entry(program.destination.database.as_str()).or_default().push(wanted);
        }
    }
    let mut found = Vec::new();
    for (database, wanted) in by_database {
        let conn = session.get().await?;
        let destination_info = server_info(conn).await?;
        let listed: BTreeMap<ProgramName, ListedProgram> =
            read_programs(conn, database).await?.into_iter().map(|program| (program.name.clone(), program)).collect();
        for wanted in &wanted {
            found.extend(one(wanted, source_info, listed.get(&wanted.name), &destination_info));
        }
        found.extend(orders(&wanted, &listed));
    }
    Ok(found)
}

fn one(
    wanted: &ProgramDefinition,
    source_info: &ServerInfo,
    own: Option<&ListedProgram>,
    destination_info: &ServerInfo,
) -> Vec<SchemaDifference> {
    let object = wanted.name.to_string();
    let difference = |what: &str, source: String, destination: Option<String>| SchemaDifference {
        object: object.clone(),
        what: what.into(),
        source: Some(source),
        destination,
    };
    match own.map(|own| &own.definition) {
        None => vec![difference("the object itself", "present".into(), None)],
        Some(Err(why)) => vec![difference("the definition cannot be read", wanted.body.clone(), Some(why.clone()))],
        Some(Ok(own)) => differences(wanted, source_info, own, destination_info)
            .into_iter()
            .map(|Difference { what, source, destination }| difference(what, source, Some(destination)))
            .collect(),
    }
}

/// Triggers of one table and moment that stand in another order, where both sides have all of them.
fn orders(wanted: &[ProgramDefinition], listed: &BTreeMap<ProgramName, ListedProgram>) -> Vec<SchemaDifference> {
    use crate::schema::program::Head;
    let place = |definition: &ProgramDefinition| match &definition.head {
        Head::Trigger { table, moment, order } => Some(((table.clone(), *moment), *order)),
        _ => None,
    };
    let mut groups: BTreeMap<_, Vec<(u64, u64, &str)>> = BTreeMap::new();
    for program in wanted {
        let own = listed.get(&program.name).and_then(|own| own.definition.as_ref().ok()).and_then(place);
        if let (Some((group, here)), Some((_, there))) = (place(program), own) {
            groups.entry(group).or_default().push((here, there, program.name.name.as_str()));
        }
    }
    let mut found = Vec::new();
    for ((table, moment), mut triggers) in groups {
        triggers.sort_unstable();
        let names = |triggers: &[(u64, u64, &str)]| triggers.iter().map(|(_, _, name)| *name).collect::<Vec<_>>().join(", ");
        let source = names(&triggers);
        triggers.sort_unstable_by_key(|(_, there, _)| *there);
        let destination = names(&triggers);
        if source != destination {
            let what = format!("order of its triggers {}", moment.words());
            found.push(SchemaDifference {
                object: format!("table {table}"),
                what,
                source: Some(source),
                destination: Some(destination),
            });
        }
    }
    found
}
