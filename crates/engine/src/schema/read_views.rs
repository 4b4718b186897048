//! Views, read from a server.

use mysql_async::Conn;

use crate::schema::ObjectFailure;
use crate::schema::read::{ObjectKind, bytes_at, list_tables, prepare_session};
use crate::schema::view_session::{ViewSession, decode_view};
use crate::sql;
use crate::sql::{Qualified, Queries};
use godwit_model::error::{Context, Error, Result};
use godwit_model::names::TableName;

/// A view as the server shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViewDefinition {
    pub name: TableName,
    /// `SHOW CREATE VIEW`, all names qualified.
    pub create_statement: String,
    pub session: ViewSession,
}

/// The views of a database, by name, and those that the server itself cannot show.
///
/// # Errors
/// From the server.
pub async fn read_views(conn: &mut Conn, database: &str) -> Result<(Vec<ViewDefinition>, Vec<ObjectFailure>)> {
    prepare_session(conn).await?;
    // Names are printed without the database when it is the session's own.
    let current: Option<Option<String>> = conn.query_first("SELECT DATABASE()").await?;
    if current.flatten().is_some() {
        conn.query_drop("USE information_schema").await?;
    }
    let mut views = Vec::new();
    let mut failures = Vec::new();
    for listed in list_tables(conn, database).await?.into_iter().filter(|table| table.kind == ObjectKind::View) {
        let name = TableName { database: database.to_owned(), table: listed.name };
        let statement = sql!("SHOW CREATE VIEW {}", Qualified { database: &name.database, object: &name.table });
        let row: Option<mysql_async::Row> = match conn.query_first(&statement).await {
            Ok(row) => row,
            Err(crate::sql::Failure::Server(error)) => {
                failures.push(ObjectFailure { object: name, statement: statement.to_string(), error: error.to_string() });
                continue;
            }
            Err(error) => return Err(Error::from(error)).context(statement),
        };
        let Some(row) = row else { continue };
        let bytes = |place: usize| bytes_at(&row, place).unwrap_or_default();
        let text = |place: usize| String::from_utf8_lossy(&bytes(place)).into_owned();
        let session = ViewSession { character_set_client: text(2), collation_connection: text(3) };
        match decode_view(conn, &bytes(1), &session).await? {
            Ok(create_statement) => views.push(ViewDefinition { name, create_statement, session }),
            Err(error) => failures.push(ObjectFailure { object: name, statement: statement.to_string(), error }),
        }
    }
    Ok((views, failures))
}
