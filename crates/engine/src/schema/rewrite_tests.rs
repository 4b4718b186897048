use std::collections::HashMap;

use super::*;
use crate::schema::names::SameNames;
use crate::sql::lexer::{LexMode, tokens};
use godwit_model::names::quote_identifier;

const CORPUS: [&str; 4] = [
    include_str!("corpus/mysql57.sql"),
    include_str!("corpus/mysql80.sql"),
    include_str!("corpus/mysql97.sql"),
    include_str!("corpus/mariadb114.sql"),
];

fn corpus() -> impl Iterator<Item = &'static str> {
    CORPUS.iter().flat_map(|text| text.split(";\n")).map(str::trim).filter(|create| !create.is_empty())
}

fn name(database: &str, table: &str) -> TableName {
    TableName { database: database.into(), table: table.into() }
}

fn rules<'a>(names: &'a dyn NameMap, source: &str, destination: &str) -> TableRewrite<'a> {
    TableRewrite {
        source: name("d", source),
        destination: name("e", destination),
        key_index: None,
        engine: Engine::AsSource,
        needed: Vec::new(),
        defer_indexes: true,
        names,
    }
}

/// Columns to new names; an empty name leaves the column out. Tables move from `d` to `e` and become `<name>2`.
struct Columns(HashMap<&'static str, &'static str>);

impl NameMap for Columns {
    fn database(&self, source: &str) -> Option<String> {
        (source == "d").then(|| "e".into())
    }

    fn table(&self, source: &TableName) -> Option<TableName> {
        (source.database == "d").then(|| name("e", &format!("{}2", source.table)))
    }

    fn column(&self, _: &TableName, column: &str) -> Option<String> {
        match self.0.get(column.to_lowercase().as_str()) {
            Some(&"") => None,
            Some(new) => Some((*new).to_owned()),
            None => Some(column.to_owned()),
        }
    }
}

fn columns(pairs: &[(&'static str, &'static str)]) -> Columns {
    Columns(pairs.iter().copied().collect())
}

fn sorted_tokens(text: &str) -> Vec<String> {
    let mut list: Vec<String> = tokens(text.as_bytes(), &LexMode::default())
        .iter()
        .map(|token| text[token.span()].to_owned())
        .filter(|text| text != ",")
        .collect();
    list.sort();
    list
}

/// Nothing is lost or added but names: what was in the definition is in the CREATE or in an addition.
#[test]
fn the_corpus_is_kept_token_for_token() {
    let mut count = 0;
    for create in corpus() {
        let parsed = CreateTable::parse(create).unwrap();
        let table = parsed.name_at(parsed.name.start).unwrap();
        let mut rules = rules(&SameNames, &table, &table);
        rules.source.database = "e".into();
        let rewritten = rewrite_create_table(create, &rules).unwrap();
        assert!(rewritten.notes.is_empty(), "{:?}", rewritten.notes);
        let qualified = format!("{}.", quote_identifier("e"));
        let mut whole = rewritten.create.replace(&qualified, "");
        for addition in rewritten.deferred.iter().flat_map(|deferred| &deferred.additions) {
            whole.push(' ');
            whole.push_str(addition.clause.strip_prefix("ADD ").unwrap().replace(&qualified, "").as_str());
        }
        assert_eq!(sorted_tokens(&whole), sorted_tokens(create), "{create}");
        assert_eq!(CreateTable::parse(&rewritten.create).unwrap().column_names(), parsed.column_names());
        count += 1;
    }
    assert!(count > 90, "{count}");
}

#[test]
fn indexes_wait_for_the_rows() {
    let create = "CREATE TABLE `t` (\n  `id` int NOT NULL,\n  `n` int NOT NULL AUTO_INCREMENT,\n  `a` text,\n  PRIMARY KEY (`id`),\n  \
                  UNIQUE KEY `u` (`n`,`id`),\n  KEY `k` (`id`) COMMENT 'x, y' /*!80000 INVISIBLE */,\n  KEY `e` ((lower(`a`))),\n  KEY `l` (`n`),\n  \
                  FULLTEXT KEY `f` (`a`) /*!50100 WITH PARSER `ngram` */,\n  FULLTEXT KEY `g` (`a`),\n  \
                  CONSTRAINT `t_ibfk_1` FOREIGN KEY (`id`) REFERENCES `t` (`id`) ON DELETE CASCADE,\n  \
                  CONSTRAINT `own` FOREIGN KEY (`n`) REFERENCES `d`.`p` (`x`)\n) ENGINE=InnoDB AUTO_INCREMENT=7";
    let names = columns(&[]);
    let rewritten = rewrite_create_table(create, &rules(&names, "t", "t2")).unwrap();
    assert_eq!(
        rewritten.create,
        "CREATE TABLE `e`.`t2` (\n  `id` int NOT NULL,\n  `n` int NOT NULL AUTO_INCREMENT,\n  `a` text,\n  PRIMARY KEY (`id`),\n  \
         UNIQUE KEY `u` (`n`,`id`)\n) ENGINE=InnoDB AUTO_INCREMENT=7"
    );
    let statements: Vec<String> = rewritten.deferred.iter().map(Deferred::statement).collect();
    assert_eq!(
        statements,
        [
            "ALTER TABLE `e`.`t2` ADD KEY `k` (`id`) COMMENT 'x, y' /*!80000 INVISIBLE */, ADD KEY `l` (`n`)",
            "ALTER TABLE `e`.`t2` ADD KEY `e` ((lower(`a`)))",
            "ALTER TABLE `e`.`t2` ADD FULLTEXT KEY `f` (`a`) /*!50100 WITH PARSER `ngram` */",
            "ALTER TABLE `e`.`t2` ADD FULLTEXT KEY `g` (`a`)",
            "ALTER TABLE `e`.`t2` ADD CONSTRAINT `t2_ibfk_1` FOREIGN KEY (`id`) REFERENCES `e`.`t2` (`id`) ON DELETE CASCADE, \
         ADD CONSTRAINT `own` FOREIGN KEY (`n`) REFERENCES `e`.`p2` (`x`)",
        ]
    );
    let rest = rewritten.deferred[0].statement_without(|name| name == "k");
    assert_eq!(rest.as_deref(), Some("ALTER TABLE `e`.`t2` ADD KEY `l` (`n`)"));
    assert_eq!(rewritten.deferred[1].statement_without(|_| true), None);
    let kept = TableRewrite { key_index: Some("l".into()), ..rules(&names, "t", "t2") };
    let rewritten = rewrite_create_table(create, &kept).unwrap();
    assert!(rewritten.create.contains("`l`") && !rewritten.create.contains("`u`"), "{}", rewritten.create);
}

#[test]
fn columns_are_renamed_everywhere() {
    let create = "CREATE TABLE `t` (\n  `A` int NOT NULL DEFAULT '1' COMMENT '`a`',\n  `b` int GENERATED ALWAYS AS ((`a` + length('`a`'))) VIRTUAL,\n  \
                  `j` longtext CHECK (json_valid(`j`)),\n  `year` date NOT NULL,\n  PRIMARY KEY (`a`,`year`),\n  KEY `a` (`b`,`a` DESC),\n  \
                  CONSTRAINT `t_chk_1` CHECK ((`a` > 0)) /*!80016 NOT ENFORCED */\n) ENGINE=InnoDB COMMENT='`a`'\n\
                  /*!50100 PARTITION BY RANGE (year(`year`))\nSUBPARTITION BY KEY (a)\n(PARTITION a VALUES LESS THAN (1) ENGINE = InnoDB) */";
    let names = columns(&[("a", "x`y"), ("j", "k"), ("year", "when")]);
    let rewritten = rewrite_create_table(create, &rules(&names, "t", "t2")).unwrap();
    assert_eq!(
        rewritten.create,
        "CREATE TABLE `e`.`t2` (\n  `x``y` int NOT NULL DEFAULT '1' COMMENT '`a`',\n  `b` int GENERATED ALWAYS AS ((`x``y` + length('`a`'))) VIRTUAL,\n  \
         `k` longtext CHECK (json_valid(`k`)),\n  `when` date NOT NULL,\n  PRIMARY KEY (`x``y`,`when`),\n  \
         CONSTRAINT `t2_chk_1` CHECK ((`x``y` > 0)) /*!80016 NOT ENFORCED */\n) ENGINE=InnoDB COMMENT='`a`'\n\
         /*!50100 PARTITION BY RANGE (year(`when`))\nSUBPARTITION BY KEY (`x``y`)\n(PARTITION a VALUES LESS THAN (1) ENGINE = InnoDB) */"
    );
    assert_eq!(rewritten.deferred[0].statement(), "ALTER TABLE `e`.`t2` ADD KEY `a` (`b`,`x``y` DESC)");
}

#[test]
fn left_out_columns_take_along_what_uses_them() {
    let create = "CREATE TABLE `t` (\n  `id` int NOT NULL AUTO_INCREMENT,\n  `g` int NOT NULL,\n  `j` longtext CHECK (json_valid(`j`) and `g` > 1),\n  \
                  PRIMARY KEY (`g`),\n  UNIQUE KEY `u` (`id`,`g`),\n  KEY `k` (`g`),\n  CONSTRAINT `c` CHECK ((`g` > 0)),\n  \
                  CONSTRAINT `f` FOREIGN KEY (`g`) REFERENCES `p` (`a`),\n  CONSTRAINT `h` FOREIGN KEY (`id`) REFERENCES `p` (`g`),\n  \
                  CONSTRAINT `o` FOREIGN KEY (`id`) REFERENCES `other`.`p` (`a`)\n) ENGINE=InnoDB";
    let names = columns(&[("g", "")]);
    let rewritten = rewrite_create_table(create, &rules(&names, "t", "t2")).unwrap();
    assert_eq!(
        rewritten.create,
        "CREATE TABLE `e`.`t2` (\n  `id` int NOT NULL AUTO_INCREMENT,\n  `j` longtext ,\n  KEY `u` (`id`)\n) ENGINE=InnoDB"
    );
    assert!(rewritten.deferred.is_empty());
    assert_eq!(rewritten.notes.len(), 8, "{:#?}", rewritten.notes);

    for (create, word) in [
        ("CREATE TABLE `t` (\n  `a` int,\n  `g` int,\n  `v` int GENERATED ALWAYS AS (`g`) VIRTUAL\n)", "`v`"),
        ("CREATE TABLE `t` (\n  `a` int,\n  `g` int\n) ENGINE=InnoDB PARTITION BY HASH (g)", "partitioned"),
        ("CREATE TABLE `t` (\n  `g` int\n)", "no column"),
    ] {
        let error = rewrite_create_table(create, &rules(&names, "t", "t2")).unwrap_err();
        assert!(error.to_string().contains(word), "{error}");
    }
}

#[test]
fn auto_increment_in_the_second_place() {
    let create =
        "CREATE TABLE `t` (\n  `a` int NOT NULL,\n  `b` int NOT NULL AUTO_INCREMENT,\n  PRIMARY KEY (`a`,`b`)\n) ENGINE=MyISAM";
    let with = |engine: Engine| rewrite_create_table(create, &TableRewrite { engine, ..rules(&SameNames, "t", "t") });
    assert!(with(Engine::AsSource).is_ok());
    let error = with(Engine::Named("InnoDB".into())).unwrap_err().to_string();
    assert!(error.contains("ADD KEY (`b`)"), "{error}");
}

#[test]
fn options_of_other_engines() {
    let form = |options: &str, engine: Engine| {
        let create = format!("CREATE TABLE `t` (\n  `a` int\n) ENGINE={options}");
        let rules = TableRewrite { engine, ..rules(&SameNames, "t", "t") };
        let rewritten = rewrite_create_table(&create, &rules).unwrap();
        (rewritten.create.split_once("ENGINE=").unwrap().1.trim_end().to_owned(), rewritten.notes.len())
    };
    for (options, expected, notes) in [
        ("MyISAM CHECKSUM=1 ROW_FORMAT=FIXED KEY_BLOCK_SIZE=1024", "InnoDB CHECKSUM=1", 2),
        ("Aria ROW_FORMAT=PAGE", "InnoDB", 1),
        ("MyISAM ROW_FORMAT=COMPRESSED COMMENT='ROW_FORMAT=FIXED'", "InnoDB  COMMENT='ROW_FORMAT=FIXED'", 1),
        ("InnoDB ROW_FORMAT=FIXED", "InnoDB", 1),
        ("InnoDB ROW_FORMAT=COMPACT KEY_BLOCK_SIZE=8", "InnoDB ROW_FORMAT=COMPACT", 1),
        ("InnoDB KEY_BLOCK_SIZE=32", "InnoDB", 1),
        ("InnoDB ROW_FORMAT=COMPRESSED KEY_BLOCK_SIZE=8", "InnoDB ROW_FORMAT=COMPRESSED KEY_BLOCK_SIZE=8", 0),
        ("InnoDB KEY_BLOCK_SIZE=4", "InnoDB KEY_BLOCK_SIZE=4", 0),
    ] {
        assert_eq!(form(options, Engine::Named("InnoDB".into())), (expected.into(), notes), "{options}");
        assert_eq!(form(options, Engine::AsSource), (options.into(), 0), "{options}");
    }
}

#[test]
fn places_and_engines() {
    let create = "CREATE TABLE `t` (\n  `a` int\n) /*!50100 TABLESPACE `ts` */ ENGINE=MyISAM DEFAULT CHARSET=latin1 COMMENT='ENGINE=x' DATA DIRECTORY='/a b/' \
                  INDEX DIRECTORY='/c/' SECONDARY_ENGINE=RAPID\n/*!50100 PARTITION BY HASH (a)\n(PARTITION p0 DATA DIRECTORY = '/x' ENGINE = MyISAM) */";
    let engine = TableRewrite { engine: Engine::Named("InnoDB".into()), ..rules(&SameNames, "t", "t") };
    let rewritten = rewrite_create_table(create, &engine).unwrap();
    assert_eq!(
        rewritten.create,
        "CREATE TABLE `e`.`t` (\n  `a` int\n)  ENGINE=InnoDB DEFAULT CHARSET=latin1 COMMENT='ENGINE=x'   \n/*!50100 PARTITION BY HASH (a)\n(PARTITION p0  ENGINE = InnoDB) */"
    );
    assert_eq!(rewritten.notes.len(), 5, "{:?}", rewritten.notes);
    let merge = "CREATE TABLE `t` (\n  `a` int\n) ENGINE=MRG_MyISAM UNION=(`x`,`d`.`y`)";
    let names = columns(&[]);
    assert!(rewrite_create_table(merge, &rules(&names, "t", "t2")).unwrap().create.ends_with("UNION=(`e`.`x2`,`e`.`y2`)"));
    let sequence = "CREATE TABLE `t` (\n  `a` int DEFAULT nextval(`d`.`s`)\n)";
    assert!(rewrite_create_table(sequence, &rules(&names, "t", "t2")).unwrap().create.contains("nextval(`e`.`s2`)"));
}
