//! One session of the live load: a connection, what it has changed, and what it knows of the shop.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mysql_async::prelude::{FromRow, Queryable};
use mysql_async::{Conn, Error};
use serde::Serialize;

use super::random::Random;
use super::{DATABASE, connect};

/// Changed rows by operation.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Rows {
    pub inserted: u64,
    pub updated: u64,
    pub deleted: u64,
}

impl Rows {
    pub fn total(&self) -> u64 {
        self.inserted + self.updated + self.deleted
    }

    pub fn add(&mut self, other: Self) {
        self.inserted += other.inserted;
        self.updated += other.updated;
        self.deleted += other.deleted;
    }
}

/// What the load has done.
#[derive(Debug, Clone, Copy, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Totals {
    pub transactions: u64,
    pub xa_transactions: u64,
    /// Rows of committed transactions.
    pub rows: Rows,
    pub rolled_back_transactions: u64,
    pub rolled_back_rows: u64,
    /// Transactions that met a duplicate or a missing parent and were given up.
    pub refused: u64,
    /// Deadlocks and lock waits, after which the transaction was tried again.
    pub retried: u64,
    pub reconnected: u64,
    pub seconds: f64,
}

impl Totals {
    pub fn add(&mut self, other: &Self) {
        self.transactions += other.transactions;
        self.xa_transactions += other.xa_transactions;
        self.rows.add(other.rows);
        self.rolled_back_transactions += other.rolled_back_transactions;
        self.rolled_back_rows += other.rolled_back_rows;
        self.refused += other.refused;
        self.retried += other.retried;
        self.reconnected += other.reconnected;
    }
}

/// Largest keys, shared by all sessions.
#[derive(Debug)]
pub struct Shop {
    pub customers: AtomicU64,
    pub orders: AtomicU64,
    pub addresses: u64,
    pub categories: u64,
    pub products: u64,
    pub images: u64,
    pub inventory: u64,
    pub vouchers: u64,
}

impl Shop {
    /// Asks the source.
    pub async fn read(conn: &mut Conn) -> Result<Self, Error> {
        let mut keys = Vec::new();
        for sql in [
            "SELECT MAX(id) FROM customers",
            "SELECT MAX(id) FROM orders",
            "SELECT MAX(id) FROM addresses WHERE id < 1000000000000",
            "SELECT MAX(id) FROM categories",
            "SELECT MAX(id) FROM products",
            "SELECT MAX(product_id) FROM product_images",
            "SELECT COUNT(*) FROM inventory",
            "SELECT COUNT(*) FROM vouchers",
        ] {
            let key: Option<Option<u64>> = conn.query_first(sql).await?;
            keys.push(key.flatten().unwrap_or(1));
        }
        Ok(Self {
            customers: AtomicU64::new(keys[0]),
            orders: AtomicU64::new(keys[1]),
            addresses: keys[2],
            categories: keys[3],
            products: keys[4],
            images: keys[5],
            inventory: keys[6],
            vouchers: keys[7],
        })
    }
}

/// A session and the transaction it is in.
pub struct Session<'a> {
    conn: Conn,
    url: &'a str,
    pub shop: &'a Shop,
    pub random: Random,
    /// Rows of the transaction at hand.
    pub pending: Rows,
    pub totals: Totals,
}

/// How long a server may be away.
const AWAY_AT_MOST: Duration = Duration::from_secs(120);

impl<'a> Session<'a> {
    pub async fn open(url: &'a str, shop: &'a Shop, random: Random) -> Result<Self, Error> {
        let conn = connect_to_shop(url).await?;
        Ok(Self { conn, url, shop, random, pending: Rows::default(), totals: Totals::default() })
    }

    /// After a lost connection; the server may be away for a while.
    pub async fn reopen(&mut self) -> Result<(), Error> {
        let since = std::time::Instant::now();
        loop {
            match connect_to_shop(self.url).await {
                Ok(conn) => {
                    self.conn = conn;
                    self.totals.reconnected += 1;
                    return Ok(());
                }
                Err(error) if since.elapsed() > AWAY_AT_MOST => return Err(error),
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
    }

    /// A statement that changes no rows.
    pub async fn run(&mut self, sql: &str) -> Result<(), Error> {
        self.conn.query_drop(sql).await
    }

    pub async fn insert(&mut self, sql: &str) -> Result<u64, Error> {
        self.conn.query_drop(sql).await?;
        self.pending.inserted += self.conn.affected_rows();
        Ok(self.conn.last_insert_id().unwrap_or_default())
    }

    pub async fn update(&mut self, sql: &str) -> Result<u64, Error> {
        self.conn.query_drop(sql).await?;
        self.pending.updated += self.conn.affected_rows();
        Ok(self.conn.affected_rows())
    }

    pub async fn delete(&mut self, sql: &str) -> Result<u64, Error> {
        self.conn.query_drop(sql).await?;
        self.pending.deleted += self.conn.affected_rows();
        Ok(self.conn.affected_rows())
    }

    pub async fn read<T: FromRow + Send + 'static>(&mut self, sql: &str) -> Result<Vec<T>, Error> {
        self.conn.query(sql).await
    }

    pub fn customer(&mut self) -> u64 {
        let last = self.shop.customers.load(Ordering::Relaxed);
        self.random.between(1, last)
    }

    pub fn order(&mut self) -> u64 {
        let last = self.shop.orders.load(Ordering::Relaxed);
        // People work on what is new: half of the time one of the last orders.
        let first = if self.random.chance(50) { last.saturating_sub(500).max(1) } else { 1 };
        self.random.between(first, last)
    }

    pub fn product(&mut self) -> u64 {
        self.random.between(1, self.shop.products)
    }
}

async fn connect_to_shop(url: &str) -> Result<Conn, Error> {
    let mut conn = connect(url).await?;
    conn.query_drop(format!("USE {DATABASE}")).await?;
    conn.query_drop("SET SESSION innodb_lock_wait_timeout=5").await?;
    Ok(conn)
}
