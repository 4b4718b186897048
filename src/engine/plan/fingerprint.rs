//! What may not change once a task has started: position and progress at the destination mean something only together with it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128;

use crate::api::MigrationTaskSpec;
use crate::engine::error::{Error, Result};

/// One digest per field, so that a comparison can name the field. Kept as JSON among the engine's records.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fingerprint(BTreeMap<String, String>);

impl Fingerprint {
    /// Takes the fingerprint. Addresses are not in it: after a failover the same data stands elsewhere.
    ///
    /// # Errors
    /// When a field cannot be written as JSON, which does not happen with a manifest that was read.
    pub fn of(spec: &MigrationTaskSpec) -> Result<Self> {
        let mut types = spec.migration_types.clone();
        types.sort();
        let mut digests = BTreeMap::new();
        let mut add = |field: &str, value: serde_json::Result<Vec<u8>>| -> Result<()> {
            let bytes = value.map_err(|e| Error::definite(format!("spec.{field} cannot be written as JSON: {e}")))?;
            digests.insert(field.to_owned(), format!("{:032x}", xxh3_128(&bytes)));
            Ok(())
        };
        add("objects", serde_json::to_vec(&spec.objects))?;
        add("excludeDatabases", serde_json::to_vec(&spec.exclude_databases))?;
        add("migrationTypes", serde_json::to_vec(&types))?;
        add("nameCase", serde_json::to_vec(&spec.name_case))?;
        add("dml", serde_json::to_vec(&spec.dml))?;
        add("ddl", serde_json::to_vec(&spec.ddl))?;
        add("floatPrecision", serde_json::to_vec(&spec.float_precision))?;
        Ok(Self(digests))
    }

    /// What `now` changed since `self` was taken, as one sentence; None: nothing. A field that one of them does not know counts
    /// as unchanged: it came with another version of Godwit.
    pub fn changed(&self, now: &Self) -> Option<String> {
        let differs = |field: &&String| now.0.get(*field).is_some_and(|digest| Some(digest) != self.0.get(*field));
        let fields: Vec<String> = self.0.keys().filter(differs).map(|field| format!("spec.{field}")).collect();
        (!fields.is_empty()).then(|| {
            format!(
                "{} changed since this task was started; put it back, or stop this task and start a new one with another name",
                fields.join(", ")
            )
        })
    }
}
