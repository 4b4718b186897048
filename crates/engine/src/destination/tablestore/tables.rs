//! Tables at the destination: made by the schema phase, or there beforehand.

use std::sync::Arc;

use super::send::patiently;
use super::target::Target;
use super::{Instance, failure};
use crate::checkpoint::{Claim, TableStage};
use crate::destination::Records;
use crate::plan::Plan;
use godwit_api::ConflictPolicy;
use godwit_model::error::{Error, Result};
use godwit_tablestore::{Code, TableDescription, TableOptions, Throughput};

/// Makes and checks the tables of a plan.
#[derive(Clone)]
pub(crate) struct Tables {
    instance: Instance,
    plan: Arc<Plan>,
    targets: Arc<Vec<Arc<Target>>>,
    conflict_policy: ConflictPolicy,
    records: Arc<dyn Records>,
    claim: Claim,
}

impl Tables {
    pub(crate) fn new(
        instance: &Instance,
        plan: &Arc<Plan>,
        targets: &Arc<Vec<Arc<Target>>>,
        conflict_policy: ConflictPolicy,
        records: &Arc<dyn Records>,
        claim: Claim,
    ) -> Self {
        Self {
            instance: instance.clone(),
            plan: Arc::clone(plan),
            targets: Arc::clone(targets),
            conflict_policy,
            records: Arc::clone(records),
            claim,
        }
    }

    /// Makes what is missing, and records each. Left out of the schema phase, tables must be there.
    ///
    /// # Errors
    /// Definite: a table is there that the task has not made, or is not there, or does not fit.
    pub(crate) async fn make(&self, stages: &mut [TableStage]) -> Result<()> {
        self.records.check(self.claim).await?;
        for (target, (table, stage)) in self.targets.iter().zip(self.plan.tables.iter().zip(stages.iter_mut())) {
            if *stage >= TableStage::Created {
                continue;
            }
            if self.plan.schema {
                self.records.set_table_stage(self.claim, &table.definition, TableStage::Creating).await?;
                self.create(target, *stage).await?;
            }
            self.records.set_table_stage(self.claim, &table.definition, TableStage::Created).await?;
            *stage = TableStage::Created;
        }
        Ok(())
    }

    async fn create(&self, target: &Target, stage: TableStage) -> Result<()> {
        let key = target.key_columns();
        let (options, throughput) = (TableOptions::default(), Throughput::default());
        let made = patiently(|| self.instance.client().create_table(target.name(), &key, options, throughput)).await;
        match made {
            Ok(()) => Ok(()),
            Err(error) if error.code() == Some(&Code::ObjectAlreadyExist) => {
                let own = stage == TableStage::Creating || error.may_have_succeeded();
                if !own && self.conflict_policy == ConflictPolicy::PrecheckAndReportErrors {
                    return Err(Error::definite(format!(
                        "Tablestore table {} appeared after the precheck; delete it, choose another name with renameTo, or set conflictPolicy: \
                         IgnoreErrorsAndProceed",
                        target.name()
                    )));
                }
                Ok(())
            }
            Err(error) => Err(failure(error).context(format!("creating Tablestore table {}", target.name()))),
        }
    }

    /// Whether every table is there and has the key that rows will be written by.
    ///
    /// # Errors
    /// Definite, with table and difference.
    pub(crate) async fn check(&self) -> Result<()> {
        for target in self.targets.iter() {
            let found = describe(&self.instance, target.name()).await?;
            if let Some(problem) = misfit(target, found.as_ref()) {
                return Err(Error::definite(problem));
            }
        }
        Ok(())
    }
}

/// A table as it stands; None: there is none.
pub(crate) async fn describe(instance: &Instance, name: &str) -> Result<Option<TableDescription>> {
    match patiently(|| instance.client().describe_table(name)).await {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.code() == Some(&Code::ObjectNotExist) => Ok(None),
        Err(error) => Err(failure(error)),
    }
}

/// Why rows cannot be written into a table that stands there.
pub(crate) fn misfit(target: &Target, found: Option<&TableDescription>) -> Option<String> {
    let name = target.name();
    let Some(found) = found else {
        return Some(format!("Tablestore table {name} is not there; create it, or add Schema to spec.migrationTypes"));
    };
    let wanted = target.key_columns();
    let shown = |key: &[godwit_tablestore::KeyColumn]| {
        let columns: Vec<String> =
            key.iter().map(|column| format!("{} {:?}", column.name, column.r#type).to_uppercase()).collect();
        columns.join(", ")
    };
    (found.key != wanted).then(|| {
        format!(
            "Tablestore table {name} has the key ({}), and rows will be written by ({}); choose primaryKey and columnTypes like that, or \
             another table with renameTo",
            shown(&found.key),
            shown(&wanted)
        )
    })
}
