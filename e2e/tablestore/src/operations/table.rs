//! Tables.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::operations::{Context, Instance};
use crate::refusal::{Refusal, invalid, no_table};
use crate::store::{KeyType, Options, Table, check_name};
use crate::wire::{Message, Writer};

/// Counts an operation on tables against the limit within a second.
fn count(instance: &mut Instance, context: &Context<'_>) -> Result<(), Refusal> {
    let Some(limit) = context.settings.table_operations_per_second else { return Ok(()) };
    let now = Instant::now();
    while instance.table_operations.front().is_some_and(|at| now.duration_since(*at) >= Duration::from_secs(1)) {
        instance.table_operations.pop_front();
    }
    if instance.table_operations.len() as u64 >= u64::from(limit) {
        return Err(Refusal::new(403, "OTSQuotaExhausted", "Too frequent table operations."));
    }
    instance.table_operations.push_back(now);
    Ok(())
}

pub(super) fn create(instance: &mut Instance, request: &Message<'_>, context: &Context<'_>) -> Result<Vec<u8>, Refusal> {
    count(instance, context)?;
    let meta = Message::parse(request.needed(1, "table_meta")?)?;
    let name = meta.needed_text(1, "table_name")?;
    check_name("table name", &name)?;
    let mut key: Vec<(String, KeyType)> = Vec::new();
    for column in meta.all_bytes(2) {
        let column = Message::parse(column)?;
        let name = column.needed_text(1, "name")?;
        check_name("column name", &name)?;
        if column.number(3).is_some() {
            return Err(invalid("This test server numbers no columns by itself."));
        }
        if key.iter().any(|(earlier, _)| *earlier == name) {
            return Err(invalid(format!("Duplicated primary key name: '{name}'.")));
        }
        let kind = match column.needed_number(2, "type")? {
            1 => KeyType::Integer,
            2 => KeyType::String,
            3 => KeyType::Binary,
            _ => return Err(invalid("Invalid type of a primary key column.")),
        };
        key.push((name, kind));
    }
    if key.is_empty() || key.len() > 4 {
        return Err(invalid("The number of primary key columns must be in range: [1, 4]."));
    }
    let throughput = throughput(&Message::parse(request.needed(2, "reserved_throughput")?)?, (0, 0))?;
    let sent = request.message(3)?;
    let given = |field| sent.as_ref().is_some_and(|sent| sent.number(field).is_some());
    if !given(1) {
        return Err(invalid("Time-to-live is missing while creating table."));
    }
    if !given(2) {
        return Err(invalid("MaxVersions is missing while creating table."));
    }
    let options = options(sent, Options::service_default())?;
    if instance.tables.contains_key(&name) {
        return Err(Refusal::new(409, "OTSObjectAlreadyExist", "Requested table already exists."));
    }
    if instance.tables.len() >= context.settings.tables {
        return Err(Refusal::new(403, "OTSQuotaExhausted", "Number of tables exceeded the quota."));
    }
    let now = Instant::now();
    let table =
        Table { key, options, throughput, throughput_since: (context.now / 1000, now), created: now, rows: BTreeMap::new() };
    instance.tables.insert(name, table);
    Ok(Vec::new())
}

fn options(sent: Option<Message<'_>>, mut options: Options) -> Result<Options, Refusal> {
    if let Some(sent) = sent {
        options.time_to_live = sent.number(1).unwrap_or(options.time_to_live);
        options.max_versions = sent.number(2).unwrap_or(options.max_versions);
        options.deviation = sent.number(5).unwrap_or(options.deviation);
        options.allow_update = sent.number(6).map_or(options.allow_update, |allow| allow != 0);
    }
    options.check()?;
    Ok(options)
}

fn throughput(sent: &Message<'_>, before: (i64, i64)) -> Result<(i64, i64), Refusal> {
    let unit = Message::parse(sent.needed(1, "capacity_unit")?)?;
    let unit = (unit.number(1).unwrap_or(before.0), unit.number(2).unwrap_or(before.1));
    if (0..=100_000).contains(&unit.0) && (0..=100_000).contains(&unit.1) {
        Ok(unit)
    } else {
        Err(invalid("Invalid capacity unit."))
    }
}

fn write_state(to: &mut Writer, table: &Table, [details, options, stream]: [u64; 3]) {
    to.message(details, |to| {
        to.message(1, |to| {
            to.number(1, table.throughput.0);
            to.number(2, table.throughput.1);
        });
        to.number(2, table.throughput_since.0);
    });
    to.message(options, |to| {
        to.number(1, table.options.time_to_live);
        to.number(2, table.options.max_versions);
        to.number(5, table.options.deviation);
        to.number(6, i64::from(table.options.allow_update));
    });
    // That there is no stream. The Go SDK takes it for granted that the service says so.
    to.message(stream, |to| to.number(1, 0));
}

pub(super) fn write_schema(to: &mut Writer, field: u64, table: &Table) {
    for (name, kind) in &table.key {
        to.message(field, |to| {
            to.bytes(1, name.as_bytes());
            to.number(2, *kind as i64);
        });
    }
}

pub(super) fn describe(instance: &mut Instance, request: &Message<'_>, context: &Context<'_>) -> Result<Vec<u8>, Refusal> {
    count(instance, context)?;
    let name = request.needed_text(1, "table_name")?;
    check_name("table name", &name)?;
    let table = instance.tables.get(&name).ok_or_else(no_table)?;
    let mut to = Writer::default();
    to.message(1, |to| {
        to.bytes(1, name.as_bytes());
        write_schema(to, 2, table);
    });
    write_state(&mut to, table, [2, 3, 5]);
    // The table's status, which the Go SDK requires: 1 active, 3 being loaded.
    to.number(4, if table.is_loading(context.settings.loading) { 3 } else { 1 });
    Ok(to.finish())
}

pub(super) fn list(instance: &mut Instance, context: &Context<'_>) -> Result<Vec<u8>, Refusal> {
    count(instance, context)?;
    let mut to = Writer::default();
    for name in instance.tables.keys() {
        to.bytes(1, name.as_bytes());
    }
    Ok(to.finish())
}

pub(super) fn update(instance: &mut Instance, request: &Message<'_>, context: &Context<'_>) -> Result<Vec<u8>, Refusal> {
    count(instance, context)?;
    let name = request.needed_text(1, "table_name")?;
    check_name("table name", &name)?;
    let table = instance.tables.get_mut(&name).ok_or_else(no_table)?;
    let sent_throughput = request.message(2)?;
    let sent_options = request.message(3)?;
    if sent_throughput.is_none() && sent_options.is_none() && request.bytes(4).is_none() {
        return Err(invalid("No operation is specified."));
    }
    let options = options(sent_options, table.options.clone())?;
    if let Some(sent) = sent_throughput {
        let wanted = throughput(&sent, table.throughput)?;
        if wanted != table.throughput && table.throughput_since.1.elapsed() < Duration::from_secs(120) {
            let message = "Capacity unit adjustment is too frequent.";
            return Err(Refusal::new(403, "OTSTooFrequentReservedThroughputAdjustment", message));
        }
        table.throughput = wanted;
        table.throughput_since = (context.now / 1000, Instant::now());
    }
    table.options = options;
    let mut to = Writer::default();
    write_state(&mut to, table, [1, 2, 3]);
    Ok(to.finish())
}

pub(super) fn delete(instance: &mut Instance, request: &Message<'_>, context: &Context<'_>) -> Result<Vec<u8>, Refusal> {
    count(instance, context)?;
    let name = request.needed_text(1, "table_name")?;
    check_name("table name", &name)?;
    instance.tables.remove(&name).ok_or_else(no_table)?;
    Ok(Vec::new())
}
