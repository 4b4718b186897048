//! A server of the lab, its tables and its log.

use std::sync::Arc;

use godwit::api::{Flavor, TlsMode};
use godwit::engine::binlog::{Decoder, Event, RawEvent, RowDecoder, RowsKind, TableMap};
use godwit::engine::connection::Connector;
use godwit::engine::source::stream::{Follow, LogStream};
use godwit::engine::sql;
use godwit::engine::sql::Name;
use godwit::engine::value::json_paths::JsonPaths;
use godwit::engine::value::json_types::JsonServer;
use godwit::engine::value::read::{push_document, push_value, select_expression};
use godwit::manifest::{ResolvedEndpoint, ResolvedTls, SecretText};
use godwit::model::definition::{Column, Generated, Index, IndexPart, Kind, TableDefinition};
use godwit::model::position::Position;
use godwit::model::row::{Row, RowBuilder};
use godwit::model::server::ServerInfo;
pub use godwit_testkit::lab::Server;
use mysql_async::Conn;
use mysql_async::prelude::Queryable;

use super::seeds::Seeds;

/// A session in database d, which it makes.
pub async fn session(server: &Server) -> Conn {
    let mut connection = outside(server).await;
    connection.query_drop("CREATE DATABASE IF NOT EXISTS d").await.unwrap();
    connection.query_drop("USE d").await.unwrap();
    connection
}

/// A session without a database, which writes nothing into the log.
async fn outside(server: &Server) -> Conn {
    let mut connection = server.connect().await;
    connection.query_drop("SET character_set_results = NULL").await.unwrap();
    connection
}

/// Everything in the log, from its first file on.
pub async fn logged(server: &Server) -> Log {
    let mut log = Log::default();
    let start = Position::at("binlog.000001", 4);
    let mut stream = stream(server, &start).await;
    let mut decoder = Decoder::new();
    while let Some(event) = stream.next().await.unwrap() {
        log.take(&mut decoder, &event.raw());
    }
    log
}

/// The log from there to its end.
pub async fn stream(server: &Server, start: &Position) -> LogStream {
    let endpoint = ResolvedEndpoint {
        host: server.host.clone(),
        port: server.port,
        username: server.user.clone(),
        password: SecretText::new(server.password.clone()),
        flavor: Flavor::Auto,
        tls: ResolvedTls { mode: TlsMode::Disabled, ..ResolvedTls::default() },
    };
    let connector = Connector::new(&endpoint, "source");
    let info = connector.server_info().await.unwrap();
    LogStream::open(&connector, &info, start, 4_000_000, Follow::ToEnd).await.unwrap()
}

/// What the log said, in order.
#[derive(Default)]
pub struct Log {
    /// Short names of all events.
    pub trail: Vec<String>,
    pub changes: Vec<Change>,
    pub maps: Vec<Arc<TableMap>>,
    pub starts: Vec<godwit::engine::binlog::TransactionStart>,
    pub positions: Vec<(u8, u32, u32)>,
    seeds: Seeds,
}

/// A row event, kept to be decoded when the table's definition is known.
pub struct Change {
    pub kind: RowsKind,
    pub rows: godwit::engine::binlog::RowsEvent<'static>,
    pub payload: bool,
}

impl Log {
    fn take(&mut self, decoder: &mut Decoder, raw: &RawEvent<'_>) {
        self.seeds.take(raw);
        self.positions.push((raw.event_type, raw.event_size, raw.log_pos));
        let decoded = decoder.decode(raw).unwrap_or_else(|error| panic!("{error}"));
        let Event::Payload(payload) = &decoded else {
            self.keep(decoded, false);
            return;
        };
        self.trail.push("payload".into());
        let mut events = payload.events().unwrap();
        while let Some(inner) = events.next().unwrap() {
            let decoded = decoder.decode(&inner).unwrap();
            self.keep(decoded, true);
        }
    }

    fn keep(&mut self, event: Event<'_>, payload: bool) {
        let note = match event {
            Event::Query(query) => format!("query {}", String::from_utf8_lossy(&query.sql)),
            Event::Gtid(start) => {
                let note = format!("start {}", start.id);
                self.starts.push(start);
                note
            }
            Event::Rows(rows) => {
                let note = format!("{:?} {}", rows.kind, rows.table.table);
                self.changes.push(Change { kind: rows.kind, rows: rows.into_owned(), payload });
                note
            }
            Event::TableMap(map) => {
                let note = format!("map {}", map.table);
                self.maps.push(map);
                note
            }
            Event::XaPrepare(prepare) => format!("prepare {} {}", prepare.xid, prepare.one_phase),
            Event::Xid(_) => "xid".into(),
            Event::RowsQuery(sql) => format!("rows query {}", String::from_utf8_lossy(sql)),
            Event::Rotate(rotate) => format!("rotate {} {}", rotate.file, rotate.position),
            Event::PreviousGtids(set) => format!("previous {set}"),
            Event::GtidList(list) => format!("list {}", list.len()),
            Event::FormatDescription(format) => format!("format {} {:?}", format.server_version, format.flavour),
            other => format!("{other:?}"),
        };
        self.trail.push(note);
    }

    pub fn rows_of<'a>(&'a self, table: &'a str) -> impl Iterator<Item = &'a Change> {
        self.changes.iter().filter(move |change| change.rows.table.table == table)
    }

    /// All changes of a table, decoded in full: kind, before, after.
    pub fn decode(&self, definition: &TableDefinition) -> Vec<(RowsKind, Option<Row>, Option<Row>)> {
        let all: Vec<usize> = (0..definition.columns.len()).collect();
        let mut out = Vec::new();
        for change in self.rows_of(&definition.table) {
            let decoder = RowDecoder::new(definition, &change.rows.table, &all, &all).unwrap_or_else(|error| panic!("{error}"));
            let kind = change.kind;
            let result = decoder.decode_rows(&change.rows, &mut |before, after| {
                out.push((kind, before, after));
                Ok(())
            });
            result.unwrap_or_else(|error| panic!("{error}"));
        }
        out
    }
}

/// The definition of a table, as far as decoding needs it.
pub async fn definition(connection: &mut Conn, table: &str) -> TableDefinition {
    let sql = format!(
        "SELECT CAST(column_name AS CHAR), CAST(data_type AS CHAR), CAST(column_type AS CHAR), CAST(COALESCE(character_octet_length, 0) AS UNSIGNED), \
         CAST(COALESCE(numeric_precision, 0) AS UNSIGNED), CAST(COALESCE(numeric_scale, 0) AS UNSIGNED), CAST(COALESCE(datetime_precision, 0) AS UNSIGNED), CAST(extra AS CHAR), CAST(is_nullable AS CHAR) \
         FROM information_schema.columns WHERE table_schema = 'd' AND table_name = '{table}' ORDER BY ordinal_position"
    );
    type Line = (Vec<u8>, Vec<u8>, Vec<u8>, u64, u64, u64, u64, Vec<u8>, Vec<u8>);
    let lines: Vec<Line> = connection.exec(sql, ()).await.unwrap();
    // Servers before 8.0.13 have no functional indexes, and no such column.
    let functional = format!(
        "SELECT COUNT(*) FROM information_schema.statistics WHERE table_schema = 'd' AND table_name = '{table}' AND expression IS NOT NULL"
    );
    let parts: u64 = connection.exec_first(functional, ()).await.ok().flatten().unwrap_or_default();
    let part = IndexPart { column: None, prefix: None, nullable: true };
    let index = Index { name: "f".into(), unique: false, kind: "BTREE".into(), parts: vec![part; parts as usize] };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let columns = lines.iter().map(|(name, data_type, column_type, octets, precision, scale, fsp, extra, nullable)| {
        let (data_type, column_type, extra) = (text(data_type).to_lowercase(), text(column_type), text(extra).to_uppercase());
        let generated = match () {
            () if extra.contains("VIRTUAL") => Generated::Virtual,
            () if extra.contains("STORED GENERATED") || extra.contains("PERSISTENT") => Generated::Stored,
            () => Generated::No,
        };
        Column {
            kind: kind(&data_type, &column_type, *octets, *precision, *scale, *fsp as u8),
            name: text(name),
            column_type,
            character_set: None,
            collation: None,
            nullable: *nullable == b"YES",
            generated,
            invisible: extra.contains("INVISIBLE"),
            auto_increment: false,
        }
    });
    TableDefinition {
        database: "d".into(),
        table: table.into(),
        engine: "InnoDB".into(),
        columns: columns.collect(),
        indexes: vec![index],
        foreign_keys: Vec::new(),
        create_statement: String::new(),
        estimated_rows: 0,
        average_row_bytes: 0,
        unread: Vec::new(),
    }
}

fn kind(data_type: &str, column_type: &str, octets: u64, precision: u64, scale: u64, fsp: u8) -> Kind {
    let unsigned = column_type.contains("unsigned");
    match data_type {
        "tinyint" => Kind::TinyInt { unsigned },
        "smallint" => Kind::SmallInt { unsigned },
        "mediumint" => Kind::MediumInt { unsigned },
        "int" => Kind::Int { unsigned },
        "bigint" => Kind::BigInt { unsigned },
        "decimal" => Kind::Decimal { precision: precision as u8, scale: scale as u8 },
        "float" => Kind::Float,
        "double" => Kind::Double,
        "bit" => Kind::Bit { bits: precision as u8 },
        "year" => Kind::Year,
        "date" => Kind::Date,
        "time" => Kind::Time { fsp },
        "datetime" => Kind::DateTime { fsp },
        "timestamp" => Kind::Timestamp { fsp },
        "char" => Kind::Char,
        "varchar" => Kind::Varchar,
        "tinytext" | "text" | "mediumtext" | "longtext" => Kind::Text,
        "binary" => Kind::Binary { length: octets as u16 },
        "varbinary" => Kind::VarBinary,
        "tinyblob" | "blob" | "mediumblob" | "longblob" => Kind::Blob,
        "enum" => Kind::Enum { labels: Vec::new() },
        "set" => Kind::Set { labels: Vec::new() },
        "json" => Kind::Json,
        "vector" => Kind::Vector,
        "uuid" => Kind::Uuid,
        "inet4" => Kind::Inet4,
        "inet6" => Kind::Inet6,
        _ => Kind::Geometry,
    }
}

/// The rows as the copy sees them, by the first column.
pub async fn select(connection: &mut Conn, definition: &TableDefinition) -> Vec<Row> {
    let version: String = connection.query_first("SELECT VERSION()").await.unwrap().unwrap();
    let json = JsonServer::of(&ServerInfo::parse(&version));
    let mut list: Vec<String> = Vec::new();
    for column in &definition.columns {
        list.push(format!("{} AS `{}`", select_expression(&column.name, &column.kind), column.name));
        let types =
            json.types_expression(&sql!("{}", Name(&column.name)), &JsonPaths::default()).filter(|_| column.kind == Kind::Json);
        list.extend(types.map(|types| types.to_string()));
    }
    let sql = format!("SELECT {} FROM d.`{}` ORDER BY {}", list.join(", "), definition.table, definition.columns[0].name);
    let rows: Vec<mysql_async::Row> = connection.exec(sql, ()).await.unwrap();
    let mut scratch = Vec::new();
    rows.into_iter()
        .map(|row| {
            let mut builder = RowBuilder::default();
            let mut values = row.unwrap().into_iter();
            for column in &definition.columns {
                let value = values.next().unwrap();
                if column.kind == Kind::Json {
                    push_document(&mut builder, value, values.next().unwrap(), &JsonPaths::default()).unwrap();
                } else {
                    push_value(&mut builder, value, column, &mut scratch).unwrap();
                }
            }
            builder.finish()
        })
        .collect()
}
