//! Definitions with letters of every plane wherever a literal may stand: made at a real source, migrated to real
//! destinations, held against each other as bytes of SHOW CREATE and by the values of a row.
//!
//! A few rounds, always the same, run with the other cases; `GODWIT_FUZZ_MINUTES` makes it go on with new ones, without the other cases. A
//! problem says its seed; `GODWIT_FUZZ_SEED` repeats it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use godwit::engine::create::apply::{self, create_views};
use godwit::engine::schema::adapt::adapt_for;
use godwit::engine::schema::compare_texts::{same_view, text_differences};
use godwit::engine::schema::names::NameMap;
use godwit::engine::schema::read::{self, read_tables};
use godwit::engine::schema::read_views::read_views;
use godwit::engine::schema::rewrite::{Engine, TableRewrite, rewrite_create_table};
use godwit::engine::schema::view::{Definer, rewrite_view};
use godwit::engine::schema::view_session::ViewStatement;
use godwit::engine::sql::single::Single;
use godwit::engine::sql::{Answer, Failure};
use godwit::model::definition::TableDefinition;
use godwit::model::names::TableName;
use godwit::model::server::{Flavor, ServerInfo};
use mysql_async::Conn;
use mysql_async::prelude::Queryable;

use godwit_testkit::lab::Server;

const SOURCE: &str = "fz";
/// Tables a round.
const TABLES: usize = 6;

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap()
    }

    fn one<'a, T: ?Sized>(&mut self, list: &[&'a T]) -> &'a T {
        list[self.below(list.len())]
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// A text of these letters, and of ASCII that has to be escaped.
    fn text(&mut self, letters: &[char]) -> String {
        const ASCII: &[char] = &['a', 'Z', '?', '\'', '"', '\\', '%', '_', '`', ' ', '\n', '0', ',', ')', '*', '/'];
        let length = 1 + self.below(4);
        (0..length)
            .map(|_| if self.chance(50) { letters[self.below(letters.len())] } else { ASCII[self.below(ASCII.len())] })
            .collect()
    }

    fn bytes(&mut self) -> String {
        (0..=self.below(4)).map(|_| format!("{:02X}", self.next() & 0xff)).collect()
    }
}

const LATIN: &[char] = &['é', 'ä', 'ß', 'ÿ', '€', '‰', '¿'];
const PLANE: &[char] = &['誠', 'ж', 'ა', '\u{301}', '\u{ffee}', 'é', 'ｱ'];
const ALL: &[char] = &['😀', '𝒜', '\u{10ffff}', '誠', 'é', '\u{301}', 'ж', '🏳', '\u{200d}'];
const CYRILLIC: &[char] = &['ж', 'Я', '–', '№'];
const CHINESE: &[char] = &['誠', '廫', '乗', 'ж'];
const JAPANESE: &[char] = &['ソ', '表', '能', 'ж'];

/// Character sets of columns, with letters that they have.
const COLUMNS: &[(&str, &[char])] = &[
    ("utf8mb4", ALL),
    ("utf8mb4", ALL),
    ("latin1", LATIN),
    ("utf8", PLANE),
    ("utf16", ALL),
    ("utf32", ALL),
    ("ucs2", PLANE),
    ("gbk", CHINESE),
    ("cp932", JAPANESE),
    ("cp1251", CYRILLIC),
];

fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

/// A literal as it may stand in an expression.
fn literal(random: &mut Random, letters: &[char]) -> String {
    match random.below(10) {
        0 => format!("_latin1 0x{:02X}{:02X}", random.below(256), 0x20 + random.below(0x5f)),
        1 => format!("_utf16 0x00{:02X}D83DDE00", random.below(256)),
        2 => "_gbk 0x8F5C".into(),
        3 => format!("_utf8mb4{}", quote(&random.text(&['a', 'b']))),
        4 => "_cp932 0x835C".into(),
        _ => quote(&random.text(letters)),
    }
}

/// A table: `id`, `s`, and columns of all kinds.
fn table(random: &mut Random, name: &str, info: &ServerInfo) -> String {
    let (character_set, letters) = COLUMNS[random.below(COLUMNS.len())];
    let mysql8 = info.is_mysql_since(8, 0, 13);
    let checks = info.is_mysql_since(8, 0, 16) || info.flavor == Flavor::MariaDb;
    let mut items = vec!["`id` INT NOT NULL PRIMARY KEY".to_owned(), "`s` VARCHAR(20)".to_owned()];
    for at in 0..2 + random.below(5) {
        let (own, own_letters) = COLUMNS[random.below(COLUMNS.len())];
        let column = format!("`c{at}`");
        items.push(match random.below(8) {
            0 => format!("{column} VARCHAR(20) CHARACTER SET {own} DEFAULT {}", quote(&random.text(own_letters))),
            1 => format!("{column} VARCHAR(20) DEFAULT {}", quote(&random.text(letters))),
            2 => format!("{column} VARBINARY(9) DEFAULT 0x{}", random.bytes()),
            3 => {
                let labels: Vec<String> = (0..3).map(|at| format!("{}{at}", random.text(own_letters).replace(',', ""))).collect();
                let list: Vec<String> = labels.iter().map(|label| quote(label)).collect();
                let kind = random.one(&["ENUM", "SET"]);
                format!("{column} {kind}({}) CHARACTER SET {own} DEFAULT {}", list.join(","), list[random.below(3)])
            }
            4 => format!("{column} VARCHAR(99) CHARACTER SET utf8mb4 AS (CONCAT(`s`, {})) STORED", literal(random, letters)),
            5 => format!("{column} VARBINARY(99) AS (CONCAT(`s`, {})) VIRTUAL", literal(random, letters)),
            6 => {
                let texts: Vec<String> = (0..3).map(|_| literal(random, letters)).collect();
                format!("{column} VARCHAR(40) AS (IF(`s` = {}, {}, {})) STORED", texts[0], texts[1], texts[2])
            }
            _ if mysql8 || info.flavor == Flavor::MariaDb => {
                let mut first = literal(random, letters);
                // MariaDB loses a backslash of a literal with an introducer, and nothing shows it (docs/compatibility.md).
                while info.flavor == Flavor::MariaDb && first.starts_with('_') && first.contains('\\') {
                    first = literal(random, letters);
                }
                format!("{column} VARCHAR(40) DEFAULT (CONCAT({first}, {}))", quote(&random.text(letters)))
            }
            _ => format!("{column} VARCHAR(20) COMMENT {}", quote(&random.text(PLANE))),
        });
    }
    if random.chance(40) {
        items.push(format!("KEY `k` (`s`) COMMENT {}", quote(&random.text(PLANE))));
    }
    if checks && random.chance(40) {
        items.push(format!("CHECK (`s` <> {})", literal(random, letters)));
    }
    if mysql8 && random.chance(20) {
        items.push(format!("KEY `f` ((CONCAT(`s`, {})))", quote(&random.text(letters))));
    }
    let comment = quote(&random.text(PLANE));
    format!("CREATE TABLE `{name}` ({}) DEFAULT CHARSET={character_set} COMMENT={comment}", items.join(", "))
}

/// The session of a view, and its statement as that session sends it.
fn view(random: &mut Random, name: &str) -> (String, String) {
    let client = random.one(&["utf8mb4", "utf8", "latin1", "cp1251", "binary"]);
    let collation = random.one(&["utf8mb4_bin", "utf8mb4_unicode_ci", "latin1_german1_ci", "utf16_bin"]);
    // What the bytes of UTF-8 mean in the client's character set is the source's business.
    let letters: &[char] = if client == "utf8" { PLANE } else { &['é', 'Р', 'ж'] };
    let texts: Vec<String> = (0..3).map(|_| quote(&random.text(letters))).collect();
    let introduced = literal(random, &['a']);
    let session = format!("SET character_set_client={client}, collation_connection={collation}");
    (
        session,
        format!(
            "CREATE VIEW `{name}` AS SELECT {} AS a, HEX({}) AS h, {} = 'A' AS e, HEX({introduced}) AS i",
            texts[0], texts[1], texts[2]
        ),
    )
}

struct Names {
    destination: String,
}

impl NameMap for Names {
    fn database(&self, source: &str) -> Option<String> {
        (source == SOURCE).then(|| self.destination.clone())
    }

    fn table(&self, source: &TableName) -> Option<TableName> {
        (source.database == SOURCE).then(|| TableName { database: self.destination.clone(), table: source.table.clone() })
    }

    fn column(&self, _: &TableName, column: &str) -> Option<String> {
        Some(column.to_owned())
    }
}

/// Rounds that run with the other cases.
const ROUNDS: u32 = 3;
/// Problems after which there is no use in looking for more.
const ENOUGH: usize = 20;

/// Whether nothing else was asked for.
pub fn is_alone() -> bool {
    ["GODWIT_FUZZ_MINUTES", "GODWIT_FUZZ_SEED"].iter().any(|name| std::env::var(name).is_ok())
}

/// What became of the definitions.
#[derive(Debug, Default)]
struct Tally {
    carried: usize,
    /// Refused by name before anything is written, by kind.
    refused: BTreeMap<String, usize>,
    problems: Vec<String>,
}

impl Tally {
    fn refuse(&mut self, kind: impl ToString) {
        *self.refused.entry(kind.to_string()).or_default() += 1;
    }
}

/// Servers, each with the places of those that its definitions can go to.
pub async fn run(servers: &[(&Server, &[usize])]) -> Vec<String> {
    let until = std::env::var("GODWIT_FUZZ_MINUTES").ok().map(|minutes| {
        Instant::now() + Duration::from_secs_f64(minutes.parse::<f64>().expect("GODWIT_FUZZ_MINUTES is a number") * 60.0)
    });
    let given = std::env::var("GODWIT_FUZZ_SEED").ok().map(|seed| seed.parse::<u64>().expect("GODWIT_FUZZ_SEED is a number"));
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let mut seed = given.unwrap_or(if until.is_some() { now.as_nanos() as u64 } else { 1 });
    let mut tally = Tally::default();
    let mut rounds = 0;
    loop {
        for (source, destinations) in servers {
            let before = tally.problems.len();
            let all: Vec<&Server> = destinations.iter().map(|&at| servers[at].0).collect();
            round(seed, source, &all, &mut tally).await;
            for problem in &mut tally.problems[before..] {
                *problem = format!("seed {seed}: {problem}");
                if is_alone() {
                    eprintln!("{problem}");
                }
            }
        }
        rounds += 1;
        let goes_on = until.map_or(rounds < ROUNDS, |until| Instant::now() < until);
        if given.is_some() || !goes_on || tally.problems.len() > ENOUGH {
            break;
        }
        seed = Random(seed).next();
    }
    eprintln!(
        "{rounds} rounds, {} tables and views carried, refused by name {:?}, {} problems, the last seed {seed}",
        tally.carried,
        tally.refused,
        tally.problems.len()
    );
    tally.problems
}

/// Some tables and views of one source, to all its destinations.
async fn round(seed: u64, source: &Server, destinations: &[&Server], tally: &mut Tally) {
    let mut random = Random(seed);
    let mut conn = source.plain().await;
    let info = read::prepare_session(&mut conn).await.unwrap();
    conn.query_drop("SET NAMES utf8mb4").await.unwrap();
    for statement in ["DROP DATABASE IF EXISTS fz", "CREATE DATABASE fz CHARACTER SET utf8mb4", "USE fz"] {
        conn.query_drop(statement).await.unwrap();
    }
    // What the source itself refuses (no such letter, no such conversion), or takes and cannot open again, is no definition.
    let mut made = Vec::new();
    while made.len() < TABLES {
        let name = TableName { database: SOURCE.into(), table: format!("t{}", made.len()) };
        if conn.query_drop(table(&mut random, &name.table, &info)).await.is_err() {
            continue;
        }
        conn.query_drop("FLUSH TABLES").await.unwrap();
        if read_tables(&mut conn, std::slice::from_ref(&name)).await.is_ok() {
            made.push(name);
        } else {
            conn.query_drop(format!("DROP TABLE {}", name.table)).await.unwrap();
        }
        conn.query_drop("SET NAMES utf8mb4").await.unwrap();
    }
    for at in 0..3 {
        let (session, statement) = view(&mut random, &format!("v{at}"));
        conn.query_drop(session).await.unwrap();
        let _ = conn.query_drop(statement).await;
        conn.query_drop("SET NAMES utf8mb4").await.unwrap();
    }
    for destination in destinations {
        let names = Names { destination: format!("fz_{}", random.below(1_000_000)) };
        tables(&mut conn, &info, destination, &made, &names, tally).await;
        views(&mut conn, &info, destination, &names, tally).await;
        let mut other = destination.plain().await;
        other.query_drop(format!("DROP DATABASE {}", names.destination)).await.unwrap();
    }
}

/// One of the servers of a pair, with a table.
struct Place<'a> {
    conn: &'a mut Conn,
    name: &'a TableName,
    info: &'a ServerInfo,
}

async fn tables(conn: &mut Conn, info: &ServerInfo, destination: &Server, made: &[TableName], names: &Names, tally: &mut Tally) {
    let mut other = destination.plain().await;
    let other_info = apply::prepare_session(&mut other).await.unwrap();
    other.query_drop(format!("CREATE DATABASE {} CHARACTER SET utf8mb4", names.destination)).await.unwrap();
    let label = format!("{} -> {}", info.version_text, other_info.version_text);
    for definition in read_tables(conn, made).await.unwrap() {
        let source = TableName { database: SOURCE.into(), table: definition.table.clone() };
        let target = names.table(&source).unwrap();
        let rules = TableRewrite {
            source: source.clone(),
            destination: target.clone(),
            key_index: Some("PRIMARY".into()),
            engine: Engine::AsSource,
            needed: Vec::new(),
            defer_indexes: false,
            names,
        };
        // The item Definitions: what MariaDB does not have, and labels with a ? that may be others where no way tells.
        if let Some(unread) = definition.unread.first() {
            tally.refuse(unread.split_once(": ").map_or("", |(_, why)| why).split_inclusive(' ').take(4).collect::<String>());
            continue;
        }
        let Ok(adapted) = adapt_for(&definition.create_statement, info, &other_info) else {
            tally.refuse("no counterpart");
            continue;
        };
        let rewritten = rewrite_create_table(&adapted.create, &rules).unwrap();
        apply::prepare_session(&mut other).await.unwrap();
        // The item Trial: between versions and families a server may take less than another.
        if let Err(error) = made_and_opened(&mut other, &target, &rewritten.create).await {
            match &error {
                Failure::Server(refusal) if may_refuse(conn, &source, info, &other_info, refusal.code).await => {
                    tally.refuse(refusal.code);
                }
                _ => tally.problems.push(format!("{label}: {error:?}\n{}\n{}", definition.create_statement, rewritten.create)),
            }
            continue;
        }
        tally.carried += 1;
        let own = read_tables(&mut other, std::slice::from_ref(&target)).await.unwrap().remove(0);
        let differing = text_differences(&definition, info, &own, &other_info, names);
        if !differing.is_empty() {
            tally.problems.push(format!("{label}: {differing:#?}\n{}\n{}", definition.create_statement, own.create_statement));
        }
        let places =
            [Place { conn: &mut *conn, name: &source, info }, Place { conn: &mut other, name: &target, info: &other_info }];
        tally.problems.extend(compared(places, &definition).await.into_iter().map(|what| format!("{label}: {what}")));
    }
}

/// Makes a table and opens it, as a trial does.
async fn made_and_opened(conn: &mut Conn, name: &TableName, create: &str) -> Answer<()> {
    Single::parse(create, name).unwrap().run(conn).await?;
    Ok(conn.query_drop(format!("SELECT 1 FROM {} LIMIT 0", name.quoted())).await?)
}

/// SHOW CREATE TABLE of equal versions, and the values of a row.
async fn compared([mut here, mut there]: [Place<'_>; 2], definition: &TableDefinition) -> Vec<String> {
    let mut problems = Vec::new();
    let shown = [show(&mut here).await, show(&mut there).await];
    if here.info == there.info && shown[0] != shown[1] {
        problems.push(format!("SHOW CREATE\n{}\n{}", shown[0].escape_ascii(), shown[1].escape_ascii()));
    }
    let columns: Vec<String> = definition.columns.iter().map(|column| format!("'{0}', HEX(`{0}`)", column.name)).collect();
    let mut rows = Vec::new();
    for Place { conn, name, .. } in [&mut here, &mut there] {
        conn.query_drop("SET NAMES utf8mb4").await.unwrap();
        // MariaDB reads what it keeps when it opens a table, and until then goes by what was said.
        conn.query_drop("FLUSH TABLES").await.unwrap();
        let place = name.quoted();
        // A row that the source refuses (a CHECK, a conversion) is refused there, too.
        let outcome = conn.query_drop(format!("REPLACE INTO {place} (id, s) VALUES (1, 'a')")).await;
        let row: Option<String> =
            conn.query_first(format!("SELECT CONCAT_WS(',', {}) FROM {place}", columns.join(","))).await.unwrap();
        rows.push((outcome.is_ok(), row));
    }
    if rows[0] != rows[1] {
        let shown = shown.map(|shown| shown.escape_ascii().to_string());
        problems.push(format!("values\n{:?}\n{:?}\n{}", rows[0], rows[1], shown.join("\n")));
    }
    problems
}

/// Collations that do not go together, bytes that are no text, letters that a character set lacks.
const REFUSALS: &[u16] = &[1267, 1270, 1300, 1366, 1918, 3854];

/// Whether a destination may refuse what the source has: it is another version or family, or MariaDB, which prints literals of other
/// character sets without their character set. A default that a column cannot hold (1067) is refused by MariaDB when the table is made and by
/// MySQL with every row that needs it.
async fn may_refuse(conn: &mut Conn, table: &TableName, source: &ServerInfo, destination: &ServerInfo, code: u16) -> bool {
    if code == 1067 && source.flavor == Flavor::MySql && destination.flavor == Flavor::MariaDb {
        conn.query_drop("SET NAMES utf8mb4").await.unwrap();
        conn.query_drop("SET SESSION sql_mode='STRICT_ALL_TABLES'").await.unwrap();
        let taken = conn.query_drop(format!("REPLACE INTO {} (id, s) VALUES (2, 'a')", table.quoted())).await;
        read::prepare_session(conn).await.unwrap();
        return taken.is_err();
    }
    (source != destination || destination.flavor == Flavor::MariaDb) && REFUSALS.contains(&code)
}

async fn show(place: &mut Place<'_>) -> Vec<u8> {
    place.conn.query_drop("SET character_set_results=NULL").await.unwrap();
    let row: Option<mysql_async::Row> =
        place.conn.query_first(format!("SHOW CREATE TABLE {}", place.name.quoted())).await.unwrap();
    row.unwrap().get(1).unwrap()
}

async fn views(conn: &mut Conn, info: &ServerInfo, destination: &Server, names: &Names, tally: &mut Tally) {
    let mut other = destination.plain().await;
    let other_info = apply::prepare_session(&mut other).await.unwrap();
    let label = format!("{} -> {}", info.version_text, other_info.version_text);
    // A view that the server cannot show itself (MySQL escapes bytes inside of letters) is named.
    let (found, unshown) = read_views(conn, SOURCE).await.unwrap();
    for failure in unshown {
        tally.refuse(failure.error.chars().take(70).collect::<String>());
    }
    let mut statements = Vec::new();
    for view in &found {
        let statement = rewrite_view(&view.create_statement, &view.name, names, Definer::Invoker).unwrap();
        let session = view.session.at(&other_info).unwrap();
        statements.push(ViewStatement { name: names.table(&view.name).unwrap(), statement, session });
    }
    let failures = create_views(&mut other, &statements, |_| false).await.unwrap();
    tally.problems.extend(failures.iter().map(|failure| format!("{label}: {failure:#?}")));
    let (own, unreadable) = read_views(&mut other, &names.destination).await.unwrap();
    tally.problems.extend(unreadable.iter().map(|failure| format!("{label}: {failure:#?}")));
    for view in &found {
        let Some(twin) = own.iter().find(|own| own.name.table == view.name.table) else { continue };
        tally.carried += 1;
        let expected = rewrite_view(&view.create_statement, &view.name, names, Definer::Keep).unwrap();
        if !same_view(&expected, info, &twin.create_statement, &other_info)
            || twin.session != view.session.at(&other_info).unwrap()
        {
            tally.problems.push(format!("{label}: {view:#?}\n{twin:#?}"));
        }
        let mut rows = Vec::new();
        for (conn, name) in [(&mut *conn, &view.name), (&mut other, &twin.name)] {
            conn.query_drop("SET NAMES utf8mb4").await.unwrap();
            let statement = format!("SELECT CONCAT_WS(',', HEX(a), h, e, i) FROM {}", name.quoted());
            let row: Result<Option<String>, String> = conn.query_first(statement).await.map_err(|error| error.to_string());
            rows.push(row.map_err(|_| ()));
        }
        if rows[0] != rows[1] {
            tally.problems.push(format!("{label}: {rows:?}\n{view:#?}"));
        }
    }
}
