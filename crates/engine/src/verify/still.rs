//! Whether anything can be on its way: what differs while nothing is, differs for good.
//!
//! The lanes' positions at the destination say what a task has applied. They reach all that the source has committed, both sides
//! are read, and the source has committed nothing more meanwhile: then the rows that were read are those of one moment.

use std::sync::Arc;

use std::time::Duration;

use super::options::Recheck;
use super::session::Session;
use crate::connection::server_info;
use crate::destination::Records;
use crate::sql::Queries;
use godwit_model::error::Result;
use godwit_model::position::GtidPosition;
use godwit_model::server::ServerInfo;

/// The first pause where positions can tell. MariaDB lists transactions a moment before they are visible, so one look is not
/// enough.
const SHORT: Duration = Duration::from_secs(1);

/// Asks for positions.
pub(super) struct Still {
    pub source: Session,
    /// None: nobody says what was applied.
    pub records: Option<Arc<dyn Records>>,
    pub info: Option<ServerInfo>,
}

impl Still {
    /// Pauses before rows that differ are read again.
    pub(super) fn pauses(&self, recheck: Recheck) -> Vec<Duration> {
        let mut pauses = vec![recheck.delay; recheck.attempts as usize];
        if self.records.is_some() && recheck.attempts > 0 {
            pauses.insert(0, SHORT.min(recheck.delay));
        }
        pauses
    }

    /// Whether nothing has moved since `before`: what was read in between are the rows of one moment, and would be again.
    pub(super) async fn is_since(&mut self, before: Option<GtidPosition>) -> bool {
        before.is_some() && self.applied().await == before
    }

    /// All that the source has committed, if it is applied; None also where that cannot be told.
    pub(super) async fn applied(&mut self) -> Option<GtidPosition> {
        match self.ask().await {
            Ok(position) => position,
            Err(error) => {
                tracing::debug!(%error, "whether all is applied cannot be told");
                self.source.reset();
                None
            }
        }
    }

    async fn ask(&mut self) -> Result<Option<GtidPosition>> {
        let Some(records) = &self.records else { return Ok(None) };
        let conn = self.source.get().await?;
        let info = match &self.info {
            Some(info) => info,
            None => self.info.insert(server_info(conn).await?),
        };
        let listed = if info.is_mariadb() { "SELECT @@GLOBAL.gtid_binlog_pos" } else { "SELECT @@GLOBAL.gtid_executed" };
        let listed: Option<String> = conn.query_first(listed).await?;
        let listed = listed.filter(|text| !text.is_empty()).unwrap_or_default();
        let committed = match listed.as_str() {
            // Without GTIDs a place in the log does not say what is visible.
            "" => return Ok(None),
            text if info.is_mariadb() => GtidPosition::MariaDb(text.parse()?),
            text => GtidPosition::MySql(text.parse()?),
        };
        let applied = records.applied().await?;
        let all = !applied.is_empty() && applied.iter().all(|lane| committed.is_subset_of(&lane.gtid));
        Ok(all.then_some(committed))
    }
}
