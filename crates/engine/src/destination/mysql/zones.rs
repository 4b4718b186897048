//! Stored values that depend on the time zone in which a row is written (`plan/zoned.rs`).
//!
//! Rows are written in UTC, like everything else. Then, in the same transaction, what the destination computed is read; rows with another
//! value than the source's are written to themselves in sessions of other zones until the value is the source's. Their TIMESTAMPs stay what
//! they are, to the second, also in an hour that a zone has twice (seen on 5.7, 8.0 and 9.7). Zones that helped are tried first; one that
//! helped a row is tried on all that wait.

use std::collections::{HashMap, HashSet};

use mysql_async::Conn;

use crate::connection::is_access_denied;
use crate::plan::TablePlan;
use crate::rows::{CONDITION_BYTES, RowReader, Side, batches, keys_condition};
use crate::sql;
use crate::sql::{Failure, Name, Queries, Quoted, Sql};
use crate::value::read::select_expression;
use godwit_model::definition::Kind;
use godwit_model::error::{Error, Result};
use godwit_model::row::Row;

/// Keys of one statement.
const KEYS: usize = 1000;

/// Offsets of today's zones that are not whole hours.
const ODD_OFFSETS: [&str; 13] = [
    "+05:30", "+09:30", "+03:30", "-03:30", "+04:30", "+05:45", "+06:30", "+10:30", "-09:30", "+08:45", "+12:45", "-02:30",
    "+13:45",
];

/// ER_UNKNOWN_TIME_ZONE.
const UNKNOWN_ZONE: u16 = 1298;

/// The zones that a session at the destination may write in.
#[derive(Default)]
pub(crate) struct Zones {
    /// Those that helped, the last one first.
    helped: Vec<String>,
    /// Names that the destination knows; asked for when no offset helps.
    named: Option<Vec<String>>,
    /// Tables with a row that no zone helped, which is left as it is.
    left: HashSet<u32>,
}

impl Zones {
    /// Sees to it that rows that were just written have the source's values. `leave`: those that cannot are left as they are.
    ///
    /// # Errors
    /// The server's; definite for a row that has the source's value in no zone.
    pub(crate) async fn settle(
        &mut self,
        conn: &mut Conn,
        table: &TablePlan,
        wanted: &HashMap<Row, Row>,
        leave: bool,
    ) -> Result<()> {
        let all: Vec<Row> = wanted.keys().cloned().collect();
        let mut keys = match differing(conn, table, &all, wanted).await {
            // A table that was there before the task need not have the column.
            Err(error) if error.is_unknown_column() => return Ok(()),
            keys => keys?,
        };
        while let Some((first, others)) = keys.split_first() {
            match self.find(conn, table, first, wanted).await? {
                Some(zone) => {
                    write_in(conn, table, others, &zone).await?;
                    keys = differing(conn, table, others, wanted).await?;
                    self.helped.retain(|other| *other != zone);
                    self.helped.insert(0, zone);
                }
                None if leave => {
                    write_in(conn, table, std::slice::from_ref(first), "+00:00").await?;
                    tracing::warn!(table = %table.source, "a stored generated value is another at the destination: no time zone gives the source's");
                    self.left.insert(table.id);
                    keys = others.to_vec();
                }
                None => return Err(in_no_zone(table, first)),
            }
        }
        Ok(())
    }

    /// A zone in which the row has the source's value; it was written in it.
    async fn find(
        &mut self,
        conn: &mut Conn,
        table: &TablePlan,
        key: &Row,
        wanted: &HashMap<Row, Row>,
    ) -> Result<Option<String>> {
        let one = std::slice::from_ref(key);
        let mut tried = Vec::new();
        let hours = (1..=14).flat_map(|hour| [format!("+{hour:02}:00"), format!("-{hour:02}:00")]);
        let odd = ODD_OFFSETS.iter().map(|offset| (*offset).to_owned());
        let mut zones: Vec<String> = self.helped.iter().cloned().chain(hours).chain(odd).collect();
        let mut names_are_tried = self.left.contains(&table.id);
        loop {
            for zone in zones.drain(..) {
                if tried.contains(&zone) {
                    continue;
                }
                if write_in(conn, table, one, &zone).await? && differing(conn, table, one, wanted).await?.is_empty() {
                    return Ok(Some(zone));
                }
                tried.push(zone);
            }
            if names_are_tried {
                return Ok(None);
            }
            names_are_tried = true;
            zones = self.named(conn).await?;
        }
    }

    /// Two TIMESTAMPs of one row, one in summer and one in winter, have no offset together.
    async fn named(&mut self, conn: &mut Conn) -> Result<Vec<String>> {
        if let Some(names) = &self.named {
            return Ok(names.clone());
        }
        let names: Vec<String> = match conn.query("SELECT Name FROM mysql.time_zone_name WHERE Name NOT LIKE 'right/%'").await {
            Err(error) if is_access_denied(&error) => Vec::new(),
            names => names?,
        };
        self.named = Some(names.clone());
        Ok(names)
    }
}

/// What the source has of the rows: by key the values that depend on a zone.
pub(crate) fn wanted<'a>(table: &TablePlan, rows: impl IntoIterator<Item = &'a Row>) -> HashMap<Row, Row> {
    rows.into_iter().map(|row| (row.project(&table.key), row.project(&table.zoned))).collect()
}

/// The rows whose values at the destination are not the source's.
async fn differing(conn: &mut Conn, table: &TablePlan, keys: &[Row], wanted: &HashMap<Row, Row>) -> Result<Vec<Row>> {
    let places: Vec<usize> = table.key.iter().chain(&table.zoned).copied().collect();
    let columns = places.iter().filter_map(|&place| table.columns.get(place));
    let mut head = Sql::new("SELECT ");
    head.add_list(columns.map(|column| select_expression(&column.destination_name, &column.column.kind)));
    head.add(&sql!(" FROM {} WHERE ", table.destination));
    let (of_key, of_value): (Vec<usize>, Vec<usize>) = (0..places.len()).partition(|place| *place < table.key.len());
    let mut differing = Vec::new();
    for batch in batches(table, &table.key, keys, KEYS, CONDITION_BYTES) {
        let mut statement = head.clone();
        statement.add(&keys_condition(table, Side::Destination, batch));
        let result = conn.exec_rows(&statement).await?;
        let mut reader = RowReader::over(result, table, places.clone());
        while let Some(row) = reader.next().await? {
            let key = row.project(&of_key);
            if wanted.get(&key).is_some_and(|wanted| *wanted != row.project(&of_value)) {
                differing.push(key);
            }
        }
    }
    Ok(differing)
}

/// Writes rows to themselves in a zone; false when the server does not know it.
async fn write_in(conn: &mut Conn, table: &TablePlan, keys: &[Row], zone: &str) -> Result<bool> {
    match conn.query_drop(sql!("SET SESSION time_zone={}", Quoted(zone))).await {
        Err(Failure::Server(error)) if error.code == UNKNOWN_ZONE => return Ok(false),
        other => other?,
    }
    let mut written = Ok(());
    for batch in batches(table, &table.key, keys, KEYS, CONDITION_BYTES) {
        let mut statement = sql!("UPDATE {} SET {} WHERE ", table.destination, same_values(table));
        statement.add(&keys_condition(table, Side::Destination, batch));
        written = conn.query_drop(statement).await;
        if written.is_err() {
            break;
        }
    }
    // Whatever happened: the session may be used again after a lock conflict, and TIMESTAMPs travel in UTC.
    conn.query_drop("SET SESSION time_zone='+00:00'").await?;
    written?;
    Ok(true)
}

/// `a=a,…`: the key, what an expression may make a time of, and all that would set itself to now.
fn same_values(table: &TablePlan) -> Sql {
    let is_set = |place: usize, kind: &Kind| {
        let is_number = matches!(kind, Kind::Int { .. } | Kind::BigInt { .. } | Kind::Decimal { .. });
        table.key.contains(&place) || is_number || matches!(kind, Kind::Timestamp { .. } | Kind::DateTime { .. })
    };
    let columns = table.columns.iter().enumerate().filter(|(place, column)| column.write && is_set(*place, &column.column.kind));
    Sql::list(columns.map(|(_, column)| sql!("{}={}", Name(&column.destination_name), Name(&column.destination_name))))
}

fn in_no_zone(table: &TablePlan, key: &Row) -> Error {
    let names: Vec<&str> = table.zoned.iter().filter_map(|&place| Some(table.columns.get(place)?.column.name.as_str())).collect();
    let names = names.join(", ");
    Error::definite(table.describe_key(key).map(|key| {
        format!(
            "{} key {key}: the destination computes {names} as the source has it in no time zone. Write the row anew at the source (UPDATE with \
             the values it has), which computes it there, or ignore the precheck item GeneratedColumns to leave such values as the destination \
             computes them",
            table.source
        )
    }))
}
