//! The accounts of a server, as far as they may be seen: a definer that does not exist fails every statement that fires its trigger.

use std::collections::BTreeSet;

use mysql_async::Conn;

use crate::sql::Sql;
use crate::sql::permitted;
use godwit_model::error::Result;

/// Account and host of each. None: the account that asks may not see them.
pub(crate) type Accounts = Option<BTreeSet<(String, String)>>;

/// Reads them.
///
/// # Errors
/// When the connection is lost.
pub(crate) async fn accounts(conn: &mut Conn) -> Result<Accounts> {
    let statement = Sql::new("SELECT CAST(User AS CHAR), CAST(Host AS CHAR) FROM mysql.user");
    Ok(permitted::<(String, String)>(conn, &statement).await?.map(|found| found.into_iter().collect()))
}
