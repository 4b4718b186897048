//! The operations: bodies of requests to bodies of answers.

mod batch;
mod range;
mod row;
mod table;

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use crate::faults::FaultKind;
use crate::refusal::{Refusal, invalid, no_table};
use crate::settings::Settings;
use crate::store::Table;
use crate::wire::{Message, Writer};

/// The tables, and what is counted.
#[derive(Default)]
pub(crate) struct Instance {
    pub(crate) tables: BTreeMap<String, Table>,
    /// When tables were last operated on, for the limit of such operations within a second.
    pub(crate) table_operations: VecDeque<Instant>,
}

/// What an operation needs to know besides its request.
pub(crate) struct Context<'a> {
    pub(crate) settings: &'a Settings,
    /// The service's time, in milliseconds since 1970.
    pub(crate) now: i64,
    /// A fault that concerns rows of batches.
    pub(crate) fault: Option<&'a FaultKind>,
}

/// Does one operation.
pub(crate) fn perform(instance: &mut Instance, operation: &str, body: &[u8], context: &Context<'_>) -> Result<Vec<u8>, Refusal> {
    let request = Message::parse(body)?;
    match operation {
        "CreateTable" => table::create(instance, &request, context),
        "DescribeTable" => table::describe(instance, &request, context),
        "ListTable" => table::list(instance, context),
        "UpdateTable" => table::update(instance, &request, context),
        "DeleteTable" => table::delete(instance, &request, context),
        "PutRow" | "UpdateRow" | "DeleteRow" => row::write(instance, operation, &request, context),
        "GetRow" => row::get(instance, &request, context),
        "BatchWriteRow" => batch::write(instance, &request, context),
        "BulkImport" => batch::import(instance, &request, context),
        "BatchGetRow" => batch::get(instance, &request, context),
        "GetRange" => range::get(instance, &request, context),
        "ComputeSplitPointsBySize" => range::split(instance, &request, context),
        other => Err(invalid(format!("Unsupported operation: '{other}'."))),
    }
}

impl Instance {
    /// A table that takes rows.
    fn ready(&mut self, name: &str, context: &Context<'_>) -> Result<&mut Table, Refusal> {
        let table = self.tables.get_mut(name).ok_or_else(no_table)?;
        if table.is_loading(context.settings.loading) {
            return Err(Refusal::new(404, "OTSTableNotReady", "The table is not ready."));
        }
        Ok(table)
    }
}

/// Writes what an operation used, in the field that all answers have it in.
fn consumed(to: &mut Writer, field: u64, read: i64, write: i64) {
    to.message(field, |to| {
        to.message(1, |to| {
            to.number(1, read);
            to.number(2, write);
        });
    });
}
