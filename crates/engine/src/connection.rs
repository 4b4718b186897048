//! Connections to a MySQL-family server: options, TLS, session settings, flavour.
//!
//! Nothing leans on a server's defaults: each role sets what its statements depend on (law 3).

use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::FutureExt;
use mysql_async::{Conn, DriverError, Opts, OptsBuilder};

use crate::binlog::LARGEST_EVENT;
use crate::dump::{Dump, Plain, PublicKey, gate};
use crate::sql;
use crate::sql::no_answer;
use crate::sql::{Failure, Queries, Sql};
use crate::tls;
use godwit_api::TlsMode;
use godwit_api::manifest::{ResolvedEndpoint, ResolvedTls};
use godwit_model::error::{Error, Result};
use godwit_model::server::{Flavor, ServerInfo};

/// What a connection is for; decides the session's settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Definitions and status: text in utf8mb4.
    Metadata,
    /// Rows: bytes as stored, in each column's own character set.
    Read,
    /// Rows into the destination: the same bytes, foreign keys and their cascades off.
    Write,
    /// The binary log.
    Dump,
}

/// A server, and whether a connection to it is not encrypted because the server, or who answers in its place, offers no TLS. Clones share it.
#[derive(Debug, Clone)]
pub struct Link {
    server: Arc<str>,
    is_open: Arc<AtomicBool>,
}

impl Link {
    /// `server`: side and address.
    pub fn new(server: &str) -> Self {
        Self { server: server.into(), is_open: Arc::default() }
    }

    /// Goes on without encryption; whether that is news.
    pub fn open(&self) -> bool {
        !self.is_open.swap(true, Ordering::Relaxed)
    }

    /// Whether somebody did.
    pub fn is_open(&self) -> bool {
        self.is_open.load(Ordering::Relaxed)
    }

    /// Side and address.
    pub fn server(&self) -> &str {
        &self.server
    }
}

/// Makes connections to one endpoint.
#[derive(Clone)]
pub struct Connector {
    opts: Opts,
    mode: TlsMode,
    /// What is done for a password where nothing is encrypted.
    plain: Plain,
    /// Whether encryption was wanted and not offered, for the status.
    link: Link,
    /// The name in the server's certificate, where any will do and it is not the host's.
    name: Arc<OnceLock<String>>,
    address: String,
    side: &'static str,
    /// What sessions compute generated columns with.
    computing: Option<Arc<Sql>>,
    /// What the engine may spend on one event of the log.
    largest_event: usize,
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Connector({} {})", self.side, self.address)
    }
}

/// A connection attempt that takes longer has failed.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

/// A login and the settings of a session, of which servers answer each at once.
const SETTLED: Duration = Duration::from_secs(120);

/// All answers of a step of the precheck: the longest are those of information_schema on servers that open every table for it.
const PATIENCE: Duration = Duration::from_secs(3600);

impl Connector {
    /// `side` is `source` or `destination`, for messages.
    pub fn new(endpoint: &ResolvedEndpoint, side: &'static str) -> Self {
        let opts = OptsBuilder::default()
            .ip_or_hostname(endpoint.host.clone())
            .tcp_port(endpoint.port)
            .user(Some(endpoint.username.clone()))
            .pass(Some(endpoint.password.expose().to_owned()))
            .prefer_socket(false)
            // UPDATE reports rows found, not rows changed.
            .client_found_rows(true)
            .tcp_nodelay(true)
            .tcp_keepalive(Some(Duration::from_secs(30)))
            // One: with 0 the driver never closes the statements that `exec` prepares, and the server runs out of them
            // (max_prepared_stmt_count); with 1 each is closed when the next one is prepared.
            .stmt_cache_size(1)
            // The limit the driver puts on packets it receives; the server's own limit stays in force for what is sent.
            .max_allowed_packet(Some(1 << 30))
            .wait_timeout(Some(28_800))
            .conn_ttl(Some(Duration::from_secs(28_800)))
            .ssl_opts(tls::options(&endpoint.tls));
        Self {
            opts: opts.into(),
            mode: endpoint.tls.mode,
            plain: plain_login(&endpoint.host, &endpoint.tls),
            link: Link::new(&format!("the {side} {}:{}", endpoint.host, endpoint.port)),
            name: Arc::default(),
            address: format!("{}:{}", endpoint.host, endpoint.port),
            side,
            computing: None,
            largest_event: LARGEST_EVENT,
        }
    }

    /// The same, with a statement that sets what generated columns are computed with ([`super::computing`]).
    #[must_use]
    pub fn computing(mut self, settings: Option<Sql>) -> Self {
        self.computing = settings.map(Arc::new);
        self
    }

    /// Larger events of the log are an error.
    #[must_use]
    pub fn with_largest_event(self, largest_event: usize) -> Self {
        Self { largest_event, ..self }
    }

    /// What the engine may spend on one event of the log.
    pub fn largest_event(&self) -> usize {
        self.largest_event
    }

    /// `host:port`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// `source` or `destination`.
    pub fn side(&self) -> &'static str {
        self.side
    }

    /// A connection made by `dial`, with the mode's ways around a TLS that does not come about.
    async fn open<T, F>(&self, dial: impl Fn(Opts, Plain) -> F) -> Result<T>
    where
        F: Future<Output = mysql_async::Result<T>>,
    {
        self.attempts(dial).await.map_err(|e| {
            let hint = if e.is_login_refused() { password_hint(self.opts.pass()) } else { "" };
            e.context(format!("connecting to the {} {}{hint}", self.side, self.address))
        })
    }

    async fn attempts<T, F>(&self, dial: impl Fn(Opts, Plain) -> F) -> Result<T>
    where
        F: Future<Output = mysql_async::Result<T>>,
    {
        // The outer error says that the server did not answer.
        let attempt = async |opts| {
            let answer = tokio::time::timeout(CONNECT_TIMEOUT, dial(opts, self.plain.clone())).await;
            answer.map_err(|_| Error::connection(format!("no answer within {} s", CONNECT_TIMEOUT.as_secs())))
        };
        let result = match attempt(self.opts_named(self.name.get())).await? {
            // As the servers' own clients do: Preferred goes without TLS where none is offered. Where it is offered and does not come
            // about, somebody may have seen to that.
            Err(error) if self.mode == TlsMode::Preferred && is_no_tls(&error) => {
                if !self.is_loopback() && self.link.open() {
                    tracing::warn!(side = self.side, address = %self.address, "the server offers no TLS; the connection is not encrypted");
                }
                attempt(OptsBuilder::from_opts(self.opts.clone()).ssl_opts(None).into()).await?
            }
            Err(error) if self.mode == TlsMode::VerifyCA => match tls::other_name(&error) {
                None => Err(error),
                Some(name) => {
                    let again = attempt(self.opts_named(Some(&name))).await?;
                    if again.is_ok() {
                        // The next connection asks for it at once.
                        let _ = self.name.set(name);
                    }
                    again
                }
            },
            result => result,
        };
        result.map_err(|error| {
            if is_no_tls(&error) {
                return Error::definite("the server offers no TLS; enable it there or set tls.mode to Preferred or Disabled");
            }
            match tls::failure(&error) {
                Some(why) => Error::definite(format!("TLS does not come about: {why}; {}", tls::remedy(&error))),
                None => Failure::from(error).into(),
            }
        })
    }

    fn opts_named(&self, name: Option<&String>) -> Opts {
        match (self.opts.ssl_opts(), name) {
            (Some(ssl), Some(name)) => {
                let ssl = ssl.clone().with_danger_tls_hostname_override(Some(name.clone()));
                OptsBuilder::from_opts(self.opts.clone()).ssl_opts(Some(ssl)).into()
            }
            _ => self.opts.clone(),
        }
    }

    /// A connection with the role's session settings.
    ///
    /// # Errors
    /// Says side and address; class [`godwit_model::error::Class::Connection`] when the server cannot be reached.
    pub async fn connect(&self, role: Role) -> Result<Conn> {
        // On the heap: its future is large, and would be a part of the future of everybody who connects.
        self.talk_within(SETTLED, self.connect_unguarded(role).boxed()).await
    }

    async fn connect_unguarded(&self, role: Role) -> Result<Conn> {
        let mut conn = self.open(by_driver).await?;
        // First: a server may be set to answer no query with a row.
        for statement in common_settings(role) {
            conn.query_drop(&statement).await.map_err(|e| self.about(&statement, e))?;
        }
        let info = server_info(&mut conn).await?;
        for statement in flavor_settings(role, &info) {
            conn.query_drop(&statement).await.map_err(|e| self.about(&statement, e))?;
        }
        if role == Role::Write {
            self.show_all_warnings(&mut conn).await?;
        }
        if let Some(statement) = self.computing.as_deref() {
            conn.query_drop(statement).await.map_err(|e| self.about(statement, e))?;
        }
        Ok(conn)
    }

    /// SHOW WARNINGS tells all of a statement's warnings. On MySQL 9.7 that takes SESSION_VARIABLES_ADMIN; without it, it tells as many as
    /// the server's setting allows, and whoever asks compares their number with the count of them.
    async fn show_all_warnings(&self, conn: &mut Conn) -> Result<()> {
        let statement = Sql::new("SET SESSION max_error_count=65535");
        match conn.query_drop(&statement).await {
            Err(error) if !is_access_denied(&error) => Err(self.about(&statement, error)),
            _ => Ok(()),
        }
    }

    /// A connection for the binary log, with its session's settings.
    ///
    /// # Errors
    /// As [`Connector::connect`].
    pub async fn dump(&self, info: &ServerInfo) -> Result<Dump> {
        let mut dump = self.talk_within(SETTLED, self.open(Dump::connect).boxed()).await?.with_largest_event(self.largest_event);
        for statement in [common_settings(Role::Dump), flavor_settings(Role::Dump, info)].concat() {
            dump.execute(&statement).await.map_err(|e| self.about(&statement, e))?;
        }
        Ok(dump)
    }

    /// Runs what asks this server. The driver panics on answers that no server gives, and waits without end for the rest of one: both are
    /// errors of this side. Not for what servers work on for long, a copy or an index.
    ///
    /// # Errors
    /// Those of `talking`; definite where it panicked; a lost connection where it takes longer than any answer does.
    pub async fn talk<T>(&self, talking: impl Future<Output = Result<T>>) -> Result<T> {
        self.talk_within(PATIENCE, talking).await
    }

    async fn talk_within<T>(&self, patience: Duration, talking: impl Future<Output = Result<T>>) -> Result<T> {
        let guarded = AssertUnwindSafe(talking).catch_unwind();
        match tokio::time::timeout(patience, guarded).await {
            Ok(Ok(result)) => result,
            Ok(Err(panic)) => Err(Error::definite(no_answer(self.link.server(), &*panic))),
            Err(_) => Err(Error::connection(format!(
                "{} has not answered completely within {} s",
                self.link.server(),
                patience.as_secs()
            ))),
        }
    }

    /// What status tells of the encryption of its connections.
    pub fn link(&self) -> Link {
        self.link.clone()
    }

    fn is_loopback(&self) -> bool {
        is_loopback(self.opts.ip_or_hostname())
    }

    fn about(&self, statement: &Sql, error: impl Into<Failure>) -> Error {
        Error::from(error.into()).context(format!("{} {}: {statement}", self.side, self.address))
    }

    /// Connects and asks for the version.
    pub async fn server_info(&self) -> Result<ServerInfo> {
        let mut conn = self.connect(Role::Metadata).await?;
        let info = server_info(&mut conn).await?;
        let _ = conn.disconnect().await;
        Ok(info)
    }
}

/// The driver's connection; where it must not log in by itself, behind a login of ours.
async fn by_driver(opts: Opts, plain: Plain) -> mysql_async::Result<Conn> {
    if opts.ssl_opts().is_some() || plain.is_lenient() { Conn::new(opts).await } else { gate::connect(opts, plain).await }
}

fn plain_login(host: &str, tls: &ResolvedTls) -> Plain {
    let loopback = is_loopback(host);
    let key = match &tls.server_public_key {
        Some(pem) => PublicKey::Given(pem.clone().into()),
        None if loopback || tls.allow_public_key_retrieval => PublicKey::Asked,
        None => PublicKey::Refused,
    };
    Plain { key, strict: !loopback }
}

/// Whether nobody can stand between this process and the host. A name that stands for such an address, other than the one that always
/// does, is not taken for one.
pub fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost") || address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn is_no_tls(error: &mysql_async::Error) -> bool {
    matches!(error, mysql_async::Error::Driver(DriverError::NoClientSslFlagFromServer))
}

/// Asks a connection for the server's version.
pub async fn server_info(conn: &mut Conn) -> Result<ServerInfo> {
    let version: Option<String> = conn.query_first("SELECT VERSION()").await?;
    version.map(|text| ServerInfo::parse(&text)).ok_or_else(|| Error::transient("SELECT VERSION() returned nothing"))
}

/// For statements with JSON_TABLE, whose paths MySQL before 8.0.21 reads in the session's character set. Results stay bytes.
pub const STATEMENTS_OF_TEXT: &str = "SET SESSION character_set_client=utf8mb4, character_set_connection=utf8mb4";

/// `sql_mode` of sessions that write.
pub const STRICT_SQL_MODE: &str = "NO_AUTO_VALUE_ON_ZERO,STRICT_ALL_TABLES,ALLOW_INVALID_DATES,NO_ENGINE_SUBSTITUTION";

/// The same for a value that strict mode never takes although a column can hold it.
pub const LENIENT_SQL_MODE: &str = "NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES";

/// The statements that make a session on any server independent of the server's defaults. What generated columns are computed with is
/// left as it is, or is the source's: see [`super::computing`].
fn common_settings(role: Role) -> Vec<Sql> {
    let sql_mode = match role {
        // Zero and invalid dates that the source holds must be accepted as they are; everything else that does not fit is an error.
        Role::Write | Role::Metadata => STRICT_SQL_MODE,
        Role::Read | Role::Dump => "ALLOW_INVALID_DATES",
    };
    let names = match role {
        Role::Metadata | Role::Dump => "utf8mb4",
        Role::Read | Role::Write => "binary",
    };
    // The log waits while a transaction of any size is applied.
    let patience = if role == Role::Dump { 86_400u32 } else { 3600 };
    // GROUP_CONCAT: one letter for each value of a JSON document (`value::json_types`).
    vec![
        sql!("SET NAMES {}", names),
        sql!(
            "SET SESSION sql_mode='{}', time_zone='+00:00', autocommit=1, sql_auto_is_null=0, sql_safe_updates=0, \
             sql_select_limit=18446744073709551615, sql_big_selects=1, sql_buffer_result=0, completion_type=0, \
             sql_quote_show_create=1, net_write_timeout={}, net_read_timeout=3600, wait_timeout=28800, \
             lc_messages='en_US', group_concat_max_len=1073741824",
            sql_mode,
            patience
        ),
    ]
}

/// The same, of what only some servers have.
fn flavor_settings(role: Role, info: &ServerInfo) -> Vec<Sql> {
    let mut settings = vec![match info.flavor {
        Flavor::MySql => Sql::new("SET SESSION max_execution_time=0"),
        // A snapshot and a large transaction wait for the other end; with sql_if_exists a CREATE … IF NOT EXISTS fails (11.4).
        Flavor::MariaDb => Sql::new(
            "SET SESSION max_statement_time=0, idle_transaction_timeout=0, idle_readonly_transaction_timeout=0, \
             idle_write_transaction_timeout=0, sql_if_exists=0",
        ),
    }];
    match role {
        Role::Write => {
            settings.push(Sql::new("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED"));
            if info.is_mariadb() {
                // Rows that break a CHECK, written where it was off, arrive as they are. MySQL has NOT ENFORCED for that.
                settings.push(Sql::new("SET SESSION check_constraint_checks=0"));
            }
            // Every warning of a statement is counted: each may stand for a value that was altered.
            settings
                .push(Sql::new("SET SESSION foreign_key_checks=0, unique_checks=1, innodb_lock_wait_timeout=50, sql_notes=1"));
            // The triggers that the task makes do nothing for its own rows (`schema::program::guard`).
            settings.push(sql!("SET {}=1", MARKER));
        }
        Role::Metadata => {
            settings.push(Sql::new("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED"));
            settings.push(Sql::new("SET SESSION foreign_key_checks=0, unique_checks=1"));
            if info.is_mariadb() {
                // An ALTER that copies the table would look at its CHECKs again.
                settings.push(Sql::new("SET SESSION check_constraint_checks=0"));
            }
            if info.is_mysql_since(8, 0, 30) {
                // A generated key is shown. That none is generated takes a privilege that a reading account lacks; sessions
                // that create tables see to it (`create::apply`).
                settings.push(Sql::new("SET SESSION show_gipk_in_create_table_and_information_schema=1"));
            }
        }
        Role::Read => {
            settings.push(Sql::new("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ"));
            if info.is_mysql_since(8, 0, 3) {
                // Or FORCE INDEX does not find a key that was made invisible (error 1176; 8.0.15 does not either way, 9.7 does).
                settings.push(Sql::new("SET SESSION optimizer_switch='use_invisible_indexes=on'"));
            }
            if info.is_mysql_since(8, 0, 4) && !info.is_mysql_since(8, 0, 21) {
                settings.push(Sql::new(STATEMENTS_OF_TEXT));
            }
        }
        Role::Dump => {}
    }
    settings
}

/// The user variable by which triggers know the sessions that write a task's rows.
pub const MARKER: &str = "@godwit_writes";

/// What is often wrong with a password that is refused, without a letter of it.
fn password_hint(password: Option<&str>) -> &'static str {
    match password {
        Some(password) if password.ends_with(['\n', '\r']) => {
            " (the password ends in a line break; write the Secret without it, as echo -n or --from-literal do)"
        }
        Some(password) if password.trim() != password => " (the password begins or ends with a blank)",
        _ => "",
    }
}

/// Whether an error means that the account may not do what was tried.
pub fn is_access_denied(error: &Failure) -> bool {
    // ER_DBACCESS_DENIED, ER_ACCESS_DENIED, ER_TABLEACCESS_DENIED, ER_COLUMNACCESS_DENIED, ER_SPECIFIC_ACCESS_DENIED
    matches!(error, Failure::Server(e) if matches!(e.code, 1044 | 1045 | 1142 | 1143 | 1227 | 1370))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_stalls_or_says_nonsense_is_named() {
        let endpoint = ResolvedEndpoint {
            host: "db.example.com".into(),
            port: 3306,
            username: "u".into(),
            password: godwit_api::manifest::SecretText::new("p"),
            flavor: godwit_api::Flavor::Auto,
            tls: ResolvedTls::default(),
        };
        let source = Connector::new(&endpoint, "source");
        let silent = source.talk_within(Duration::from_millis(20), std::future::pending::<Result<()>>()).await.unwrap_err();
        assert_eq!(silent.class(), godwit_model::error::Class::Connection);
        assert!(silent.to_string().contains("the source db.example.com:3306 has not answered completely"), "{silent}");
        let no_row = std::hint::black_box(None::<u8>);
        let nonsense = source.talk(async { Ok(no_row.expect("no row")) }).await.unwrap_err();
        assert_eq!(nonsense.class(), godwit_model::error::Class::Definite);
        assert!(nonsense.to_string().contains("the source db.example.com:3306 sent what no server"), "{nonsense}");
    }

    #[test]
    fn a_line_break_behind_a_password_is_told() {
        assert!(
            password_hint(Some("secret\n")).contains("line break") && password_hint(Some("secret\r\n")).contains("line break")
        );
        assert!(password_hint(Some(" secret")).contains("blank"));
        assert_eq!((password_hint(Some("se cret")), password_hint(Some("")), password_hint(None)), ("", "", ""));
    }

    #[test]
    fn sessions_that_write_are_known_to_triggers() {
        for version in ["5.7.22", "8.0.36", "9.7.4", "11.4.5-MariaDB"] {
            let marked = |role| {
                let settings = flavor_settings(role, &ServerInfo::parse(version));
                settings.iter().any(|setting| setting.to_string() == format!("SET {MARKER}=1"))
            };
            assert!(marked(Role::Write) && !marked(Role::Metadata) && !marked(Role::Read), "{version}");
        }
    }

    #[test]
    fn loopback_is_what_it_says() {
        for host in ["127.0.0.1", "127.8.9.10", "::1", "localhost", "LOCALHOST"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["0.0.0.0", "10.0.0.1", "localhost.example.com", "127.1", "db", "127.0.0.1.example.com", ""] {
            assert!(!is_loopback(host), "{host}");
        }
    }

    #[test]
    fn passwords_go_out_encrypted_or_not_at_all() {
        let tls = |allow| ResolvedTls { allow_public_key_retrieval: allow, ..ResolvedTls::default() };
        assert!(plain_login("localhost", &tls(false)).is_lenient());
        let far = plain_login("db.example.com", &tls(false));
        assert!(far.strict && matches!(far.key, PublicKey::Refused));
        // The key may be asked for, a weaker plugin may not.
        let asked = plain_login("db.example.com", &tls(true));
        assert!(asked.strict && !asked.is_lenient() && matches!(asked.key, PublicKey::Asked));
        let given = ResolvedTls { server_public_key: Some(b"pem".to_vec()), ..tls(true) };
        assert!(matches!(plain_login("localhost", &given).key, PublicKey::Given(_)));
    }

    #[test]
    fn versions_are_read() {
        let mysql = ServerInfo::parse("8.0.36-28");
        assert_eq!((mysql.flavor, mysql.version), (Flavor::MySql, (8, 0, 36)));
        let maria = ServerInfo::parse("5.5.5-10.11.6-MariaDB-log");
        assert_eq!((maria.flavor, maria.version), (Flavor::MariaDb, (10, 11, 6)));
        assert_eq!(ServerInfo::parse("9.7.4").log_status_statement(), "SHOW BINARY LOG STATUS");
        assert_eq!(ServerInfo::parse("8.0.15").log_status_statement(), "SHOW MASTER STATUS");
    }
}
