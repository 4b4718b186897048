use super::*;
use crate::fixture;
use crate::schema::names::SameNames;

const TABLE: &str = "CREATE TABLE `t` (\n  `a` enum('😀','é') COLLATE utf8mb4_bin DEFAULT 'é' COMMENT 'of a',\n  `b` int NOT NULL DEFAULT '7',\n  \
                     `g` varchar(9) GENERATED ALWAYS AS (concat(`b`,_utf8mb4'😀')) STORED,\n  `h` text DEFAULT (_utf8mb4'ü'),\n  \
                     `v` varbinary(9) DEFAULT 0x00FF,\n  KEY `k` (`b`) COMMENT 'of k',\n  KEY `f` ((lower(`a`))),\n  \
                     CONSTRAINT `c` CHECK ((`b` > 0))\n) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COMMENT='of t'\n\
                     /*!50500 PARTITION BY LIST  COLUMNS(b)\n(PARTITION p0 VALUES IN (1,2) COMMENT = 'of p' ENGINE = InnoDB) */";

fn found(there: &str, from: &str, to: &str) -> Vec<TextDifference> {
    let table = |create: &str| TableDefinition { create_statement: create.into(), ..fixture::definition("d", "t", Vec::new()) };
    text_differences(&table(TABLE), &ServerInfo::parse(from), &table(there), &ServerInfo::parse(to), &SameNames)
}

#[test]
fn what_is_spelled_otherwise_is_the_same() {
    assert_eq!(found(TABLE, "9.7.4", "9.7.4"), []);
    // MySQL 5.7 says no character sets.
    let older = TABLE.replace("_utf8mb4'", "'").replace("0x00FF", "x'00ff'").replace("'7'", "7");
    assert_eq!(found(&older, "5.7.22", "9.7.4"), []);
    // A newer version says the conversions that an older one made silently; in one version they are a difference.
    let converted = TABLE.replace("concat(`b`,", "concat(convert(`b` using utf8mb4),");
    assert_ne!(converted, TABLE);
    assert_eq!(found(&converted, "8.0.15", "9.7.4"), []);
    assert_eq!(found(&converted, "9.7.4", "9.7.4").len(), 1);
}

#[test]
fn each_planted_difference_is_named() {
    for (here, there, what) in [
        ("'😀','é'", "'?','é'", "column a: labels"),
        ("DEFAULT 'é'", "DEFAULT '😀'", "column a: default"),
        ("DEFAULT 'é' ", "DEFAULT NULL ", "column a: default"),
        ("'of a'", "'of b'", "column a: comment"),
        ("'7'", "'8'", "column b: default"),
        ("_utf8mb4'😀'", "_utf8mb4'????'", "column g: expression"),
        ("concat(", "concat_ws(", "column g: expression"),
        ("_utf8mb4'ü'", "_utf8mb4'u'", "column h: default"),
        ("0x00FF", "0x003F", "column v: default"),
        ("'of k'", "''", "index k: comment"),
        ("lower", "upper", "index f: expression"),
        ("> 0", "> 1", "check c: expression"),
        (",\n  CONSTRAINT `c` CHECK ((`b` > 0))", "", "check c"),
        ("CHECK ((`b` > 0))", "CHECK ((`b` > 0)) /*!80016 NOT ENFORCED */", "check c: enforced"),
        ("  CONSTRAINT `c`", "  CONSTRAINT `d` CHECK ((`b` > 0)),\n  CONSTRAINT `c`", "check d"),
        ("'of t'", "'of u'", "table: comment"),
        ("(1,2)", "(1,3)", "table: partitions"),
        ("'of p'", "'of q'", "table: partitions"),
    ] {
        let changed = TABLE.replacen(here, there, 1);
        assert_ne!(changed, TABLE);
        let list: Vec<String> = found(&changed, "9.7.4", "9.7.4").into_iter().map(|difference| difference.what).collect();
        assert_eq!(list, [what], "{here}");
    }
}

#[test]
fn families_are_compared_by_what_was_written() {
    let table = |create: &str| TableDefinition { create_statement: create.into(), ..fixture::definition("d", "t", Vec::new()) };
    let (mysql, mariadb) = (ServerInfo::parse("8.0.36"), ServerInfo::parse("11.4.5-MariaDB"));
    let of = |expression: &str| {
        format!("CREATE TABLE `t` (\n  `a` int,\n  `g` varchar(9) GENERATED ALWAYS AS ({expression}) STORED\n)")
    };
    let compared =
        |here: &str, there: &str| text_differences(&table(&of(here)), &mysql, &table(&of(there)), &mariadb, &SameNames).len();
    assert_eq!(
        compared("if((length(`a`) = 3),_utf8mb4'é',_latin1 0xE4)", "if(octet_length(`a`) = 3,'é',convert(0xe4 using latin1))"),
        0
    );
    assert_eq!(compared("concat(`a`,_utf8mb4'é')", "concat(`a`,'e')"), 1);
    assert_eq!(compared("if((`a` > 1),2,3)", "if(`a` < 1,2,3)"), 1);
    assert_eq!(compared("if((`a` > 1),2,3)", "if(`a` > 1,2,4)"), 1);
    assert_eq!(compared("if((`a` > 1),2,3)", "if(`a` >= 1,2,3)"), 1);
}

/// As MySQL 5.7 or 8.0, MySQL 9.7 and MariaDB 11.4 print the same condition.
#[test]
fn conditions_that_servers_print_otherwise() {
    let (old, new, mariadb) = (ServerInfo::parse("8.0.15"), ServerInfo::parse("9.7.4"), ServerInfo::parse("11.4.5-MariaDB"));
    let view = |condition: &str| format!("CREATE VIEW `d`.`v` AS select 1 AS `x` from `d`.`t` where {condition}");
    for (eight, nine, other) in [
        ("isnull(`t`.`a`)", "(`t`.`a` is null)", "`t`.`a` is null"),
        ("(not((`t`.`s` like 'b%')))", "(not((`t`.`s` like 'b%')))", "`t`.`s`  not like 'b%'"),
        ("regexp_like(`t`.`s`,'^a')", "regexp_like(`t`.`s`,'^a')", "`t`.`s` regexp '^a'"),
        ("((`t`.`a` % 3) = 1)", "((`t`.`a` % 3) = 1)", "`t`.`a` MOD 3 = 1"),
        ("(-(`t`.`a`) < 5)", "(-(`t`.`a`) < 5)", "-`t`.`a` < 5"),
        ("((`t`.`a` << 2) >= 1)", "((`t`.`a` << 2) >= 1)", "`t`.`a` << 2 >= 1"),
        ("(`t`.`a` xor `t`.`b`)", "((0 <> `t`.`a`) xor (0 <> `t`.`b`))", "`t`.`a` xor `t`.`b`"),
        ("(`t`.`a` or `t`.`b`)", "((0 <> `t`.`a`) or (0 <> `t`.`b`))", "`t`.`a` <> 0 or `t`.`b` <> 0"),
        (
            "((`t`.`a` and `t`.`b`) or (not(`t`.`b`)))",
            "(((0 <> `t`.`a`) and (0 <> `t`.`b`)) or (0 = `t`.`b`))",
            "`t`.`a` <> 0 and `t`.`b` <> 0 or `t`.`b` = 0",
        ),
        ("(`t`.`a` <=> `t`.`b`)", "(`t`.`a` <=> `t`.`b`)", "`t`.`a` <=> `t`.`b`"),
        ("(`t`.`a` > TRUE)", "(`t`.`a` > true)", "`t`.`a` > 1"),
        ("(`t`.`a` = FALSE)", "(`t`.`a` = false)", "`t`.`a` = 0"),
        ("(`t`.`a` is true)", "((0 <> `t`.`a`) is true)", "`t`.`a` is true"),
        ("(0x41 = `t`.`s`)", "(0x41 = `t`.`s`)", "X'41' = `t`.`s`"),
        ("(length(`t`.`s`) > 3)", "(length(`t`.`s`) > 3)", "octet_length(`t`.`s`) > 3"),
        ("(count(0) > 3)", "(count(0) > 3)", "count(*) > 3"),
        (
            "((`t`.`d` + interval 1 day) > '2020-01-01')",
            "((`t`.`d` + interval 1 day) > '2020-01-01')",
            "`t`.`d` + interval 1 day > '2020-01-01'",
        ),
    ] {
        for (condition, server) in [(nine, &new), (other, &mariadb)] {
            assert!(same_view(&view(eight), &old, &view(condition), server), "{eight}, {condition}");
        }
        let planted =
            nine.replace('5', "6").replace('3', "4").replace("or", "and").replace(" > ", " <= ").replace("'b%'", "'c%'");
        let is_planted = planted != nine;
        assert_eq!(!same_view(&view(eight), &old, &view(&planted), &new), is_planted, "{planted}");
    }
}

#[test]
fn views_are_compared_by_what_they_say() {
    let (old, new) = (ServerInfo::parse("8.0.36"), ServerInfo::parse("9.7.4"));
    let view = |body: &str| format!("CREATE ALGORITHM=UNDEFINED SQL SECURITY INVOKER VIEW `d`.`v` AS {body}");
    let same = |here: &str, there: &str, info: &ServerInfo| same_view(&view(here), info, &view(there), &new);
    let body = "select `x`.`a` AS `a` from `d`.`w` `x` where (`x`.`a` > _utf8mb4'é')";
    assert!(same(body, body, &new));
    assert!(same(body, &body.replace("`x`.", "`d`.`x`."), &old));
    assert!(same(body, &body.replace("`x`.", "`d`.`x`."), &new));
    assert!(!same(body, &body.replace('é', "e"), &old));
    assert!(!same(body, &body.replace("`w`", "`u`"), &old));
    assert!(!same(body, &body.replace('>', "<"), &new));
}
