//! A MySQL-family server as the destination: rows and the record of them commit in one transaction, which begins with the fence.

mod apply;
mod cascade;
mod chunk;
mod long;
pub(crate) mod records;
mod statement;
pub(crate) mod zones;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;

use self::apply::Applier;
use self::chunk::ChunkWriter;
use super::{Capabilities, ChunkSink, Commit, Destination, LaneWriter};
use crate::change::cascade::Cascades;
use crate::checkpoint::Claim;
use crate::connection::{Connector, Role};
use crate::plan::Plan;
use crate::sql::Queries;
use godwit_api::{ConflictPolicy, MigrationTaskSpec};
use godwit_model::error::{Error, Result};
use godwit_model::server::ServerInfo;

pub use records::Record;
pub(crate) use statement::{Limits, SMALL_BYTES, Statement, column_list, refusal};

/// The destination of one attempt.
#[derive(Debug)]
pub(crate) struct MySql {
    connector: Connector,
    record: Record,
    limits: Limits,
    /// The server takes LOAD DATA LOCAL.
    load_data: bool,
    plan: Arc<Plan>,
    cascades: Arc<Cascades>,
}

impl MySql {
    /// Asks the server what it takes.
    ///
    /// # Errors
    /// Definite where its packets are too small; the connection's.
    pub(crate) async fn open(
        connector: &Connector,
        info: &ServerInfo,
        record: Record,
        spec: &MigrationTaskSpec,
        plan: &Arc<Plan>,
        cascades: &Arc<Cascades>,
    ) -> Result<Self> {
        let mut conn = connector.connect(Role::Metadata).await?;
        // The global values: a session's own limit is that of its start.
        let values: Option<(u64, u8)> = conn.query_first("SELECT @@GLOBAL.max_allowed_packet, @@GLOBAL.local_infile").await?;
        let _ = conn.disconnect().await;
        let (packet, local_infile) =
            values.ok_or_else(|| Error::transient("the destination does not tell its max_allowed_packet"))?;
        let packet = usize::try_from(packet).unwrap_or(usize::MAX);
        if packet < SMALL_BYTES {
            return Err(Error::definite(format!(
                "the destination's max_allowed_packet is {packet}, less than 1 MiB; raise it there (SET GLOBAL max_allowed_packet = 67108864)"
            )));
        }
        let row_alias = info.is_mysql_since(8, 0, 20);
        let adopts_rows = spec.conflict_policy == ConflictPolicy::IgnoreErrorsAndProceed;
        let leaves_computed = spec.precheck.ignore.iter().any(|item| item == "GeneratedColumns");
        Ok(Self {
            connector: connector.clone(),
            record,
            limits: Limits { leaves_computed, ..Limits::of(packet, row_alias, adopts_rows) },
            load_data: local_infile == 1,
            plan: Arc::clone(plan),
            cascades: Arc::clone(cascades),
        })
    }
}

impl Destination for MySql {
    fn capabilities(&self) -> Capabilities {
        Capabilities { commit: Commit::Atomic, zombie: Duration::ZERO, keyless: true, cascades: true }
    }

    fn lane(&self, claim: Claim, lane: u32) -> BoxFuture<'_, Result<Box<dyn LaneWriter>>> {
        Box::pin(async move {
            let fence = self.record.lane(claim, lane);
            let (plan, cascades) = (Arc::clone(&self.plan), Arc::clone(&self.cascades));
            let writer = Applier::connect(&self.connector, fence, self.limits, plan, cascades).await?;
            Ok(Box::new(writer) as Box<dyn LaneWriter>)
        })
    }

    fn chunks(&self, claim: Claim, worker: u32) -> BoxFuture<'_, Result<Box<dyn ChunkSink>>> {
        Box::pin(async move {
            let writer = ChunkWriter::connect(&self.connector, self.record.clone(), claim, worker, self.limits, self.load_data);
            Ok(Box::new(writer.await?) as Box<dyn ChunkSink>)
        })
    }
}
