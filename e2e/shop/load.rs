//! Fills a fresh shop: multi-row inserts from several connections, some thousand rows a transaction.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use serde::Serialize;

use super::rows::{self, Sizes};
use super::schema::{Flavour, TABLES, statements};
use super::{DATABASE, Result, connect};

/// Connections that insert.
const SESSIONS: usize = 4;

/// Rows of a transaction; of one statement at most, and its bytes.
const ROWS_PER_TRANSACTION: u64 = 5000;
const ROWS_PER_STATEMENT: u64 = 1000;
const BYTES_PER_STATEMENT: usize = 512 << 10;

/// What to load.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    pub rows: u64,
    pub seed: u64,
    /// Only character sets and collations that every flavour has.
    pub portable: bool,
}

/// What was loaded.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Loaded {
    pub tables: usize,
    pub rows: u64,
    pub seconds: f64,
}

/// Creates the database, which must not be there, and fills it.
pub async fn load(url: &str, options: Options) -> Result<Loaded> {
    let started = Instant::now();
    let mut conn = connect(url).await?;
    let version: Option<String> = conn.query_first("SELECT VERSION()").await?;
    let flavour = Flavour::of(version.as_deref().unwrap_or_default());
    for statement in statements(flavour, options.portable) {
        conn.query_drop(&statement).await.map_err(|error| format!("{statement}: {error}"))?;
    }
    conn.disconnect().await?;
    let sizes = Sizes::of(options.rows);
    let mut jobs = Vec::new();
    for (table, _) in TABLES {
        let count = sizes.of_table(table);
        jobs.extend((1..=count).step_by(ROWS_PER_TRANSACTION as usize).map(|first| {
            let last = count.min(first + ROWS_PER_TRANSACTION - 1);
            (table, first, last)
        }));
    }
    let (jobs, next) = (Arc::new(jobs), Arc::new(AtomicUsize::new(0)));
    let mut sessions = tokio::task::JoinSet::new();
    for _ in 0..SESSIONS {
        let (jobs, next, url) = (Arc::clone(&jobs), Arc::clone(&next), url.to_owned());
        sessions.spawn(async move {
            let mut conn = connect(&url).await?;
            // Rows of several tables at once: a child may be there before its parent.
            conn.query_drop(format!("USE {DATABASE}")).await?;
            conn.query_drop("SET SESSION foreign_key_checks=0, unique_checks=0").await?;
            while let Some((table, first, last)) = jobs.get(next.fetch_add(1, Ordering::SeqCst)) {
                insert(&mut conn, table, *first, *last, options.seed, &sizes).await?;
            }
            conn.disconnect().await?;
            Result::Ok(())
        });
    }
    while let Some(ended) = sessions.join_next().await {
        ended??;
    }
    let total = TABLES.iter().map(|(table, _)| sizes.of_table(table)).sum();
    Ok(Loaded { tables: TABLES.len(), rows: total, seconds: started.elapsed().as_secs_f64() })
}

/// Rows `first` to `last` of a table, in one transaction.
async fn insert(conn: &mut Conn, table: &str, first: u64, last: u64, seed: u64, sizes: &Sizes) -> Result<()> {
    conn.query_drop("BEGIN").await?;
    let head = format!("INSERT INTO {table} {} VALUES ", rows::columns(table));
    let mut sql = head.clone();
    let mut count = 0;
    for number in first..=last {
        sql.push_str(if count == 0 { "(" } else { ",(" });
        rows::row(table, seed, number, sizes, &mut sql);
        sql.push(')');
        count += 1;
        if count == ROWS_PER_STATEMENT || sql.len() > BYTES_PER_STATEMENT || number == last {
            conn.query_drop(sql.as_str()).await.map_err(|error| format!("filling {table}: {error}"))?;
            sql.clone_from(&head);
            count = 0;
        }
    }
    conn.query_drop("COMMIT").await?;
    Ok(())
}
