//! Triggers that would fire for rows that are repaired: what they do was done at the source already.

use std::collections::BTreeSet;

use crate::connection::{Connector, Role};
use crate::plan::Plan;
use crate::schema::program::Head;
use crate::schema::program::read::read_programs;
use godwit_model::error::{Error, Result};
use godwit_model::names::TableName;

/// Refuses to repair tables with triggers that have no guard: they would fire for our rows as for an application's.
///
/// # Errors
/// Definite where there are such triggers, with their names; from the destination.
pub(super) async fn none_would_fire(destination: &Connector, plan: &Plan) -> Result<()> {
    let tables: BTreeSet<&TableName> = plan.tables.iter().map(|table| &table.destination).collect();
    let databases: BTreeSet<&str> = tables.iter().map(|table| table.database.as_str()).collect();
    let mut conn = destination.connect(Role::Metadata).await?;
    let mut fire = Vec::new();
    for database in databases {
        for program in read_programs(&mut conn, database).await? {
            let Some(table) = program.table.as_ref().filter(|table| tables.contains(table)) else { continue };
            let is_guarded = matches!(&program.definition, Ok(definition) if definition.guarded && matches!(definition.head, Head::Trigger { .. }));
            if !is_guarded {
                fire.push(format!("{} on {table}", program.name));
            }
        }
    }
    let _ = conn.disconnect().await;
    if fire.is_empty() {
        return Ok(());
    }
    Err(Error::definite(format!(
        "rows are not repaired: these triggers of the destination would fire for them: {}; compare without --repair, or DROP the \
         triggers meanwhile",
        fire.join(", ")
    )))
}
