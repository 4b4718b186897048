//! Sessions that make programs: each program in the session that made it at the source.

use mysql_async::Conn;

use crate::connection::{Connector, Role, server_info};
use crate::dump::Dump;
use crate::plan::programs::make::ProgramStatement;
use crate::schema::view_session::encode;
use crate::sql;
use crate::sql::{Name, Qualified, Quoted, Sql};
use godwit_model::error::{Class, Error, Result};
use godwit_model::names::TableName;
use godwit_model::program::{ProgramKind, ProgramName};
use godwit_model::words::word;

/// Two connections: one that takes a single statement in any character set, and one that puts texts into that.
pub(crate) struct DefiningSession {
    one: Dump,
    pub(crate) conn: Conn,
}

/// Seconds that a statement waits for a table: below the time after which a connection that says nothing is dead.
const WAITS: u32 = 20;

impl DefiningSession {
    /// Connects.
    ///
    /// # Errors
    /// As every connection.
    pub(crate) async fn open(destination: &Connector) -> Result<Self> {
        let mut conn = destination.connect(Role::Metadata).await?;
        let info = server_info(&mut conn).await?;
        let mut one = destination.dump(&info).await?;
        one.execute(sql!("SET SESSION lock_wait_timeout={}", WAITS)).await?;
        Ok(Self { one, conn })
    }

    /// Makes a program.
    ///
    /// # Errors
    /// Definite: the server, or the character set of the program's client, does not take it. Others pass by themselves.
    pub(crate) async fn make(&mut self, statement: &ProgramStatement) -> Result<()> {
        let client = word(&statement.client.character_set_client, "a character set")?;
        let collation = word(&statement.client.collation_connection, "a collation")?;
        let text = encode(&mut self.conn, statement.program.as_str(), client).await?;
        let zone = if statement.time_zone.is_empty() { "+00:00" } else { statement.time_zone.as_str() };
        let mut modes = Sql::default();
        for (place, mode) in statement.modes.iter().enumerate() {
            modes.push(if place == 0 { "" } else { "," });
            modes.push(mode);
        }
        // Names first: they are UTF-8, and the client of the program may not be.
        self.one.execute("SET NAMES utf8mb4").await?;
        self.one.execute(sql!("USE {}", Name(&statement.name.database))).await?;
        self.one
            .execute(sql!(
                "SET SESSION time_zone={}, sql_mode='{}', character_set_client={}, collation_connection={}",
                Quoted(zone),
                modes,
                client,
                collation
            ))
            .await?;
        Ok(self.one.define(&statement.program.encoded(text)).await?)
    }

    /// Keeps everybody from writing into a table while its triggers are made anew. False: the account may not.
    ///
    /// # Errors
    /// What passes by itself.
    pub(crate) async fn lock(&mut self, table: &TableName) -> Result<bool> {
        self.one.execute("SET NAMES utf8mb4").await?;
        match self.one.execute(sql!("LOCK TABLES {} WRITE", table)).await.map_err(Error::from) {
            Ok(()) => Ok(true),
            Err(error) if error.class() == Class::Definite => Ok(false),
            Err(error) => Err(error.context(format!("locking {table}"))),
        }
    }

    /// Lets the table go.
    ///
    /// # Errors
    /// A lost connection, which lets it go too.
    pub(crate) async fn unlock(&mut self) -> Result<()> {
        Ok(self.one.execute("UNLOCK TABLES").await?)
    }

    /// Drops a trigger, within the lock of its table.
    ///
    /// # Errors
    /// The server's.
    pub(crate) async fn drop_trigger(&mut self, trigger: &TableName) -> Result<()> {
        self.one.execute("SET NAMES utf8mb4").await?;
        Ok(self.one.execute(sql!("DROP TRIGGER IF EXISTS {}", trigger)).await?)
    }

    /// Keeps the session's statements out of the destination's binary log, where the account may do that.
    ///
    /// # Errors
    /// What passes by itself.
    pub(crate) async fn not_logged(&mut self) -> Result<()> {
        match self.one.execute("SET SESSION sql_log_bin = 0").await {
            Ok(()) | Err(crate::sql::Failure::Server(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Drops a function or a procedure; other programs go with their tables and databases.
    ///
    /// # Errors
    /// The server's.
    pub(crate) async fn drop_routine(&mut self, name: &ProgramName) -> Result<()> {
        let object = Qualified { database: &name.database, object: &name.name };
        let statement = match name.kind {
            ProgramKind::Function => sql!("DROP FUNCTION IF EXISTS {}", object),
            ProgramKind::Procedure => sql!("DROP PROCEDURE IF EXISTS {}", object),
            ProgramKind::Trigger | ProgramKind::Event => return Ok(()),
        };
        self.one.execute("SET NAMES utf8mb4").await?;
        Ok(self.one.execute(statement).await?)
    }

    /// Ends both.
    pub(crate) async fn close(self) {
        self.one.close().await;
        let _ = self.conn.disconnect().await;
    }
}
