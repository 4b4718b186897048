//! Where the source's log stood, for the report.

use mysql_async::{Row, Value};

use crate::connection::{Connector, Role, is_access_denied, server_info};
use crate::sql::Queries;
use godwit_api::status::Position;
use godwit_model::error::Result;

/// The source's position: GTID set first, then file and offset. None when the account may not see it or
/// there is no binary log.
///
/// # Errors
/// When the source cannot be reached.
pub(super) async fn read(source: &Connector) -> Result<Option<Position>> {
    let mut conn = source.connect(Role::Metadata).await?;
    let info = server_info(&mut conn).await?;
    let gtid = if info.is_mariadb() { "SELECT @@GLOBAL.gtid_binlog_pos" } else { "SELECT @@GLOBAL.gtid_executed" };
    let gtid_set: Option<Option<String>> = conn.query_first(gtid).await?;
    let gtid_set = gtid_set.flatten().map(|set| set.replace('\n', "")).filter(|set| !set.is_empty());
    let status: Option<Row> = match conn.query_first(info.log_status_statement()).await {
        Ok(status) => status,
        Err(error) if is_access_denied(&error) => None,
        Err(error) => return Err(error.into()),
    };
    let _ = conn.disconnect().await;
    let (mut file, mut offset) = (None, None);
    if let Some(status) = status {
        if let Some(Value::Bytes(name)) = status.as_ref(0) {
            file = Some(String::from_utf8_lossy(name).into_owned());
        }
        offset = match status.as_ref(1) {
            Some(Value::Bytes(digits)) => String::from_utf8_lossy(digits).parse().ok(),
            Some(Value::Int(number)) => u64::try_from(*number).ok(),
            Some(Value::UInt(number)) => Some(*number),
            _ => None,
        };
    }
    let position = Position { gtid_set, file, offset };
    Ok((position != Position::default()).then_some(position))
}
