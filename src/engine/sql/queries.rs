//! The only way to a server: statements of the program's own and [`Sql`].
//!
//! The methods are the driver's, under the driver's names; clippy keeps everybody else from calling the driver's own
//! (`disallowed-methods`), which take any string.

use std::borrow::Cow;

use mysql_async::prelude::{FromRow, Queryable};
use mysql_async::{BinaryProtocol, Conn, Params, QueryResult, Result};

use super::text::Sql;

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
#[allow(async_fn_in_trait, reason = "the futures are awaited where they are made; the implementation is one")]
pub trait Queries {
    /// Runs it and drops what it answers.
    fn query_drop(&mut self, statement: impl Statement) -> impl Future<Output = Result<()>> + Send;

    /// Its rows.
    fn query<T: FromRow + Send + 'static>(&mut self, statement: impl Statement) -> impl Future<Output = Result<Vec<T>>> + Send;

    /// Its first row.
    fn query_first<T: FromRow + Send + 'static>(
        &mut self,
        statement: impl Statement,
    ) -> impl Future<Output = Result<Option<T>>> + Send;

    /// Runs it, prepared, with values in the places of its `?`.
    fn exec_drop(
        &mut self,
        statement: impl Statement,
        values: impl Into<Params> + Send,
    ) -> impl Future<Output = Result<()>> + Send;

    /// Its rows.
    fn exec<T: FromRow + Send + 'static>(
        &mut self,
        statement: impl Statement,
        values: impl Into<Params> + Send,
    ) -> impl Future<Output = Result<Vec<T>>> + Send;

    /// Its first row.
    fn exec_first<T: FromRow + Send + 'static>(
        &mut self,
        statement: impl Statement,
        values: impl Into<Params> + Send,
    ) -> impl Future<Output = Result<Option<T>>> + Send;

    /// Its rows, one at a time, in the binary protocol.
    fn exec_rows(
        &mut self,
        statement: impl Statement,
    ) -> impl Future<Output = Result<QueryResult<'_, 'static, BinaryProtocol>>> + Send;
}

#[allow(clippy::disallowed_methods, reason = "this is the place where the driver's methods are called")]
impl Queries for Conn {
    async fn query_drop(&mut self, statement: impl Statement) -> Result<()> {
        Queryable::query_drop(self, statement.bytes()).await
    }

    async fn query<T: FromRow + Send + 'static>(&mut self, statement: impl Statement) -> Result<Vec<T>> {
        Queryable::query(self, statement.bytes()).await
    }

    async fn query_first<T: FromRow + Send + 'static>(&mut self, statement: impl Statement) -> Result<Option<T>> {
        Queryable::query_first(self, statement.bytes()).await
    }

    async fn exec_drop(&mut self, statement: impl Statement, values: impl Into<Params> + Send) -> Result<()> {
        Queryable::exec_drop(self, statement.into_cow(), values).await
    }

    async fn exec<T: FromRow + Send + 'static>(
        &mut self,
        statement: impl Statement,
        values: impl Into<Params> + Send,
    ) -> Result<Vec<T>> {
        Queryable::exec(self, statement.into_cow(), values).await
    }

    async fn exec_first<T: FromRow + Send + 'static>(
        &mut self,
        statement: impl Statement,
        values: impl Into<Params> + Send,
    ) -> Result<Option<T>> {
        Queryable::exec_first(self, statement.into_cow(), values).await
    }

    async fn exec_rows(&mut self, statement: impl Statement) -> Result<QueryResult<'_, 'static, BinaryProtocol>> {
        Queryable::exec_iter(self, statement.into_cow(), ()).await
    }
}
