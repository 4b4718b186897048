//! What generated columns are computed with at the destination: the settings that expressions ask and that the source's sessions have
//! unless they change them. The time zone is not among them: TIMESTAMP values are written in UTC, and which zone a row's writer had
//! is not known (precheck item `GeneratedColumns`).
//!
//! A server keeps a table open for the next session, and what its expressions were prepared with by the session that opened it stays:
//! an INSERT computes a quotient with the `div_precision_increment` of whoever opened the table (seen on 9.7). So all of our sessions at
//! the destination have these settings, whatever they do, and those at the source keep the source's own: they must not leave
//! an open table behind with which the application would compute something else.

use super::connection::{Connector, Role};
use super::plan::Plan;
use crate::sql;
use crate::sql::{Queries, Quoted, Sql};
use godwit_model::definition::Generated;
use godwit_model::error::{Context, Result};

/// The source's global settings as a statement for sessions at the destination; None: nothing is computed.
///
/// # Errors
/// When the source cannot be asked.
pub(crate) async fn settings(source: &Connector, plan: &Plan) -> Result<Option<Sql>> {
    if !computes(plan) {
        return Ok(None);
    }
    let mut conn = source.connect(Role::Metadata).await?;
    let asked = "SELECT CAST(@@GLOBAL.div_precision_increment AS CHAR), CAST(@@GLOBAL.default_week_format AS CHAR), @@GLOBAL.lc_time_names";
    let found: Option<(String, String, String)> =
        conn.query_first(asked).await.context("reading what generated columns depend on")?;
    let _ = conn.disconnect().await;
    Ok(found.map(|(division, week, names)| {
        let mut statement = Sql::new("SET SESSION div_precision_increment=");
        statement.push_number(division.as_bytes());
        statement.push(", default_week_format=");
        statement.push_number(week.as_bytes());
        statement.add(&sql!(", lc_time_names={}", Quoted(&names)));
        statement
    }))
}

/// The destination's connector for sessions that come near the plan's tables.
///
/// # Errors
/// As [`settings`].
pub(crate) async fn like_source(source: &Connector, destination: &Connector, plan: &Plan) -> Result<Connector> {
    Ok(destination.clone().computing(settings(source, plan).await?))
}

/// Whether the destination computes anything: a generated column, or an index on an expression.
fn computes(plan: &Plan) -> bool {
    plan.tables.iter().map(|table| &table.definition).any(|definition| {
        let generated = definition.columns.iter().any(|column| column.generated != Generated::No);
        generated || definition.indexes.iter().flat_map(|index| &index.parts).any(|part| part.column.is_none())
    })
}
