//! A task that may be worked on, and what its phases ask of it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::end::End;
use crate::change::cascade::Cascades;
use crate::checkpoint::{Saved, TableStage};
use crate::connection::Connector;
use crate::destination::Records;
use crate::plan::select::Selection;
use crate::plan::{Plan, TablePlan};
use crate::precheck;
use crate::progress::Progress;
use crate::sql::Queries;
use crate::task::Task;
use godwit_model::error::{Error, Result};
use godwit_model::server::ServerInfo;

/// A task that may be worked on: resolved, recorded, claimed.
pub(super) struct Attempt<'a> {
    pub(super) task: &'a Task,
    pub(super) progress: &'a Progress,
    pub(super) source: Connector,
    pub(super) end: End,
    pub(super) source_info: ServerInfo,
    /// Tells the source from another server.
    pub(super) source_identity: String,
    /// Recorded places in the source's log are places in the log that it has now.
    pub(super) places_hold: bool,
    pub(super) plan: Arc<Plan>,
    pub(super) selection: Selection,
    pub(super) records: Arc<dyn Records>,
    pub(super) cascades: Arc<Cascades>,
}

impl Attempt<'_> {
    /// In the order of the copy: what cascades come through before what they come to.
    pub(super) fn by_level<T>(&self, tables: impl Iterator<Item = T>, table: impl Fn(&T) -> &Arc<TablePlan>) -> Vec<Vec<T>> {
        let mut levels: BTreeMap<u32, Vec<T>> = BTreeMap::new();
        for one in tables {
            levels.entry(self.cascades.level(table(&one).id)).or_default().push(one);
        }
        levels.into_values().collect()
    }

    /// What the record says of each table of the plan.
    pub(super) fn stages(&self, saved: &Saved) -> Vec<TableStage> {
        let by_name: HashMap<(&str, &str), TableStage> = saved
            .tables
            .iter()
            .map(|table| ((table.definition.database.as_str(), table.definition.table.as_str()), table.stage))
            .collect();
        self.plan
            .tables
            .iter()
            .map(|table| {
                let name = (table.source.database.as_str(), table.source.table.as_str());
                by_name.get(&name).copied().unwrap_or(TableStage::Planned)
            })
            .collect()
    }
}

/// Name, in the record, of how cascades come to the destination.
pub(super) const CASCADES: &str = "source.cascades";
pub(super) const LOGGED: &str = "in";
pub(super) const DERIVED: &str = "missing from";

pub(super) fn mode(cascades: &Cascades) -> &'static str {
    if cascades.is_empty() { LOGGED } else { DERIVED }
}

/// What has to be derived from the foreign keys, because the source's log lacks it. `recorded`: what was decided when the task
/// began, as lanes and the order of the copy follow from it.
pub(super) async fn cascades(
    conn: &mut mysql_async::Conn,
    info: &ServerInfo,
    plan: &Plan,
    folds: bool,
    recorded: Option<&str>,
) -> Result<Cascades> {
    if !plan.incremental {
        return Ok(Cascades::none());
    }
    if recorded == Some(DERIVED) {
        return Ok(Cascades::derived(plan, folds));
    }
    let native: Option<String> = match info.is_mysql_since(9, 6, 0) {
        true => conn.query_first("SELECT CAST(@@GLOBAL.innodb_native_foreign_keys AS CHAR)").await?,
        false => None,
    };
    let native = native.map(|value| matches!(value.as_str(), "1" | "ON"));
    let replicates = recorded.is_none() && precheck::read_server::is_replica(conn, info).await? == Some(true);
    Ok(if info.logs_cascades(native) && !replicates { Cascades::logged(plan, folds) } else { Cascades::derived(plan, folds) })
}

pub(super) async fn lower_case_table_names(conn: &mut mysql_async::Conn) -> Result<u8> {
    let value: Option<u8> = conn.query_first("SELECT @@GLOBAL.lower_case_table_names").await?;
    value.ok_or_else(|| Error::definite("a server does not say its lower_case_table_names"))
}

/// What to add to the source's clock to get ours, in microseconds.
pub(super) async fn clock_offset(conn: &mut mysql_async::Conn) -> Result<i64> {
    let asked = std::time::SystemTime::now();
    let microseconds = "SELECT CAST(UNIX_TIMESTAMP(NOW(6)) * 1000000 AS SIGNED)";
    let theirs: Option<i64> = conn.query_first(microseconds).await?;
    let half_way = asked + asked.elapsed().unwrap_or_default() / 2;
    let ours = half_way.duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_micros() as i64;
    Ok(theirs.map_or(0, |theirs| ours - theirs))
}
