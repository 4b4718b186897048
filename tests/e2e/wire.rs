//! A source that lies: a proxy in front of a real server edits its answers, packet by packet. Whatever it says, the destination holds
//! what a clean run leaves there and nothing else: no account, no database, no table.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::support::{Migration, Server, number, place};

/// What is looked for in a cell, and what stands there instead.
#[derive(Clone, Default)]
struct Lies {
    /// In answers to statements that contain this; empty: to all.
    statement: String,
    /// None: each cell is followed by the text.
    from: Option<Vec<u8>>,
    to: Vec<u8>,
    /// Instead of the whole answer: one packet with this.
    answer: Option<Vec<u8>>,
    /// In events of the log instead; `to` is as long as what it replaces.
    log: bool,
}

/// Statements that were asked, without their numbers.
type Asked = Arc<Mutex<BTreeMap<String, usize>>>;

struct Proxy {
    port: u16,
    lies: Arc<Mutex<Option<Lies>>>,
    asked: Asked,
}

impl Proxy {
    async fn start(server: &Server) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (lies, asked) = (Arc::new(Mutex::new(None)), Asked::default());
        let (to, shared) = (server.port, (Arc::clone(&lies), Arc::clone(&asked)));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let shared = shared.clone();
                tokio::spawn(async move {
                    let server = TcpStream::connect(("127.0.0.1", to)).await.unwrap();
                    // Either end may go at any time.
                    let _ = pass(client, server, shared.0, shared.1).await;
                });
            }
        });
        Self { port, lies, asked }
    }

    fn lie(&self, lies: Option<Lies>) {
        *self.lies.lock().unwrap() = lies;
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().keys().cloned().collect()
    }
}

async fn packet(socket: &mut (impl AsyncReadExt + Unpin)) -> std::io::Result<(u8, Vec<u8>)> {
    let header = socket.read_u32_le().await?;
    let mut payload = vec![0; (header & 0xff_ffff) as usize];
    socket.read_exact(&mut payload).await?;
    Ok(((header >> 24) as u8, payload))
}

async fn send(socket: &mut (impl AsyncWriteExt + Unpin), number: u8, payload: &[u8]) -> std::io::Result<()> {
    let header = payload.len() as u32 | u32::from(number) << 24;
    let mut framed = header.to_le_bytes().to_vec();
    framed.extend_from_slice(payload);
    socket.write_all(&framed).await
}

async fn pass(client: TcpStream, server: TcpStream, lies: Arc<Mutex<Option<Lies>>>, asked: Asked) -> std::io::Result<()> {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let statement = Arc::new(Mutex::new(None::<String>));
    let current = Arc::clone(&statement);
    let up = async move {
        loop {
            let (number, payload) = packet(&mut from_client).await?;
            // Commands begin anew. Of the login nothing is edited.
            if number == 0 {
                let text = String::from_utf8_lossy(payload.get(1..).unwrap_or_default()).into_owned();
                let text: String = text.chars().filter(|c| !c.is_ascii_digit()).take(10_000).collect();
                let is_statement = matches!(payload.first(), Some(3 | 0x16));
                if is_statement {
                    *asked.lock().unwrap().entry(text.clone()).or_default() += 1;
                }
                match payload.first() {
                    Some(3 | 0x16) => *current.lock().unwrap() = Some(text),
                    Some(0x12 | 0x1e) => *current.lock().unwrap() = None,
                    _ => {}
                }
            }
            send(&mut to_server, number, &payload).await?;
        }
    };
    let down = async move {
        // The rest of an answer that was replaced.
        let mut swallowing = false;
        loop {
            let (number, payload) = packet(&mut from_server).await?;
            let lies = lies.lock().unwrap().clone();
            let told = statement.lock().unwrap().clone();
            swallowing &= number > 1;
            let payload = match (lies, told) {
                (Some(_), Some(_)) if swallowing => continue,
                (Some(lies), None) if lies.log => in_event(payload, &lies),
                (Some(Lies { answer: Some(answer), statement, .. }), Some(told)) if number == 1 && told.contains(&statement) => {
                    swallowing = true;
                    answer
                }
                // The first packet of an answer holds no text: OK, or the number of columns.
                (Some(lies), Some(told)) if number != 1 && told.contains(&lies.statement) => edited(&payload, &lies),
                _ => payload,
            };
            send(&mut to_client, number, &payload).await?;
        }
    };
    tokio::select! { ended = up => ended, ended = down => ended }
}

/// The cells of a row of text; None: something else.
fn cells(payload: &[u8]) -> Option<Vec<Option<&[u8]>>> {
    let (mut rest, mut cells) = (payload, Vec::new());
    while let Some((&first, behind)) = rest.split_first() {
        let (length, behind) = match first {
            0xfb => {
                cells.push(None);
                rest = behind;
                continue;
            }
            0xfc => (u16::from_le_bytes(behind.get(..2)?.try_into().ok()?) as usize, behind.get(2..)?),
            0xfd => {
                let bytes = behind.get(..3)?;
                (usize::from(bytes[0]) | usize::from(bytes[1]) << 8 | usize::from(bytes[2]) << 16, behind.get(3..)?)
            }
            short @ 0..0xfb => (usize::from(short), behind),
            _ => return None,
        };
        cells.push(Some(behind.get(..length)?));
        rest = behind.get(length..)?;
    }
    (!cells.is_empty()).then_some(cells)
}

fn push_length(out: &mut Vec<u8>, length: usize) {
    match length {
        0..0xfb => out.push(length as u8),
        0xfb..0x1_0000 => {
            out.push(0xfc);
            out.extend_from_slice(&(length as u16).to_le_bytes());
        }
        _ => {
            out.push(0xfd);
            out.extend_from_slice(&(length as u32).to_le_bytes()[..3]);
        }
    }
}

fn replaced(text: &[u8], from: &[u8], to: &[u8]) -> Option<Vec<u8>> {
    let at = text.windows(from.len()).position(|window| window == from)?;
    Some([&text[..at], to, &text[at + from.len()..]].concat())
}

fn edited(payload: &[u8], lies: &Lies) -> Vec<u8> {
    let is_definition = payload.starts_with(b"\x03def");
    match (cells(payload).filter(|_| !is_definition), &lies.from) {
        (Some(cells), from) => {
            let mut out = Vec::new();
            for cell in cells {
                let Some(cell) = cell else {
                    out.push(0xfb);
                    continue;
                };
                let cell = match from {
                    Some(from) => replaced(cell, from, &lies.to).unwrap_or_else(|| cell.to_vec()),
                    None => [cell, &lies.to].concat(),
                };
                push_length(&mut out, cell.len());
                out.extend_from_slice(&cell);
            }
            out
        }
        // A row of a prepared statement: a short string in it, with its length.
        (None, Some(from)) => {
            let framed = |text: &[u8]| {
                let mut out = Vec::new();
                push_length(&mut out, text.len());
                [out, text.to_vec()].concat()
            };
            replaced(payload, &framed(from), &framed(&lies.to)).unwrap_or_else(|| payload.to_vec())
        }
        (None, None) => payload.to_vec(),
    }
}

/// An event of the log, where it is one.
fn in_event(mut payload: Vec<u8>, lies: &Lies) -> Vec<u8> {
    let from = lies.from.as_deref().unwrap_or_default();
    assert_eq!(from.len(), lies.to.len());
    if payload.first() == Some(&0) && payload.len() > 20 {
        let places: Vec<usize> =
            payload.windows(from.len()).enumerate().filter(|(_, bytes)| *bytes == from).map(|(place, _)| place).collect();
        places.into_iter().for_each(|place| payload[place..place + from.len()].copy_from_slice(&lies.to));
    }
    payload
}

/// What a foreign statement would do.
const CRIMES: &str = "CREATE USER mallory; GRANT ALL ON *.* TO mallory; CREATE DATABASE mallory; DROP DATABASE bystander";

/// Accounts and what they may do, databases, tables, views, programs, and rows of what no task is about.
async fn state(destination: &Server) -> Vec<String> {
    let mut state = destination.list("SELECT CONCAT(user, '@', host) FROM mysql.user ORDER BY 1").await;
    state.extend(destination.databases().await);
    state.extend(
        destination
            .list(
                "SELECT CONCAT(table_schema, '.', table_name, ' ', table_type) FROM information_schema.tables WHERE table_schema NOT IN \
                 ('mysql', 'sys', 'information_schema', 'performance_schema') ORDER BY 1",
            )
            .await,
    );
    for what in [
        "CONCAT('may ', grantee, ' ', privilege_type, ' ', is_grantable) FROM information_schema.user_privileges",
        "CONCAT('may ', grantee, ' ', table_schema, ' ', privilege_type) FROM information_schema.schema_privileges",
        "CONCAT('may ', grantee, ' ', table_schema, '.', table_name, ' ', privilege_type) FROM information_schema.table_privileges",
        "CONCAT('routine ', routine_schema, '.', routine_name) FROM information_schema.routines WHERE routine_schema <> 'sys'",
        "CONCAT('trigger ', trigger_schema, '.', trigger_name) FROM information_schema.triggers WHERE trigger_schema <> 'sys'",
        "CONCAT('event ', event_schema, '.', event_name) FROM information_schema.events",
        "CONCAT('row ', id) FROM bystander.rows",
    ] {
        state.extend(destination.list(&format!("SELECT {what}")).await);
    }
    state
}

struct Lab {
    source: Server,
    destination: Server,
    proxy: Proxy,
    migration: Migration,
    clean: Vec<String>,
}

impl Lab {
    async fn start() -> Self {
        let (source, destination) =
            (Server::start("mysql97", &["--binlog-checksum=NONE"]), Server::start("mysql97", &["--local-infile=OFF"]));
        source
            .run(&[
                "CREATE DATABASE shop CHARACTER SET latin1",
                "CREATE TABLE shop.items (id INT PRIMARY KEY, price DECIMAL(10,2), name VARCHAR(40) CHARACTER SET latin2, doc JSON, \
                 KEY by_name (name), shade ENUM('red','blue')) COMMENT='marked'",
                "INSERT INTO shop.items VALUES (1, 7777.77, 'one', '[1, \"x\"]', 'red'), (2, 1.00, 'two', '{\"a\": 1}', 'blue')",
                "CREATE TABLE shop.parts (name VARCHAR(20) PRIMARY KEY, item INT, FOREIGN KEY (item) REFERENCES items (id) ON DELETE CASCADE)",
                "INSERT INTO shop.parts VALUES ('bolt', 1)",
                "CREATE VIEW shop.cheap AS SELECT id, price FROM shop.items WHERE price < 10",
                "CREATE PROCEDURE shop.one() SELECT 1",
                "CREATE FUNCTION shop.two() RETURNS INT DETERMINISTIC COMMENT 'said' BEGIN RETURN 2; END",
                "CREATE TRIGGER shop.three BEFORE UPDATE ON shop.parts FOR EACH ROW SET @three = 3",
                "CREATE EVENT shop.four ON SCHEDULE EVERY 1 DAY DO BEGIN SET @four = 4; END",
            ])
            .await;
        destination
            .run(&["CREATE DATABASE bystander", "CREATE TABLE bystander.rows (id INT)", "INSERT INTO bystander.rows VALUES (1)"])
            .await;
        let proxy = Proxy::start(&source).await;
        let mut migration = Migration::new(&source, &destination).ignoring(&["Views", "CharacterSets", "StoredPrograms"]);
        migration.set("/source/mysql/port", json!(proxy.port));
        migration.set("/source/mysql/tls", json!({"mode": "Disabled"}));
        let mut lab = Self { source, destination, proxy, migration, clean: Vec::new() };
        lab.migration.run_until_caught_up().await.expect(0);
        lab.clean = state(&lab.destination).await;
        lab
    }

    /// Begins anew at the destination, and runs with this lie until it ends, tries again, or has waited for long: a source may have its log
    /// waited for. What was said.
    async fn told(&self, lies: Lies) -> String {
        self.destination.run(&["DROP DATABASE IF EXISTS shop", "DROP DATABASE IF EXISTS godwit"]).await;
        self.proxy.lie(Some(lies.clone()));
        let mut running = self.migration.start(&["--until-caught-up"]);
        let deadline = Instant::now() + WAITED;
        let mut changed = !lies.log;
        while running.ended().is_none() && running.phase() != "Retrying" && Instant::now() < deadline {
            if !changed && running.phase() == "Copying" {
                changed = true;
                self.source
                    .run(&["UPDATE shop.items SET name = REVERSE(name)", "INSERT INTO shop.parts VALUES (UUID(), 2)"])
                    .await;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let said = running.log();
        assert!(!said.contains("which is a bug"), "{}: {said}", lies.statement);
        running.kill();
        self.proxy.lie(None);
        let after = state(&self.destination).await;
        // It may have refused at any place; nothing is there that a clean run does not leave, and nothing of others is gone.
        let foreign: Vec<&String> = after.iter().filter(|line| !self.clean.contains(line)).collect();
        let of_others = |line: &&String| !line.starts_with("shop") && !line.starts_with("godwit") && !line.contains(" shop.");
        let gone: Vec<&String> = self.clean.iter().filter(of_others).filter(|line| !after.contains(line)).collect();
        let told = format!("{} instead of {:?} in {}", String::from_utf8_lossy(&lies.to), lies.from, lies.statement);
        assert!(foreign.is_empty() && gone.is_empty(), "{told}: new {foreign:?}, gone {gone:?}\n{said}");
        said.split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

/// A clean run takes two seconds.
const WAITED: Duration = Duration::from_secs(20);

fn lie(statement: &str, from: &str, to: &str) -> Lies {
    Lies { statement: statement.into(), from: Some(from.as_bytes().to_vec()), to: to.as_bytes().to_vec(), ..Lies::default() }
}

/// The routes by which a source once ran statements at the destination, and their neighbours.
#[tokio::test(flavor = "multi_thread")]
async fn known_routes_are_closed() {
    let _place = place().await;
    let lab = Lab::start().await;
    let behind = |text: &str| format!("{text}; {CRIMES}");
    let mut problems = Vec::new();
    for (lies, sentence) in [
        // Behind the options of a table, inside them, and as a table made from others.
        (lie("SHOW CREATE TABLE", "COMMENT='marked'", &behind("COMMENT='marked'")), "second statement"),
        (lie("SHOW CREATE TABLE", "COMMENT='marked'", &format!("/*!50100 ; {CRIMES} */")), "second statement"),
        (lie("SHOW CREATE TABLE", "COMMENT='marked'", "AS SELECT * FROM mysql.user"), "AS among the table's options"),
        (lie("SHOW CREATE TABLE", "ENGINE=InnoDB", "ENGINE=InnoDB DATA DIRECTORY='/tmp/x' CONNECTION='x'"), "CONNECTION among"),
        (
            lie(
                "SHOW CREATE TABLE",
                "`price` decimal(10,2) DEFAULT NULL",
                "`price` decimal(10,2) REFERENCES `bystander`.`rows` (`id`)",
            ),
            "not selected",
        ),
        (lie("SHOW CREATE TABLE", "KEY `by_name` (`name`)", &format!("KEY `by_name` (`name`); {CRIMES}; (")), "parenthesis"),
        // Behind a view, and into it.
        (lie("SHOW CREATE VIEW", "`shop`.`items`.`price` < 10", &behind("1")), "second statement"),
        (lie("SHOW CREATE VIEW", "from `shop`.`items`", "from `shop`.`items`, `mysql`.`user`"), "comma"),
        (lie("SHOW CREATE VIEW", "from `shop`.`items`", "from `mysql`.`user`"), "not selected"),
        // Behind the body of a program, where our parser sees it and where only the server can; into a head; as another program.
        (lie("SHOW CREATE PROCEDURE", "SELECT 1", &behind("SELECT 1")), "second statement behind its body"),
        (lie("SHOW CREATE FUNCTION", "RETURN 2; END", &behind("RETURN 2; END")), "error in your SQL syntax"),
        (lie("SHOW CREATE FUNCTION", "RETURNS int", &format!("RETURNS int; {CRIMES}; CREATE")), "second statement in its head"),
        (
            lie("SHOW CREATE TRIGGER", "SET @three = 3", "INSERT INTO mysql.user SELECT * FROM mysql.user"),
            "it uses the database mysql",
        ),
        (lie("SHOW CREATE TRIGGER", "SET @three = 3", &behind("SET @three = 3")), "second statement behind its body"),
        (
            lie("SHOW CREATE EVENT", "ON COMPLETION", &format!("DO SELECT 1; {CRIMES}; ON COMPLETION")),
            "second statement in its head",
        ),
        (lie("information_schema.ROUTINES", "said", &format!("said'; {CRIMES}; -- ")), ""),
        (lie("information_schema.ROUTINES", "root@%", &format!("root`@`%` ; {CRIMES}; -- @%")), ""),
        // Character sets and collations, of a database and of a column.
        (lie("schemata", "latin1", &behind("latin1")), "the destination lacks"),
        (lie("schemata", "latin1_swedish_ci", &behind("latin1_swedish_ci")), "the destination lacks"),
        (lie("information_schema.columns", "latin2", &format!("latin2'x'); {CRIMES}; -- ")), "no name of a character set"),
        // Values of numeric columns, and exact numbers in documents, which stand in statements without quotes.
        (lie("FROM `shop`.`items`", "7777.77", &format!("1);{CRIMES};-- ")), "column price"),
        (lie("FROM `shop`.`items`", "[1, \"x\"]", &format!("[--, \"\n);{CRIMES};-- \"]")), ""),
        (lie("gtid_executed", ":", &format!(":x'); {CRIMES}; -- :")), ""),
    ] {
        let said = lab.told(lies.clone()).await;
        if !said.contains(sentence) || said.contains("panicked") {
            let what = String::from_utf8_lossy(&lies.to).into_owned();
            problems.push(format!("{what}: '{sentence}' is not in, or there was a panic:\n{said}"));
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n\n"));
    errors_are_short_and_plain(&lab).await;
    // The same lab, and the truth again.
    lab.destination.run(&["DROP DATABASE IF EXISTS shop", "DROP DATABASE IF EXISTS godwit"]).await;
    lab.migration.arrives(&lab.source, &lab.destination).await;
}

/// What the first packet of an answer is: an error of 8 MiB with commands to a terminal in it.
fn loud_error() -> Vec<u8> {
    let mut text = b"\xff\x51\x04#HY000".to_vec();
    text.extend_from_slice(b"\x1b]0;owned\x07\x1b[2J\xe2\x80\xae\nERROR forged ");
    text.resize(8 << 20, b'x');
    text.extend_from_slice(b"\x1b[8m");
    text
}

/// An error of a server is short where it is reported, and nothing in it does anything to a terminal or begins a line of the log.
async fn errors_are_short_and_plain(lab: &Lab) {
    for (statement, command) in [
        // Before the definitions are read, while they are, and in the copy.
        ("VERSION()", "run"),
        ("SHOW CREATE TABLE", "run"),
        ("FROM `shop`.`items`", "run"),
        ("SHOW CREATE TABLE", "precheck"),
        ("SHOW CREATE TABLE", "plan"),
    ] {
        lab.destination.run(&["DROP DATABASE IF EXISTS shop", "DROP DATABASE IF EXISTS godwit"]).await;
        lab.proxy.lie(Some(Lies { statement: statement.into(), answer: Some(loud_error()), ..Lies::default() }));
        let printed = if command == "run" {
            let mut running = lab.migration.start(&["--log-format", if statement == "VERSION()" { "json" } else { "text" }]);
            let deadline = Instant::now() + Duration::from_secs(60);
            while running.ended().is_none() && running.phase() != "Retrying" {
                assert!(Instant::now() < deadline, "{statement}: {}", running.log());
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            let report = running.report().to_string();
            assert!(report.len() < 64 << 10 && report.contains("owned"), "{statement}: {} bytes", report.len());
            let printed = running.log();
            running.kill();
            printed + &report
        } else {
            let ended = lab.migration.godwit(&[command]).await;
            format!("{}{}", ended.out, ended.err)
        };
        assert!(printed.contains("\\u{1b}]0;owned") || printed.contains("\\\\u{1b}]0;owned"), "{statement}: {printed:.3000}");
        let acts = |c: char| (c.is_control() && c != '\n') || matches!(c, '\u{202a}'..='\u{202e}');
        assert!(
            !printed.contains(acts) && !printed.contains("\nERROR forged") && printed.len() < 64 << 10,
            "{statement}: {printed:.3000}"
        );
    }
    lab.proxy.lie(None);
}

/// Into every string of the answer to a statement. What the engine asks is taken from a clean run, so that no statement is forgotten. One
/// part of `parts`, spread evenly: which one changes from day to day, so that all have their turn.
async fn strings_are_not_believed(parts: usize) {
    let _place = place().await;
    let lab = Lab::start().await;
    let asked = lab.proxy.asked();
    assert!(asked.len() > 40, "{asked:#?}");
    let payload = format!("`'\");*/\n{CRIMES};-- ");
    let days = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs() / 86_400;
    let part = number("GODWIT_FUZZ_SEED", days) as usize % parts;
    println!("part {part} of {parts}; again with GODWIT_FUZZ_SEED={part}");
    for (place, statement) in asked.iter().enumerate().skip(part).step_by(parts) {
        let started = Instant::now();
        let said = lab.told(Lies { statement: statement.clone(), to: payload.clone().into_bytes(), ..Lies::default() }).await;
        let end: String = said.chars().rev().take(160).collect::<Vec<_>>().into_iter().rev().collect();
        println!("{place}/{} {:.1} s {:.60}: {end}", asked.len(), started.elapsed().as_secs_f64(), statement.replace('\n', " "));
    }
    // Names, statements, files and values in the events of the log.
    let edits = [("items", "i`;#s"), ("shop", "s';#"), ("BEGIN", "';\n--"), ("binlog.0", "b';-- `\\"), ("eno", "';#")];
    for (from, to) in edits.into_iter().skip(part % edits.len()).step_by(parts.min(edits.len())) {
        let started = Instant::now();
        let said = lab.told(Lies { log: true, ..lie("", from, to) }).await;
        let end: String = said.chars().rev().take(160).collect::<Vec<_>>().into_iter().rev().collect();
        println!("{from} as {to:?} in the log {:.1} s: {end}", started.elapsed().as_secs_f64());
    }
}

/// A tenth of them each day.
#[tokio::test(flavor = "multi_thread")]
async fn no_string_of_a_source_is_believed() {
    strings_are_not_believed(10).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes six minutes: cargo test --test e2e -- --ignored every_string"]
async fn every_string_of_a_source_is_not_believed() {
    strings_are_not_believed(1).await;
}
