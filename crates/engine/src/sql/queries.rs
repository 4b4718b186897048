//! The only way to a server: statements of the program's own and [`Sql`].
//!
//! The methods are the driver's, under the driver's names; clippy keeps everybody else from calling the driver's own
//! (`disallowed-methods`), which take any string.
//!
//! The driver panics where an answer is none that a server gives: a row that lacks a column, a NULL that cannot be, more columns than memory
//! can count. Here that is an error with the server's address. The session is of no use then, and goes with the error.

use std::any::Any;
use std::borrow::Cow;
use std::fmt::Display;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use mysql_async::prelude::{FromRow, Queryable};
use mysql_async::{BinaryProtocol, Conn, Params, QueryResult};

use super::failure::{Answer, Failure};
use super::text::Sql;
use godwit_model::error::{Error, Result};
use godwit_model::plain;

/// What can be sent: a constant, or a text whose parts are accounted for.
pub trait Statement: Send + sealed::Sealed {
    /// The bytes that are sent.
    fn bytes(&self) -> &[u8];

    /// The same for a prepared statement, which the driver keeps.
    fn into_cow(self) -> Cow<'static, [u8]>;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for &'static str {}
    impl Sealed for super::Sql {}
    impl<S: Sealed> Sealed for &S {}
}

impl Statement for &'static str {
    fn bytes(&self) -> &[u8] {
        self.as_bytes()
    }

    fn into_cow(self) -> Cow<'static, [u8]> {
        Cow::Borrowed(self.as_bytes())
    }
}

impl Statement for Sql {
    fn bytes(&self) -> &[u8] {
        self.as_bytes()
    }

    fn into_cow(self) -> Cow<'static, [u8]> {
        Cow::Owned(self.into_bytes())
    }
}

impl<S: Statement + Sync> Statement for &S {
    fn bytes(&self) -> &[u8] {
        (**self).bytes()
    }

    fn into_cow(self) -> Cow<'static, [u8]> {
        Cow::Owned(self.bytes().to_vec())
    }
}

/// Sends statements. Each method does what the driver's of the same name does, with its errors.
pub trait Queries {
    /// Runs it and drops what it answers.
    fn query_drop(&mut self, statement: impl Statement) -> impl Future<Output = Answer<()>> + Send;

    /// Its rows.
    fn query<T: FromRow + Send + 'static>(&mut self, statement: impl Statement) -> impl Future<Output = Answer<Vec<T>>> + Send;

    /// Its first row.
    fn query_first<T: FromRow + Send + 'static>(
        &mut self,
        statement: impl Statement,
    ) -> impl Future<Output = Answer<Option<T>>> + Send;

    /// Runs it, prepared, with values in the places of its `?`.
    fn exec_drop(
        &mut self,
        statement: impl Statement,
        values: impl Into<Params> + Send,
    ) -> impl Future<Output = Answer<()>> + Send;

    /// Its rows.
    fn exec<T: FromRow + Send + 'static>(
        &mut self,
        statement: impl Statement,
        values: impl Into<Params> + Send,
    ) -> impl Future<Output = Answer<Vec<T>>> + Send;

    /// Its first row.
    fn exec_first<T: FromRow + Send + 'static>(
        &mut self,
        statement: impl Statement,
        values: impl Into<Params> + Send,
    ) -> impl Future<Output = Answer<Option<T>>> + Send;

    /// Its rows, one at a time, in the binary protocol.
    fn exec_rows(
        &mut self,
        statement: impl Statement,
    ) -> impl Future<Output = Answer<QueryResult<'_, 'static, BinaryProtocol>>> + Send;
}

/// Where the session's server is.
fn server(conn: &Conn) -> (String, u16) {
    (conn.opts().ip_or_hostname().to_owned(), conn.opts().tcp_port())
}

/// The driver's answer, or that there was none.
async fn guarded<T>((host, port): (String, u16), talking: impl Future<Output = mysql_async::Result<T>>) -> Answer<T> {
    match AssertUnwindSafe(talking).catch_unwind().await {
        Ok(answer) => answer.map_err(Failure::from),
        Err(panic) => Err(Failure::Other(no_answer(&format!("the server {host}:{port}"), &*panic))),
    }
}

/// The error of an answer that is none, where the driver panicked over it.
pub fn no_answer(server: &str, panic: &(dyn Any + Send)) -> String {
    let said = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    format!(
        "{server} sent what no server of the MySQL family sends ({}): is it one, and does nobody stand between?",
        plain::said(said.unwrap_or("no reason is known"))
    )
}

#[allow(clippy::disallowed_methods, reason = "this is the place where the driver's methods are called")]
impl Queries for Conn {
    async fn query_drop(&mut self, statement: impl Statement) -> Answer<()> {
        let server = server(self);
        guarded(server, Queryable::query_drop(self, statement.bytes())).await
    }

    async fn query<T: FromRow + Send + 'static>(&mut self, statement: impl Statement) -> Answer<Vec<T>> {
        let server = server(self);
        guarded(server, Queryable::query(self, statement.bytes())).await
    }

    async fn query_first<T: FromRow + Send + 'static>(&mut self, statement: impl Statement) -> Answer<Option<T>> {
        let server = server(self);
        guarded(server, Queryable::query_first(self, statement.bytes())).await
    }

    async fn exec_drop(&mut self, statement: impl Statement, values: impl Into<Params> + Send) -> Answer<()> {
        let server = server(self);
        guarded(server, Queryable::exec_drop(self, statement.into_cow(), values)).await
    }

    async fn exec<T: FromRow + Send + 'static>(
        &mut self,
        statement: impl Statement,
        values: impl Into<Params> + Send,
    ) -> Answer<Vec<T>> {
        let server = server(self);
        guarded(server, Queryable::exec(self, statement.into_cow(), values)).await
    }

    async fn exec_first<T: FromRow + Send + 'static>(
        &mut self,
        statement: impl Statement,
        values: impl Into<Params> + Send,
    ) -> Answer<Option<T>> {
        let server = server(self);
        guarded(server, Queryable::exec_first(self, statement.into_cow(), values)).await
    }

    async fn exec_rows(&mut self, statement: impl Statement) -> Answer<QueryResult<'_, 'static, BinaryProtocol>> {
        let server = server(self);
        guarded(server, Queryable::exec_iter(self, statement.into_cow(), ())).await
    }
}

/// The rows; None when the server refuses (no privilege, no such table or statement).
///
/// # Errors
/// When the connection is lost.
pub async fn permitted<T: FromRow + Send + 'static>(
    conn: &mut Conn,
    statement: impl Statement + Display + Sync,
) -> Result<Option<Vec<T>>> {
    match Queries::query::<T>(conn, &statement).await {
        Ok(rows) => Ok(Some(rows)),
        Err(crate::sql::Failure::Server(error)) if !Error::from(crate::sql::Failure::Server(error.clone())).is_retryable() => {
            Ok(None)
        }
        Err(error) => Err(Error::from(error).context(statement)),
    }
}

#[cfg(test)]
mod tests {
    use mysql_async::OptsBuilder;
    use mysql_async::consts::{CapabilityFlags, StatusFlags};
    use mysql_common::packets::HandshakePacket;
    use mysql_common::proto::MySerialize;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;
    use godwit_model::error::Class;

    fn framed(number: u8, payload: &[u8]) -> Vec<u8> {
        [&(payload.len() as u32).to_le_bytes()[..3], &[number], payload].concat()
    }

    fn greeting() -> Vec<u8> {
        let capabilities =
            CapabilityFlags::CLIENT_PROTOCOL_41 | CapabilityFlags::CLIENT_SECURE_CONNECTION | CapabilityFlags::CLIENT_PLUGIN_AUTH;
        let plugin = Some(&b"mysql_native_password"[..]);
        let status = StatusFlags::SERVER_STATUS_AUTOCOMMIT;
        let nonce = Some(&b"89abcdefghij\0"[..]);
        let mut greeting = Vec::new();
        HandshakePacket::new(10, &b"9.7.4"[..], 7, *b"01234567", nonce, capabilities, 45, status, plugin)
            .serialize(&mut greeting);
        greeting
    }

    /// A session at a server that answers every statement with these packets.
    async fn session(answer: Vec<Vec<u8>>) -> (Conn, u16) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            socket.write_all(&framed(0, &greeting())).await.unwrap();
            let mut buffer = [0; 4096];
            let _ = socket.read(&mut buffer).await.unwrap();
            socket.write_all(&framed(2, &[0, 0, 0, 2, 0, 0, 0])).await.unwrap();
            while socket.read(&mut buffer).await.is_ok_and(|read| read > 0) {
                let packets = (1..).zip(&answer).flat_map(|(number, payload)| framed(number, payload));
                let _ = socket.write_all(&packets.collect::<Vec<u8>>()).await;
            }
        });
        let opts = OptsBuilder::default().ip_or_hostname("127.0.0.1").tcp_port(port).user(Some("u")).prefer_socket(false);
        (Conn::new(opts.max_allowed_packet(Some(1 << 24)).wait_timeout(Some(100))).await.unwrap(), port)
    }

    /// A row of one column, `x`.
    fn row(cells: &[u8]) -> Vec<Vec<u8>> {
        let text = |text: &str| [&[text.len() as u8], text.as_bytes()].concat();
        let kind = vec![0x0c, 45, 0, 80, 0, 0, 0, 253, 0, 0, 0, 0, 0];
        let column = [text("def"), text(""), text(""), text(""), text("x"), text(""), kind].concat();
        let end = vec![0xfe, 0, 0, 2, 0];
        vec![vec![1], column, end.clone(), cells.to_vec(), end]
    }

    #[tokio::test]
    async fn an_answer_that_is_none_is_an_error_with_the_server() {
        let columns = |count: u64| vec![[&[0xfe], count.to_le_bytes().as_slice()].concat()];
        for answer in [columns(1 << 62), row(&[0xfb])] {
            let (mut conn, port) = session(answer.clone()).await;
            let error = Error::from(Queries::query::<String>(&mut conn, "SELECT x").await.unwrap_err());
            assert_eq!(error.class(), Class::Definite);
            assert!(
                error.to_string().contains(&format!("the server 127.0.0.1:{port} sent what no server")),
                "{answer:?}: {error}"
            );
        }
        // What the driver itself refuses, or takes: no panic comes out.
        for answer in [row(b"\x01a\x01b"), row(b""), row(b"\x05a"), vec![Vec::new()], vec![vec![0xfc]]] {
            let (mut conn, _) = session(answer).await;
            let asking = Queries::query_first::<String>(&mut conn, "SELECT x");
            let _ = tokio::time::timeout(std::time::Duration::from_secs(1), asking).await;
        }
    }
}
