//! A server, or what stands before it, that takes a statement and then says nothing more.
//!
//! A host that is gone is noticed by TCP's keep-alive; a peer that is alive and silent is not. How long a statement may take nobody knows, an
//! index takes hours, but its server knows whether it works on it. So after a silence the server is asked on another connection: a session
//! that it does not have any more, or that waits for a statement, has answered, and the answer did not arrive. The connection is given up then
//! and the work is done again, as after any lost connection. A session that works is waited for without end.
//!
//! Behind a proxy that shares sessions a server's list says nothing of ours. The session that asks must find itself in it, or nothing follows.

use std::pin::pin;
use std::time::Duration;

use mysql_async::{Conn, Row as SqlRow};

use crate::connection::{Connector, Role};
use crate::sql::Queries;
use godwit_model::error::{Class, Error, Result};

/// Without an answer for so long, the server is asked.
const SILENCE: Duration = Duration::from_secs(30);

/// And again after that: the answer may have been on its way.
const DOUBT: Duration = Duration::from_secs(10);

/// It has to say so this often.
const DOUBTS: u32 = 2;

/// A list of sessions comes at once.
const LISTED: Duration = Duration::from_secs(30);

/// Waits for the answers of one session.
pub(crate) struct Watch {
    connector: Connector,
    session: u32,
}

/// What is known of the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Session {
    Works,
    /// It is gone, or waits for a statement.
    Waits,
    /// The server does not answer others either.
    Silent,
    /// It answers, but not that.
    Unknown,
}

impl Watch {
    /// Of a session that the connector has made.
    pub(crate) fn new(connector: &Connector, conn: &Conn) -> Self {
        Self { connector: connector.clone(), session: conn.id() }
    }

    /// Waits for what is only the server's to do: statements of this session, without pauses in between.
    ///
    /// # Errors
    /// Those of `talking`; a lost connection where no answer will come.
    pub(crate) async fn over<T>(&self, talking: impl Future<Output = Result<T>>) -> Result<T> {
        let mut talking = pin!(talking);
        let (mut doubts, mut pause) = (0, SILENCE);
        loop {
            let asking = async {
                tokio::time::sleep(pause).await;
                self.ask().await
            };
            let found = tokio::select! {
                biased;
                answer = &mut talking => return answer,
                found = asking => found,
            };
            (doubts, pause) = match found {
                Session::Works | Session::Unknown => (0, SILENCE),
                Session::Waits | Session::Silent => (doubts + 1, DOUBT),
            };
            if doubts >= DOUBTS {
                let server = self.connector.link();
                return Err(Error::connection(format!(
                    "{} stalls: it has worked on nothing for this connection for {} s, and the answer has not arrived",
                    server.server(),
                    (SILENCE + DOUBT).as_secs()
                )));
            }
        }
    }

    async fn ask(&self) -> Session {
        let asked = async {
            let mut conn = self.connector.connect(Role::Metadata).await?;
            let listed: Vec<SqlRow> = conn.query("SHOW PROCESSLIST").await?;
            let own = conn.id();
            drop(conn.disconnect().await);
            Ok::<_, Error>((own, listed))
        };
        match tokio::time::timeout(LISTED, asked).await {
            Ok(Ok((own, listed))) => judge(self.session, own, listed.into_iter().filter_map(session)),
            // Too many connections, too: whoever answers is not silent.
            Ok(Err(error)) if error.is_of_server() || error.class() != Class::Connection => {
                tracing::debug!(%error, "whether a session works is not known");
                Session::Unknown
            }
            Ok(Err(_)) | Err(_) => Session::Silent,
        }
    }
}

/// Number and command of a listed session.
fn session(mut row: SqlRow) -> Option<(u64, String)> {
    let number = row.take_opt::<u64, _>(0)?.ok()?;
    let command = row.take_opt::<String, _>(4)?.ok()?;
    Some((number, command))
}

fn judge(session: u32, own: u32, listed: impl Iterator<Item = (u64, String)>) -> Session {
    let (mut is_listed, mut works) = (false, false);
    for (number, command) in listed {
        is_listed |= number == u64::from(own);
        works |= number == u64::from(session) && !command.eq_ignore_ascii_case("Sleep");
    }
    match (is_listed, works) {
        (_, true) => Session::Works,
        (true, false) => Session::Waits,
        (false, false) => Session::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_are_judged_by_a_list_that_holds_the_asking_one() {
        let judged =
            |listed: &[(u64, &str)]| judge(7, 9, listed.iter().map(|(number, command)| (*number, (*command).to_owned())));
        assert_eq!(judged(&[(7, "Query"), (9, "Query")]), Session::Works);
        assert_eq!(judged(&[(7, "Execute")]), Session::Works);
        assert_eq!(judged(&[(7, "Sleep"), (9, "Query")]), Session::Waits);
        assert_eq!(judged(&[(9, "Query")]), Session::Waits);
        assert_eq!(judged(&[(3, "Query"), (4, "Query")]), Session::Unknown);
        assert_eq!(judged(&[]), Session::Unknown);
    }
}
