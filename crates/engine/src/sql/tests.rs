//! What a hostile source could say, and that none of it makes a second statement or another object.

use proptest::prelude::*;

use super::single::{Single, whole_characters};
use crate::fixture;
use crate::plan::{ColumnPlan, JsonSides};
use crate::schema::edit::quote_string;
use crate::sql;
use crate::sql::lexer::{LexMode, TokenKind, tokens};
use crate::sql::{Name, Qualified, Quoted, Sql};
use crate::value::json_types::JsonServer;
use crate::value::literal::push_compare_literal;
use godwit_model::definition::Kind;
use godwit_model::names::TableName;
use godwit_model::names::{quote_identifier, quote_qualified};
use godwit_model::words::{is_exact_number, is_number, is_word};

fn object() -> TableName {
    TableName { database: "d".into(), table: "t".into() }
}

fn parse(statement: &str) -> Result<Single, String> {
    Single::parse(statement, &object()).map_err(|error| error.to_string())
}

#[test]
fn what_stands_behind_or_inside_a_table_is_refused() {
    for options in [
        "; CREATE USER mallory",
        "ENGINE=InnoDB; DROP DATABASE prod",
        "/*!50100 ; */",
        "/*!99999 ) */",
        "ENGINE=InnoDB AS SELECT * FROM mysql.user",
        "ENGINE=InnoDB IGNORE SELECT 1",
        "ENGINE=InnoDB SELECT 1",
        "ENGINE=InnoDB -- x",
        "ENGINE=InnoDB /* x */",
        "ENGINE=InnoDB # x",
        "ENGINE=InnoDB COMMENT='x",
        "ENGINE=FEDERATED CONNECTION='mysql://h/d/t'",
        "ENGINE=CONNECT TABLE_TYPE=CSV FILE_NAME='/etc/passwd'",
        "ENGINE=SPIDER",
        "ENGINE=InnoDB CONNECTION='x'",
        "ENGINE=InnoDB DATA DIRECTORY='/tmp'",
        "ENGINE=InnoDB TABLESPACE x",
        "ENGINE=MRG_MyISAM UNION=(x)",
        "ENGINE=InnoDB LIKE mysql.user",
        "ENGINE=InnoDB PARTITION BY HASH (a) PARTITIONS 2 AS SELECT 1",
        "PARTITION BY RANGE (a) (PARTITION p VALUES LESS THAN (1) DATA DIRECTORY='/x')",
        "PARTITION BY HASH (a); DROP TABLE x",
        "COMMENT=@@datadir",
        "COMMENT=(SELECT 1)",
        "\0",
    ] {
        assert!(parse(&format!("CREATE TABLE `d`.`t` (\n  `a` int\n) {options}")).is_err(), "{options}");
    }
    for items in [
        "LIKE mysql.user",
        "SELECT 1",
        "`a` int REFERENCES `x`.`y` (`z`)",
        "`a` int DEFAULT (load_file('/etc/passwd'))",
        "`a` int DEFAULT (@x)",
        "`a` int DEFAULT (nextval(x.y))",
        "`a` int) SELECT 1 FROM (`b`",
        "`a` int, CONSTRAINT `f` FOREIGN KEY (`a`) REFERENCES `p` (`a`)",
        "`a` int, FOREIGN KEY (`a`) REFERENCES `d`.`p` (`a`) REFERENCES `d`.`q` (`a`)",
        "`a` int, CONSTRAINT `f` FOREIGN KEY (`a`)",
        "a int",
    ] {
        assert!(parse(&format!("CREATE TABLE `d`.`t` (\n  {items}\n) ENGINE=InnoDB")).is_err(), "{items}");
    }
    for statement in [
        "CREATE TABLE `d`.`u` (`a` int)",
        "CREATE TABLE `t` (`a` int)",
        "CREATE TABLE d.t (`a` int)",
        "CREATE USER `d`.`t`",
        "DROP TABLE `d`.`t`",
        "ALTER TABLE `d`.`t` DROP COLUMN `a`",
        "ALTER TABLE `d`.`t` ADD KEY `k` (`a`), RENAME TO `x`",
        "ALTER TABLE `d`.`t` ADD KEY `k` (`a`), ADD PARTITION PARTITIONS 2",
        "ALTER TABLE `d`.`x` ADD KEY `k` (`a`)",
        "CREATE TRIGGER `d`.`t` BEFORE INSERT ON x FOR EACH ROW SET @x=1",
        "",
    ] {
        assert!(parse(statement).is_err(), "{statement}");
    }
    assert!(parse("ALTER TABLE `d`.`t` ADD KEY `k` (`a`), ADD CONSTRAINT `f` FOREIGN KEY (`a`) REFERENCES `d`.`p` (`a`) ON DELETE SET NULL").is_ok());
    assert!(parse("CREATE TABLE `d`.`t` (\n  `a` datetime /* mariadb-5.3 */\n) ENGINE=Aria `PAGE_COMPRESSED`=1").is_ok());
}

#[test]
fn a_view_is_one_query_over_tables_that_are_named() {
    let view =
        |body: &str| parse(&format!("CREATE ALGORITHM=UNDEFINED DEFINER=`r`@`%` SQL SECURITY DEFINER VIEW `d`.`t` AS {body}"));
    for body in [
        "select 1 AS `1`; DROP DATABASE prod",
        "select 1 AS `1` into outfile '/tmp/x'",
        "select load_file('/etc/passwd') AS `x`",
        "select 1 AS `1` from (`d`.`a` join `d`.`b`), `mysql`.`user`",
        "select 1 AS `1` from `d`.`a` join `d`.`b` on(1), `mysql`.`user`",
        "select 1 AS `1` from mysql.user",
        "table `mysql`.`user`",
        "select * from {oj `mysql`.`user`}",
        "select 1 /*!80000 from `mysql`.`user` */",
        "select 1 -- ",
        "delete from `d`.`x`",
        "select (select 1",
    ] {
        assert!(view(body).is_err(), "{body}");
    }
    for body in [
        "select `p`.`a` AS `a`,`p`.`b` AS `b` from (`d`.`a` `p` join `d`.`b` on((`p`.`x` in (1,2)))) where (`p`.`y` in (1,2)) order by 1,2 limit 1,2",
        "with `x` (`a`,`b`) as (select 1,2) select `x`.`a` AS `a`,extract(year from `x`.`b`) AS `y` from `x` union select 1,2",
    ] {
        assert_eq!(view(body).err(), None, "{body}");
    }
    assert!(parse("CREATE VIEW `d`.`other` AS select 1").is_err());
    assert!(parse("CREATE VIEW `d`.`t`").is_err());
    assert!(parse("CREATE DATABASE x; CREATE VIEW `d`.`t` AS select 1").is_err());
}

#[test]
fn what_is_prepared_is_a_whole_number_of_characters_everywhere() {
    for text in ["select 1", "select 11", "select 111", "select 1111"] {
        let whole = String::from_utf8(whole_characters(text.as_bytes())).unwrap();
        assert!(whole.len().is_multiple_of(4) && whole.trim_end() == text && whole.len() < text.len() + 4, "{whole}");
    }
}

#[test]
fn numbers_are_numbers() {
    for number in ["0", "-1", "1.5", ".5", "18446744073709551615", "0000"] {
        assert!(is_exact_number(number.as_bytes()) && is_number(number.as_bytes()), "{number}");
    }
    for number in ["1e0", "-1.5e-300", "1E+5"] {
        assert!(is_number(number.as_bytes()) && !is_exact_number(number.as_bytes()), "{number}");
    }
    for text in
        ["", "-", ".", "--1", "1-", "1--", "1.2.3", "1e", "e1", "1e1.5", "0x10", "NULL", "1;", "1 ", "1)", "+1", "inf", "NaN"]
    {
        assert!(!is_number(text.as_bytes()), "{text}");
    }
    assert!(is_word("utf8mb4_0900_ai_ci") && !is_word("") && !is_word("latin1'") && !is_word("utf8 x") && !is_word("é"));
}

const SERVERS: [JsonServer; 3] = [JsonServer::Text, JsonServer::MySql57 { measures: true }, JsonServer::MySql8021];

/// Every kind of column whose literal is not plain text, and those with an introducer.
fn columns() -> Vec<godwit_model::definition::Column> {
    let kinds = [
        Kind::Int { unsigned: false },
        Kind::Decimal { precision: 10, scale: 2 },
        Kind::Double,
        Kind::Year,
        Kind::Bit { bits: 8 },
        Kind::Enum { labels: vec!["a".into()] },
        Kind::Set { labels: vec!["a".into()] },
        Kind::Json,
        Kind::DateTime { fsp: 0 },
        Kind::Varchar,
        Kind::Blob,
        Kind::Geometry,
        Kind::Uuid,
    ];
    kinds.into_iter().map(|kind| fixture::column("c", kind)).collect()
}

/// The statement has nothing but what stands around the hole: no `;`, nothing open, and the words behind it are words.
fn is_one_statement(before: &str, hole: &[u8], after: &str) -> bool {
    let mut sql = before.as_bytes().to_vec();
    sql.extend_from_slice(hole);
    sql.extend_from_slice(after.as_bytes());
    let list = tokens(&sql, &LexMode::default());
    let closed = list.iter().all(|token| !matches!(token.kind, TokenKind::Broken | TokenKind::Punct(b';')));
    let depth = list.iter().fold(0i64, |depth, token| depth + i64::from(token.is_punct(b'(')) - i64::from(token.is_punct(b')')));
    closed && depth == 0 && list.last().is_some_and(|token| token.bytes(&sql) == b"END_OF_STATEMENT")
}

fn injections() -> impl Strategy<Value = Vec<u8>> {
    let pieces = [
        "'",
        "\"",
        "`",
        "\\",
        ";",
        "--",
        " -- ",
        "#",
        "/*",
        "*/",
        "/*!",
        "\n",
        "\0",
        "(",
        ")",
        ",",
        "1",
        "-",
        ".",
        "e",
        "[",
        "]",
        "{",
        "}",
        ":",
        "CREATE USER x",
        "\u{e9}",
        "a",
    ];
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..40),
        proptest::collection::vec(proptest::sample::select(pieces.to_vec()), 0..12).prop_map(|list| list.concat().into_bytes()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    /// Values and names, whatever they hold.
    #[test]
    fn no_value_or_name_makes_two_statements(bytes in injections()) {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        for (mut column, server) in columns().into_iter().flat_map(|column| SERVERS.map(|server| (column.clone(), server))) {
            column.character_set = Some(text.clone());
            let json = JsonSides { source: server, destination: server, ..JsonSides::default() };
            let planned = ColumnPlan { image: 0, destination_name: text.clone(), write: true, column, json };
            let mut inserted = Sql::default();
            planned.push_value(&mut inserted, Some(&bytes));
            let mut compared = Sql::default();
            push_compare_literal(&mut compared, &planned.column, Some(&bytes));
            for literal in [inserted, compared] {
                prop_assert!(is_one_statement("INSERT INTO t VALUES (", literal.as_bytes(), ") END_OF_STATEMENT"), "{literal:?}");
            }
            let mut condition = Sql::default();
            planned.push_identity(&mut condition, Some(&bytes));
            prop_assert!(is_one_statement("DELETE FROM t WHERE ", condition.as_bytes(), " END_OF_STATEMENT"), "{condition:?}");
        }
        let sent = [sql!("{}", Name(&text)), sql!("{}", Qualified { database: &text, object: &text }), sql!("{}", Quoted(&text))];
        let shown = [quote_identifier(&text), quote_qualified(&text, &text), quote_string(&text)];
        for name in sent.iter().map(Sql::to_string).chain(shown) {
            prop_assert!(is_one_statement("SELECT ", name.as_bytes(), " END_OF_STATEMENT"), "{name}");
        }
    }

    /// Definitions: what is accepted has the one object in it, and no second statement.
    #[test]
    fn no_definition_makes_two_statements(bytes in injections(), place in 0usize..4) {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let statement = match place {
            0 => format!("CREATE TABLE `d`.`t` (`a` int {text}) ENGINE=InnoDB"),
            1 => format!("CREATE TABLE `d`.`t` (`a` int) ENGINE=InnoDB {text}"),
            2 => format!("CREATE VIEW `d`.`t` AS select 1 AS `a` {text}"),
            _ => format!("ALTER TABLE `d`.`t` ADD KEY `k` (`a`) {text}"),
        };
        if parse(&statement).is_ok() {
            prop_assert!(is_one_statement("", statement.as_bytes(), " END_OF_STATEMENT"), "{statement}");
        }
    }
}
