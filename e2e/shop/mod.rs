//! A shop of thirteen tables and a load that writes to it, for the demonstration, the tests and the benchmarks.
//!
//! Every row follows from the seed, its table and its number; what the live load does follows from the seed and the
//! number of its session, as far as sessions do not get into each other's way.

pub mod actions;
pub mod load;
pub mod random;
pub mod rows;
pub mod schema;
pub mod session;
pub mod write;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts, OptsBuilder};

/// Name of the database.
pub const DATABASE: &str = "shop";

/// Anything that went wrong, as a sentence.
pub type Error = Box<dyn std::error::Error + Send + Sync>;
pub type Result<T> = std::result::Result<T, Error>;

/// A connection with settings of its own, whatever the server's defaults are.
pub async fn connect(url: &str) -> std::result::Result<Conn, mysql_async::Error> {
    let options = OptsBuilder::from_opts(Opts::from_url(url)?).prefer_socket(false).tcp_nodelay(true).stmt_cache_size(0);
    let mut conn = Conn::new(options).await?;
    conn.query_drop("SET NAMES utf8mb4").await?;
    conn.query_drop("SET SESSION time_zone='+00:00', sql_mode='STRICT_ALL_TABLES'").await?;
    conn.query_drop("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED").await?;
    Ok(conn)
}
