//! Definitions with letters of every plane wherever a literal may stand: made at a real source, migrated to real
//! destinations, held against each other as bytes of SHOW CREATE and by the values of a row.
//!
//! A few rounds run with the other cases, one of them always the same; `GODWIT_FUZZ_MINUTES` makes it go on. A problem says
//! its seed; `GODWIT_FUZZ_SEED` repeats it.

use std::time::{Duration, Instant};

use godwit::engine::connection::{Flavor, ServerInfo};
use godwit::engine::plan::TableName;
use godwit::engine::schema::adapt::adapt_for;
use godwit::engine::schema::apply::{self, ViewStatement, create_views};
use godwit::engine::schema::compare_texts::{same_view, text_differences};
use godwit::engine::schema::names::NameMap;
use godwit::engine::schema::read::{self, read_tables};
use godwit::engine::schema::read_views::read_views;
use godwit::engine::schema::rewrite::{Engine, TableRewrite, rewrite_create_table};
use godwit::engine::schema::view::{Definer, rewrite_view};
use mysql_async::Conn;
use mysql_async::prelude::Queryable;

use crate::lab::Server;

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
                // MariaDB's INSERT knows `_latin1 0xE9` in a default; SHOW CREATE, information_schema and DEFAULT() say 'xE9'.
                let first = if info.flavor == Flavor::MariaDb { quote(&random.text(letters)) } else { literal(random, letters) };
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

/// The pairs of servers in which definitions can be migrated: (source, destination), by place.
pub async fn run(servers: &[(&Server, &[usize])]) -> Vec<String> {
    let until = std::env::var("GODWIT_FUZZ_MINUTES").ok().map(|minutes| {
        Instant::now() + Duration::from_secs_f64(minutes.parse::<f64>().expect("GODWIT_FUZZ_MINUTES is a number") * 60.0)
    });
    let given = std::env::var("GODWIT_FUZZ_SEED").ok().map(|seed| seed.parse::<u64>().expect("GODWIT_FUZZ_SEED is a number"));
    // It finds more than is mended yet (docs/compatibility.md): a target of its own, `make test-fuzz`, until a round is clean.
    if until.is_none() && given.is_none() {
        return Vec::new();
    }
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let mut seed = given.unwrap_or(1);
    let mut problems = Vec::new();
    let (mut rounds, mut carried) = (0u32, 0usize);
    loop {
        for (source, destinations) in servers {
            let all: Vec<&Server> = destinations.iter().map(|&at| servers[at].0).collect();
            match round(seed, source, &all).await {
                Ok(tables) => carried += tables,
                Err(found) => problems.extend(found.into_iter().map(|problem| format!("seed {seed}: {problem}"))),
            }
        }
        rounds += 1;
        let goes_on = until.is_some_and(|until| Instant::now() < until) || (until.is_none() && rounds < 2);
        if given.is_some() || !goes_on || problems.len() > 20 {
            break;
        }
        // The first round is always the same, the others never are.
        seed = Random(if rounds == 1 { now.as_nanos() as u64 } else { seed }).next();
    }
    eprintln!("{rounds} rounds, {carried} tables and views carried, the last seed {seed}");
    problems
}

/// Some tables and views of one source, to all its destinations: how many arrived.
async fn round(seed: u64, source: &Server, destinations: &[&Server]) -> Result<usize, Vec<String>> {
    let mut random = Random(seed);
    let mut conn = source.conn().await;
    let info = read::prepare_session(&mut conn).await.unwrap();
    conn.query_drop("SET NAMES utf8mb4").await.unwrap();
    for statement in ["DROP DATABASE IF EXISTS fz", "CREATE DATABASE fz CHARACTER SET utf8mb4", "USE fz"] {
        conn.query_drop(statement).await.unwrap();
    }
    // What the source itself refuses (no such letter, no such conversion) is no definition.
    let mut made = Vec::new();
    while made.len() < TABLES {
        let name = format!("t{}", made.len());
        if conn.query_drop(table(&mut random, &name, &info)).await.is_ok() {
            made.push(TableName { database: SOURCE.into(), table: name });
        }
    }
    for at in 0..3 {
        let (session, statement) = view(&mut random, &format!("v{at}"));
        conn.query_drop(session).await.unwrap();
        let _ = conn.query_drop(statement).await;
        conn.query_drop("SET NAMES utf8mb4").await.unwrap();
    }
    let mut carried = 0;
    let mut problems = Vec::new();
    for destination in destinations {
        let names = Names { destination: format!("fz_{}", random.below(1_000_000)) };
        carried += tables(&mut conn, &info, destination, &made, &names, &mut problems).await;
        carried += views(&mut conn, &info, destination, &names, &mut problems).await;
        let mut other = destination.conn().await;
        other.query_drop(format!("DROP DATABASE {}", names.destination)).await.unwrap();
    }
    if problems.is_empty() { Ok(carried) } else { Err(problems) }
}

async fn tables(
    conn: &mut Conn,
    info: &ServerInfo,
    destination: &Server,
    made: &[TableName],
    names: &Names,
    problems: &mut Vec<String>,
) -> usize {
    let mut other = destination.conn().await;
    let other_info = apply::prepare_session(&mut other).await.unwrap();
    other.query_drop(format!("CREATE DATABASE {} CHARACTER SET utf8mb4", names.destination)).await.unwrap();
    let label = format!("{} -> {}", info.version_text, other_info.version_text);
    let mut carried = 0;
    for definition in read_tables(conn, made).await.unwrap() {
        // Labels with a ? may be others where no way tells: named, not carried.
        let is_refused = !definition.unread.is_empty();
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
        // MariaDB has no indexes on expressions.
        let Ok(adapted) = adapt_for(&definition.create_statement, info, &other_info) else { continue };
        if is_refused {
            continue;
        }
        let rewritten = rewrite_create_table(&adapted.create, &rules).unwrap();
        apply::prepare_session(&mut other).await.unwrap();
        if let Err(error) = other.query_drop(&rewritten.create).await {
            // Said aloud, before a row is written; between versions and families a server may take less than another.
            let may =
                info != &other_info && matches!(&error, mysql_async::Error::Server(error) if REFUSALS.contains(&error.code));
            if !may {
                problems.push(format!("{label}: {error}\n{}\n{}", definition.create_statement, rewritten.create));
            }
            continue;
        }
        let shown = [
            show(conn, &source).await.unwrap(),
            match show(&mut other, &target).await {
                Ok(shown) => shown,
                // MariaDB takes some definitions that it refuses to open: nobody can write a row there either.
                Err(mysql_async::Error::Server(error))
                    if other_info.flavor == Flavor::MariaDb && REFUSALS.contains(&error.code) =>
                {
                    continue;
                }
                Err(error) => {
                    problems.push(format!("{label}: {error}\n{}", rewritten.create));
                    continue;
                }
            },
        ];
        carried += 1;
        if info == &other_info && shown[0] != shown[1] {
            problems.push(format!("{label}: SHOW CREATE\n{}\n{}", shown[0].escape_ascii(), shown[1].escape_ascii()));
        }
        let own = read_tables(&mut other, std::slice::from_ref(&target)).await.unwrap().remove(0);
        let differing = text_differences(&definition, info, &own, &other_info, names);
        if !differing.is_empty() {
            problems.push(format!("{label}: {differing:#?}\n{}\n{}", definition.create_statement, own.create_statement));
        }
        let columns: Vec<String> = definition.columns.iter().map(|column| format!("'{0}', HEX(`{0}`)", column.name)).collect();
        let mut rows = Vec::new();
        for (conn, name) in [(&mut *conn, &source), (&mut other, &target)] {
            conn.query_drop("SET NAMES utf8mb4").await.unwrap();
            // MariaDB reads what it keeps when it opens a table, and until then goes by what was said.
            conn.query_drop("FLUSH TABLES").await.unwrap();
            let place = format!("`{}`.`{}`", name.database, name.table);
            // A row that the source refuses (a CHECK, a conversion) is refused there, too.
            let outcome = conn.query_drop(format!("REPLACE INTO {place} (id, s) VALUES (1, 'a')")).await;
            let row: Option<String> =
                conn.query_first(format!("SELECT CONCAT_WS(',', {}) FROM {place}", columns.join(","))).await.unwrap();
            rows.push((outcome.is_ok(), row));
        }
        if rows[0] != rows[1] {
            problems.push(format!(
                "{label}: values\n{:?}\n{:?}\n{}\n{}",
                rows[0], rows[1], definition.create_statement, own.create_statement
            ));
        }
    }
    carried
}

/// Collations that do not go together, bytes that are no text, letters that a character set lacks.
const REFUSALS: &[u16] = &[1267, 1270, 1300, 1366, 1918, 3854];

async fn show(conn: &mut Conn, name: &TableName) -> Result<Vec<u8>, mysql_async::Error> {
    conn.query_drop("SET character_set_results=NULL").await?;
    let row: Option<mysql_async::Row> =
        conn.query_first(format!("SHOW CREATE TABLE `{}`.`{}`", name.database, name.table)).await?;
    Ok(row.unwrap().get(1).unwrap())
}

async fn views(conn: &mut Conn, info: &ServerInfo, destination: &Server, names: &Names, problems: &mut Vec<String>) -> usize {
    let mut other = destination.conn().await;
    let other_info = apply::prepare_session(&mut other).await.unwrap();
    let label = format!("{} -> {}", info.version_text, other_info.version_text);
    // A view that the server cannot show itself (MySQL escapes bytes inside of letters) is named.
    let (found, _) = read_views(conn, SOURCE).await.unwrap();
    let mut statements = Vec::new();
    for view in &found {
        let statement = rewrite_view(&view.create_statement, &view.name, names, Definer::Invoker).unwrap();
        let session = view.session.at(&other_info).unwrap();
        statements.push(ViewStatement { name: names.table(&view.name).unwrap(), statement, session });
    }
    let failures = create_views(&mut other, &statements, |_| false).await.unwrap();
    problems.extend(failures.iter().map(|failure| format!("{label}: {failure:#?}")));
    let (own, unreadable) = read_views(&mut other, &names.destination).await.unwrap();
    problems.extend(unreadable.iter().map(|failure| format!("{label}: {failure:#?}")));
    let mut carried = 0;
    for view in &found {
        let Some(twin) = own.iter().find(|own| own.name.table == view.name.table) else { continue };
        carried += 1;
        let expected = rewrite_view(&view.create_statement, &view.name, names, Definer::Keep).unwrap();
        if !same_view(&expected, info, &twin.create_statement, &other_info)
            || twin.session != view.session.at(&other_info).unwrap()
        {
            problems.push(format!("{label}: {view:#?}\n{twin:#?}"));
        }
        let mut rows = Vec::new();
        for (conn, name) in [(&mut *conn, &view.name), (&mut other, &twin.name)] {
            conn.query_drop("SET NAMES utf8mb4").await.unwrap();
            let statement = format!("SELECT CONCAT_WS(',', HEX(a), h, e, i) FROM `{}`.`{}`", name.database, name.table);
            let row: Result<Option<String>, String> = conn.query_first(statement).await.map_err(|error| error.to_string());
            rows.push(row.map_err(|_| ()));
        }
        if rows[0] != rows[1] {
            problems.push(format!("{label}: {rows:?}\n{view:#?}"));
        }
    }
    carried
}
