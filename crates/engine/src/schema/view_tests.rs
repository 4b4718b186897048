use super::*;

fn name(database: &str, table: &str) -> TableName {
    TableName { database: database.into(), table: table.into() }
}

/// `d.t` becomes `e.u`, column `a` of it `z`, everything else of `d` goes to `e`.
struct Renamed;

impl NameMap for Renamed {
    fn database(&self, source: &str) -> Option<String> {
        (source == "d").then(|| "e".to_owned())
    }

    fn table(&self, source: &TableName) -> Option<TableName> {
        let table = if source.table == "t" { "u" } else { &source.table };
        (source.database == "d").then(|| name("e", table))
    }

    fn column(&self, table: &TableName, column: &str) -> Option<String> {
        match (table.table.as_str(), column) {
            ("t", "a") => Some("z".into()),
            ("t", "gone") => None,
            _ => Some(column.to_owned()),
        }
    }
}

fn rewritten(body: &str) -> Result<String> {
    let create = format!("CREATE ALGORITHM=UNDEFINED DEFINER=`a b`@`%` SQL SECURITY DEFINER VIEW `d`.`v` AS {body}");
    let text = rewrite_view(&create, &name("d", "v"), &Renamed, Definer::Invoker)?;
    let head = "CREATE ALGORITHM=UNDEFINED SQL SECURITY INVOKER VIEW `e`.`v` AS ";
    Ok(text.strip_prefix(head).unwrap_or_else(|| panic!("{text}")).to_owned())
}

#[test]
fn names_of_tables_and_columns() {
    for (body, expected) in [
        (
            "select `d`.`t`.`a` AS `a`,`w`.`a` AS `t` from (`d`.`t` join `d`.`w` on((`d`.`t`.`a` = `w`.`x`)))",
            "select `e`.`u`.`z` AS `a`,`w`.`a` AS `t` from (`e`.`u` join `e`.`w` on((`e`.`u`.`z` = `w`.`x`)))",
        ),
        (
            "select `p`.`a` AS `a`,'`d`.`t`' AS `s` from `d`.`t` `p` where (extract(year from `p`.`a`) > 2)",
            "select `p`.`z` AS `a`,'`d`.`t`' AS `s` from `e`.`u` `p` where (extract(year from `p`.`z`) > 2)",
        ),
        ("select `t`.`a` AS `a` from `d`.`t`", "select `u`.`z` AS `a` from `e`.`u`"),
        ("select `d`.`f`(`d`.`t`.`b`) AS `x` from `d`.`t`", "select `e`.`f`(`e`.`u`.`b`) AS `x` from `e`.`u`"),
        (
            "with `x` as (select `d`.`t`.`a` AS `a` from `d`.`t`) select `x`.`a` AS `a` from (`x` join `d`.`w`)",
            "with `x` as (select `e`.`u`.`z` AS `a` from `e`.`u`) select `x`.`a` AS `a` from (`x` join `e`.`w`)",
        ),
        (
            "select 1 AS `1` from (((`d`.`t` join `d`.`w`) join (select max(`d`.`t`.`a`) AS `m` from `d`.`t`) `q`) join json_table(`d`.`t`.`b`,'$' columns (`j` int path '$')) `jt`)",
            "select 1 AS `1` from (((`e`.`u` join `e`.`w`) join (select max(`e`.`u`.`z`) AS `m` from `e`.`u`) `q`) join json_table(`e`.`u`.`b`,'$' columns (`j` int path '$')) `jt`)",
        ),
        // MariaDB: the name of the CTE has no quotes where it is made, and is a table's as well.
        (
            "with t as (select `d`.`t`.`a` AS `a` from `d`.`t`)select `t`.`a` AS `a`,`x`.`a` AS `y` from (`t` join `d`.`w` `x` on(`x`.`a` = `t`.`a`))",
            "with t as (select `e`.`u`.`z` AS `a` from `e`.`u`)select `t`.`a` AS `a`,`x`.`a` AS `y` from (`t` join `e`.`w` `x` on(`x`.`a` = `t`.`a`))",
        ),
        // MySQL 9: a view's alias behind its database.
        (
            "select `d`.`x`.`id` AS `id` from `d`.`w` `x` where (`d`.`x`.`id` > 0)",
            "select `x`.`id` AS `id` from `e`.`w` `x` where (`x`.`id` > 0)",
        ),
        (
            "select `d`.`w`.`b` AS `b`,(select `d`.`w`.`c` from `d`.`x` `w`) AS `c` from `d`.`w`",
            "select `w`.`b` AS `b`,(select `w`.`c` from `e`.`x` `w`) AS `c` from `e`.`w`",
        ),
        (
            "select `sys`.`version`.`sys_version` AS `v`,`sys`.`format_bytes`(1) AS `b` from `sys`.`version`",
            "select `sys`.`version`.`sys_version` AS `v`,`sys`.`format_bytes`(1) AS `b` from `sys`.`version`",
        ),
    ] {
        assert_eq!(rewritten(body).unwrap(), expected);
    }
}

#[test]
fn what_cannot_be_is_refused() {
    let missing = rewritten("select `o`.`t`.`a` AS `a` from `o`.`t`").unwrap_err();
    assert!(missing.to_string().contains("o.t"), "{missing}");
    let left_out = rewritten("select `p`.`gone` AS `a` from `d`.`t` `p`").unwrap_err();
    assert!(left_out.to_string().contains("gone"), "{left_out}");
    let two = rewritten("select (select `p`.`a` from `d`.`t` `p`) AS `x`,(select `p`.`a` from `d`.`w` `p`) AS `y`");
    assert!(two.is_err());
    assert!(rewritten("select `d`.`t`.`b` AS `b`,(select `d`.`t`.`c` from `d`.`x` `t`) AS `c` from `d`.`t`").is_err());
    for other in ["select `mysql`.`user`.`User` AS `u` from `mysql`.`user`", "select `o`.`f`(1) AS `x`"] {
        assert!(rewritten(other).unwrap_err().to_string().contains("not selected"), "{other}");
    }
    assert!(rewrite_view("CREATE TABLE t (a int)", &name("d", "v"), &Renamed, Definer::Keep).is_err());
}

#[test]
fn definer_is_kept_on_request() {
    let create = "CREATE ALGORITHM=MERGE DEFINER=`a`@`%` SQL SECURITY DEFINER VIEW `v` (`x`,`y`) AS select 1 AS `x`,2 AS `y`";
    let kept = rewrite_view(create, &name("d", "v"), &Renamed, Definer::Keep).unwrap();
    assert_eq!(kept, create.replace("VIEW `v`", "VIEW `e`.`v`"));
}

#[test]
fn order_follows_what_is_read() {
    let view = |own: &str, reads: &str| {
        (name("d", own), format!("CREATE VIEW `d`.`{own}` AS select `d`.`{reads}`.`a` AS `a` from `d`.`{reads}`"))
    };
    let views = [view("a", "b"), view("b", "c"), view("c", "t"), view("x", "x")];
    assert_eq!(order_views(&views), [2, 1, 0, 3]);
    assert_eq!(view_references(&views[0].1, &views[0].0).unwrap(), [name("d", "b")]);
}
