//! Tables that cannot be cut along a key: copied from one snapshot whose place in the log is exact.
//!
//! Runs before the log is followed. A snapshot is exact when no event of the table lies between a position that
//! is certainly visible in it and the log's end after it was opened; otherwise it is opened again. The place is
//! recorded with the table's last rows (`valid_from`): changes that it covers are in the rows already. A restart in
//! the middle of a table empties the table at the destination and begins it anew.

use std::sync::Arc;
use std::time::Duration;

use mysql_async::Conn;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use super::CopyContext;
use super::touched::Touched;
use crate::checkpoint::TableStage;
use crate::connection::Role;
use crate::destination::{ChunkSink, Done, Existing};
use crate::group::Group;
use crate::plan::TablePlan;
use crate::progress::TableState;
use crate::rows::{RowReader, SelectOptions, Side, select_statement};
use crate::sizing::CHUNK_BYTES;
use crate::source::visibility::{self, Visibility};
use crate::sql;
use crate::sql::{Queries, Sql};
use crate::stall::Watch;
use godwit_model::error::{Context, Error, Result};
use godwit_model::names::TableName;
use godwit_model::position::{GtidPosition, Position};
use godwit_model::row::Row;

/// The limits on reading are asked after so many rows, or so many bytes of them.
const PAY_ROWS: u64 = 100;
const PAY_BYTES: u64 = 64 << 10;

/// A busy table is tried this often without a lock.
const TRIES: u32 = 60;

/// Copies the tables, several at once; each with what the record says of it.
///
/// # Errors
/// The first error of any of them; finished tables stay.
pub(crate) async fn run(
    context: &CopyContext,
    tables: Vec<(Arc<TablePlan>, TableStage)>,
    server_id: u32,
    cancel: &CancellationToken,
) -> Result<()> {
    let mut queue = tables;
    queue.reverse();
    let workers_wanted = context.readers.max(1).min(queue.len() as u32);
    let touched = Arc::new(Touched::new(&context.source, &context.source_info, &context.plan, server_id.wrapping_add(1)));
    let queue = Arc::new(Mutex::new(queue));
    let mut workers = Group::new("a copy worker", cancel);
    for number in 0..workers_wanted {
        let (context, queue, stop) = (context.clone(), Arc::clone(&queue), workers.stop());
        let touched = Arc::clone(&touched);
        workers.spawn(async move {
            let mut sink = context.destination.chunks(context.claim, number).await?;
            loop {
                let Some((table, stage)) = queue.lock().await.pop() else { return Ok(()) };
                let copied = copy(&context, &table, stage, &mut *sink, &touched);
                tokio::select! {
                    copied = copied => copied.context(format!("copying {}", table.source))?,
                    () = stop.cancelled() => return Ok(()),
                }
            }
        });
    }
    let finished = workers.finish().await;
    touched.close().await;
    finished.map(drop)
}

async fn copy(
    context: &CopyContext,
    table: &Arc<TablePlan>,
    stage: TableStage,
    sink: &mut dyn ChunkSink,
    touched: &Touched,
) -> Result<()> {
    context.progress.table_state(table.id, TableState::Copying);
    clear(context, table, sink, stage).await?;
    let mut conn = context.source.connect(Role::Read).await?;
    let valid_from = match context.follows {
        true => {
            let place = open_snapshot(context, table, &mut conn, touched).await?;
            Some(Position { server: Some(Arc::clone(&context.source_identity)), ..place })
        }
        false => {
            conn.query_drop("START TRANSACTION WITH CONSISTENT SNAPSHOT").await?;
            None
        }
    };
    let existing = if table.has_key() { Existing::Replaced } else { Existing::Refused };
    let statement = select_statement(
        table,
        Side::Source,
        &Sql::default(),
        SelectOptions { force_index: false, ordered: false, json_types: true },
    );
    let (mut total_rows, mut total_bytes) = (0u64, 0u64);
    let mut rows: Vec<Row> = Vec::new();
    let mut bytes = 0u64;
    context.live.query().await;
    let mut unpaid = (0u64, 0u64);
    let watch = Watch::new(&context.source, &conn);
    let mut reader = watch.over(RowReader::start(&mut conn, &statement, table)).await?;
    while let Some(row) = watch.over(reader.next()).await? {
        let row_bytes = row.size() as u64;
        bytes += row_bytes;
        unpaid = (unpaid.0 + 1, unpaid.1 + row_bytes);
        rows.push(row);
        if unpaid.0 >= PAY_ROWS || unpaid.1 >= PAY_BYTES {
            context.live.copied(unpaid.0, unpaid.1).await;
            unpaid = (0, 0);
        }
        if bytes >= CHUNK_BYTES {
            let count = rows.len() as u64;
            sink.write(table, &Arc::new(std::mem::take(&mut rows)), existing, None).await?;
            context.progress.add_copied(table.id, count, bytes);
            total_rows += count;
            total_bytes += bytes;
            bytes = 0;
        }
    }
    drop(reader);
    let count = rows.len() as u64;
    total_rows += count;
    total_bytes += bytes;
    let done = Done::Snapshot { rows: total_rows, bytes: total_bytes, valid_from: valid_from.as_ref() };
    sink.write(table, &Arc::new(rows), existing, Some(done)).await?;
    context.progress.add_copied(table.id, count, bytes);
    // Its indexes come when the others are copied, too.
    let is_done = table.definition.indexes.iter().all(|index| Some(&index.name) == table.key_index.as_ref());
    context.progress.table_state(table.id, if is_done { TableState::Done } else { TableState::Indexing });
    let _ = conn.query_drop("ROLLBACK").await;
    let _ = conn.disconnect().await;
    Ok(())
}

/// Rows that an earlier, interrupted run has written go. That they are its own is recorded before the first is written:
/// a table must be empty then, whatever `conflictPolicy` says of rows that can be told from the source's.
async fn clear(context: &CopyContext, table: &Arc<TablePlan>, sink: &mut dyn ChunkSink, stage: TableStage) -> Result<()> {
    if !sink.is_empty(table).await? {
        if stage < TableStage::Copying {
            return Err(Error::definite(format!(
                "{}: the destination table holds rows that this task has not written, and {} is copied from one snapshot (it has no key \
                 that rows could be told apart by, or foreign keys move its rows without a trace in the source's log); empty the \
                 destination table or leave this table out",
                table.destination, table.source
            )));
        }
        sink.empty(table).await?;
    }
    if stage < TableStage::Copying {
        context.records.set_table_stage(context.claim, &table.definition, TableStage::Copying).await?;
    }
    Ok(())
}

/// Opens a snapshot in `conn` and says from which place in the log on changes are not in it.
async fn open_snapshot(context: &CopyContext, table: &TablePlan, conn: &mut Conn, touched: &Touched) -> Result<Position> {
    match context.visibility {
        Visibility::ExactSnapshot => visibility::open_exact_snapshot(conn).await,
        Visibility::LockingReads => open_locked(context, table, conn).await,
        Visibility::GtidExecuted => {
            let above = context.cascades.above(table.id);
            for attempt in 0..TRIES {
                let gtid = visibility::gtid_executed(conn).await?;
                conn.query_drop("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY").await?;
                let end = visibility::log_end(conn, &context.source_info).await?;
                let from = Position::named(gtid);
                if !touched.since(&[table.id], &above, &from, &end).await? {
                    return Ok(from);
                }
                conn.query_drop("ROLLBACK").await?;
                tokio::time::sleep(Duration::from_millis(u64::from(attempt % 7) * 3)).await;
            }
            open_locked(context, table, conn).await
        }
    }
}

/// The table is locked for writers while the snapshot is opened, and so is every table whose changes foreign keys carry into it
/// without a trace in the log: nothing of them is under way then.
async fn open_locked(context: &CopyContext, table: &TablePlan, conn: &mut Conn) -> Result<Position> {
    let above = context.cascades.above(table.id).into_iter().filter_map(|id| context.plan.tables.get(id as usize));
    let mut names: Vec<&TableName> = above.map(|parent| &parent.source).collect();
    names.extend(context.cascades.strangers_above(table.id));
    names.push(&table.source);
    let mut locker = context.source.connect(Role::Read).await?;
    let locks = Sql::list(names.iter().map(|name| sql!("{} READ", *name)));
    let shown: Vec<String> = names.iter().map(|name| name.quoted()).collect();
    locker.query_drop(sql!("LOCK TABLES {}", locks)).await.context(format_args!(
        "opening an exact snapshot of a busy table without a usable key needs LOCK TABLES on it and on the tables whose foreign keys \
         change it (GRANT SELECT, LOCK TABLES ON their databases TO the source account): {}",
        shown.join(", ")
    ))?;
    conn.query_drop("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY").await?;
    let gtid = match context.visibility {
        Visibility::GtidExecuted => visibility::gtid_executed(conn).await?,
        _ => GtidPosition::None,
    };
    let (file, offset) = visibility::log_end(&mut locker, &context.source_info).await?;
    locker.query_drop("UNLOCK TABLES").await?;
    let _ = locker.disconnect().await;
    Ok(Position { gtid, ..Position::at(file, offset) })
}
