//! The destination of an attempt, of either kind.

use std::sync::Arc;

use crate::change::cascade::Cascades;
use crate::checkpoint::{Claim, TableStage};
use crate::connection::Connector;
use crate::create::Creator;
use crate::destination::mysql::{MySql, Record};
use crate::destination::tablestore::target::{Target, targets};
use crate::destination::tablestore::{Instance, Tables, Tablestore, TablestoreRecords};
use crate::destination::{Destination, Records};
use crate::plan::{Plan, TablePlan};
use crate::task::{Far, Task};
use godwit_api::MigrationTaskSpec;
use godwit_model::error::Result;
use godwit_model::server::ServerInfo;

/// See the module. There is one an attempt.
#[allow(clippy::large_enum_variant)]
pub(super) enum End {
    MySql { connector: Connector, info: ServerInfo, record: Record },
    Tablestore { instance: Instance, records: Arc<TablestoreRecords>, targets: Arc<Vec<Arc<Target>>> },
}

/// The task's records, before anything else is known of the destination.
pub(super) fn records(task: &Task, far: &Far) -> Arc<dyn Records> {
    match far {
        Far::MySql(connector) => Arc::new(task.record(connector)),
        Far::Tablestore(instance) => Arc::new(TablestoreRecords::new(instance, &task.name())),
    }
}

impl End {
    /// Of a plan for Tablestore.
    ///
    /// # Errors
    /// Definite: a table has no counterpart there.
    pub(super) fn tablestore(task: &Task, instance: &Instance, plan: &Plan) -> Result<Self> {
        Ok(Self::Tablestore {
            instance: instance.clone(),
            records: Arc::new(TablestoreRecords::new(instance, &task.name())),
            targets: Arc::new(targets(plan)?),
        })
    }

    /// For people.
    pub(super) fn address(&self) -> String {
        match self {
            Self::MySql { connector, .. } => connector.address().to_owned(),
            Self::Tablestore { instance, .. } => instance.address().to_owned(),
        }
    }

    /// The port, open.
    pub(super) async fn open(
        &self,
        spec: &MigrationTaskSpec,
        plan: &Arc<Plan>,
        cascades: &Arc<Cascades>,
    ) -> Result<Arc<dyn Destination>> {
        Ok(match self {
            Self::MySql { connector, info, record } => {
                Arc::new(MySql::open(connector, info, record.clone(), spec, plan, cascades).await?)
            }
            Self::Tablestore { instance, records, targets } => {
                Arc::new(Tablestore::new(instance, Arc::clone(records), Arc::clone(targets)))
            }
        })
    }
}

/// Makes what rows go into.
#[derive(Clone)]
pub(super) enum Maker {
    MySql(Creator),
    Tablestore(Tables),
}

impl Maker {
    /// Of a destination that stands open.
    pub(super) fn tablestore(
        instance: &Instance,
        plan: &Arc<Plan>,
        targets: &Arc<Vec<Arc<Target>>>,
        spec: &MigrationTaskSpec,
        records: &Arc<dyn Records>,
        claim: Claim,
    ) -> Self {
        Self::Tablestore(Tables::new(instance, plan, targets, spec.conflict_policy, records, claim))
    }

    /// Databases and tables.
    pub(super) async fn tables(&self, stages: &mut [TableStage]) -> Result<()> {
        match self {
            Self::MySql(creator) => creator.databases_and_tables(stages).await,
            Self::Tablestore(tables) => tables.make(stages).await,
        }
    }

    /// Secondary indexes of a copied table; Tablestore has none that a migration makes.
    pub(super) async fn indexes(&self, table: &Arc<TablePlan>) -> Result<()> {
        match self {
            Self::MySql(creator) => creator.indexes(table).await,
            Self::Tablestore(_) => Ok(()),
        }
    }
}
