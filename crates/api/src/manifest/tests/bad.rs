//! A table of bad manifests: what is wrong, where, and in which words. [`super::cel`] runs the same table through the API server's rules.

use super::*;

/// Who else refuses a case, beside us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refuser {
    /// The CRD's OpenAPI schema; ours is the same one.
    Schema,
    /// A CEL rule of the CRD.
    Cel,
    /// Nobody: the API server cannot see it.
    Nobody,
}

pub(super) struct Case {
    pub(super) changes: Vec<(&'static str, Value)>,
    pub(super) error: &'static str,
    pub(super) refuser: Refuser,
}

fn case(pointer: &'static str, value: Value, refuser: Refuser, error: &'static str) -> Case {
    Case { changes: vec![(pointer, value)], error, refuser }
}

fn tablestore(changes: Value) -> Value {
    let mut tablestore = json!({
        "endpoint": "https://shop.cn-hangzhou.ots.aliyuncs.com", "instance": "shop", "credentials": {"secretName": "login"}
    });
    for (name, value) in changes.as_object().into_iter().flatten() {
        tablestore[name] = value.clone();
    }
    json!({"tablestore": tablestore})
}

fn tables(tables: Value) -> Value {
    json!([{"database": "shop", "tables": tables}])
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = fields();
    cases.extend(limits());
    cases.extend(across_fields());
    cases.extend(beyond_cel());
    cases
}

/// Unknown fields, wrong types, unknown words.
fn fields() -> Vec<Case> {
    use Refuser::Schema;
    vec![
        case("/spec/source/mysql/hots", json!("a"), Schema, "spec.source.mysql.hots: unknown field; did you mean host?"),
        case(
            "/spec/xyzzy",
            json!(1),
            Schema,
            "spec.xyzzy: unknown field; leave it out, or use one of those known here: accounts, alerts, cluster,",
        ),
        case("/specs", json!(1), Schema, "specs: unknown field; did you mean spec?"),
        case(
            "/spec/source/postgres",
            json!({}),
            Schema,
            "spec.source.postgres: unknown field; leave it out, or use one of those known here: mysql",
        ),
        case("/spec/source/mysql", Value::Null, Schema, "spec.source.mysql: is missing (A MySQL-family server); set it"),
        case("/spec/source", Value::Null, Schema, "spec.source: is missing (Where the data comes from); set it"),
        case("/spec", Value::Null, Schema, "spec: is missing (What a migration task shall do); set it"),
        case(
            "/spec/source/mysql/port",
            json!("3306"),
            Schema,
            "spec.source.mysql.port: expected a whole number, found a text; leave out quotes and units",
        ),
        case(
            "/spec/source/mysql/port",
            json!(3306.5),
            Schema,
            "spec.source.mysql.port: expected a whole number, found a number with decimals",
        ),
        case(
            "/spec/source/mysql/username",
            json!(17),
            Schema,
            "spec.source.mysql.username: expected a text, found a number; put it in quotes",
        ),
        case("/spec/accounts/migrate", json!("yes"), Schema, "spec.accounts.migrate: expected true or false, found a text"),
        case(
            "/spec/objects",
            json!({"database": "shop"}),
            Schema,
            "spec.objects: expected a list, found a mapping; put a - before each entry",
        ),
        case(
            "/spec/retry",
            json!(10),
            Schema,
            "spec.retry: expected a mapping, found a number; use one with connectionMinutes, failedTaskDays, otherMinutes",
        ),
        case(
            "/spec/desiredState",
            json!("Runing"),
            Schema,
            "spec.desiredState: \"Runing\" is not known; did you mean Running? use one of Running, Paused, Stopped",
        ),
        case(
            "/spec/desiredState",
            json!("paused"),
            Schema,
            "spec.desiredState: \"paused\" is not known; did you mean Paused? use one of Running, Paused, Stopped",
        ),
        case(
            "/spec/migrationTypes",
            json!(["Data"]),
            Schema,
            "spec.migrationTypes[0]: \"Data\" is not known; use one of Schema, Full, Incremental",
        ),
        case(
            "/spec/source/mysql/flavor",
            json!("Oracle"),
            Schema,
            "spec.source.mysql.flavor: \"Oracle\" is not known; use one of Auto, MySQL, MariaDB, PolarDB, Aurora",
        ),
        case(
            "/spec/source/mysql/tls",
            json!({"mode": "VerifyCa"}),
            Schema,
            "did you mean VerifyCA? use one of Disabled, Preferred, Required, VerifyCA, VerifyIdentity",
        ),
        case(
            "/spec/objects",
            json!([{"renameTo": "a"}]),
            Schema,
            "spec.objects[0].database: is missing (Name of the source database,",
        ),
        case("/spec/objects", tables(json!([{"name": "orders"}])), Schema, "spec.objects[0].tables[0].name: unknown field"),
        case(
            "/spec/objects",
            tables(json!([{"table": "a", "columnTypes": {"b": "TEXT"}}])),
            Schema,
            "spec.objects[0].tables[0].columnTypes[\"b\"]: \"TEXT\" is not known; use one of STRING, INTEGER, DOUBLE, BOOLEAN, BINARY",
        ),
        case(
            "/spec/objects",
            tables(json!([{"table": "a", "ddl": ["Alter"]}])),
            Schema,
            "spec.objects[0].tables[0].ddl[0]: \"Alter\" is not known",
        ),
        case(
            "/metadata/name",
            json!("Shop"),
            Schema,
            "metadata.name: is not a valid name; use lower-case letters, digits, - and .",
        ),
        case("/metadata/name", Value::Null, Schema, "metadata.name: is missing; set it to a name for the task"),
        case("/metadata/name", json!(7), Schema, "metadata.name: expected a text; put it in quotes"),
    ]
}

/// Numbers out of range, texts too long, patterns, duplicates.
fn limits() -> Vec<Case> {
    use Refuser::Schema;
    vec![
        case("/spec/source/mysql/port", json!(0), Schema, "spec.source.mysql.port: 0 is out of range; use 1 to 65535"),
        case("/spec/source/mysql/port", json!(65536), Schema, "spec.source.mysql.port: 65536 is out of range; use 1 to 65535"),
        case("/spec/source/mysql/host", json!(""), Schema, "spec.source.mysql.host: is empty; set it or leave the field out"),
        case(
            "/spec/source/mysql/host",
            json!("mysql://db:3306/shop"),
            Schema,
            "spec.source.mysql.host: is not a valid value; use a host name or an address alone",
        ),
        case(
            "/spec/source/mysql/credentials/secretName",
            json!("My_Secret"),
            Schema,
            "spec.source.mysql.credentials.secretName: is not a valid value; use lower-case letters",
        ),
        case(
            "/spec/retry/connectionMinutes",
            json!(9),
            Schema,
            "spec.retry.connectionMinutes: 9 is out of range; use 10 to 1440",
        ),
        case(
            "/spec/retry/connectionMinutes",
            json!(1441),
            Schema,
            "spec.retry.connectionMinutes: 1441 is out of range; use 10 to 1440",
        ),
        case("/spec/retry/otherMinutes", json!(0), Schema, "spec.retry.otherMinutes: 0 is out of range; use 1 to 1440"),
        case(
            "/spec/verification/full/samplePercent",
            json!(9),
            Schema,
            "spec.verification.full.samplePercent: 9 is out of range; use 10 to 100",
        ),
        case(
            "/spec/verification/full/samplePercent",
            json!(101),
            Schema,
            "spec.verification.full.samplePercent: 101 is out of range; use 10 to 100",
        ),
        case(
            "/spec/throttle/full/rowsPerSecond",
            json!(-1),
            Schema,
            "spec.throttle.full.rowsPerSecond: -1 is out of range; use 0 to 1000000000",
        ),
        case(
            "/spec/throttle/full/rowsPerSecond",
            json!(u64::MAX),
            Schema,
            "spec.throttle.full.rowsPerSecond: 18446744073709551615 is out of range",
        ),
        case("/spec/cluster/units", json!(0), Schema, "spec.cluster.units: 0 is out of range; use 1 to 1000"),
        case("/spec/cluster/name", json!("a.b"), Schema, "spec.cluster.name: is not a valid value"),
        case("/spec/floatPrecision", json!({"float": 39}), Schema, "spec.floatPrecision.float: 39 is out of range; use 0 to 38"),
        case(
            "/spec/environment",
            json!("pro duction"),
            Schema,
            "spec.environment: is not a valid value; use letters, digits, -, _ and .",
        ),
        case("/spec/environment", json!("x".repeat(64)), Schema, "spec.environment: has 64 characters; use 63 or fewer"),
        case(
            "/spec/heartbeat/database",
            json!("god-wit"),
            Schema,
            "spec.heartbeat.database: is not a valid value; use letters, digits and _, first a letter or _",
        ),
        case(
            "/spec/precheck/ignore",
            json!(["source retention"]),
            Schema,
            "spec.precheck.ignore[0]: is not a valid value; use a name as the precheck prints it",
        ),
        case(
            "/spec/migrationTypes",
            json!([]),
            Schema,
            "spec.migrationTypes: is empty; list at least one entry, or leave the field out for its default",
        ),
        case(
            "/spec/migrationTypes",
            json!(["Full", "Full"]),
            Schema,
            "spec.migrationTypes[1]: is the same as in entry [0]; list it once",
        ),
        case("/spec/objects", tables(json!([])), Schema, "spec.objects[0].tables: is empty"),
        case("/spec/objects", json!([{"database": ""}]), Schema, "spec.objects[0].database: is empty"),
        case(
            "/spec/objects",
            json!([{"database": "a"}, {"database": "b"}, {"database": "a"}]),
            Schema,
            "spec.objects[2].database: is the same as in entry [0]; list it once",
        ),
        case(
            "/spec/objects",
            tables(json!([{"table": "a"}, {"table": "a"}])),
            Schema,
            "spec.objects[0].tables[1].table: is the same as in entry [0]; list it once",
        ),
        case(
            "/spec/objects",
            tables(json!([{"table": "a", "columns": {"include": ["b"], "exclude": ["c"]}}])),
            Schema,
            "spec.objects[0].tables[0].columns: exclude and include shut each other out; keep one of them",
        ),
        case(
            "/spec/objects",
            tables(json!([{"table": "a", "primaryKey": ["a", "b", "c", "d", "e"]}])),
            Schema,
            "spec.objects[0].tables[0].primaryKey: has 5 entries, at most 4 are allowed; list fewer",
        ),
        case(
            "/spec/objects",
            tables(json!([{"table": "a", "where": "x".repeat(16385)}])),
            Schema,
            "spec.objects[0].tables[0].where: has 16385 characters; use 16384 or fewer",
        ),
        case(
            "/spec/destination",
            tablestore(json!({"endpoint": "ots.aliyuncs.com"})),
            Schema,
            "spec.destination.tablestore.endpoint: is not a valid value; use an address such as https://",
        ),
        case(
            "/spec/destination",
            tablestore(json!({"instance": "0shop"})),
            Schema,
            "spec.destination.tablestore.instance: is not a valid value; use letters, digits and -, first a letter",
        ),
        case(
            "/spec/destination",
            tablestore(json!({"rowWriteMode": "PutRow"})),
            Schema,
            "spec.destination.tablestore.rowWriteMode: \"PutRow\" is not known; use one of UpdateRow, OverwriteRow",
        ),
        case("/spec/destination/tablestore", json!({}), Schema, "spec.destination.tablestore.endpoint: is missing"),
    ]
}

/// What the CRD says in CEL.
fn across_fields() -> Vec<Case> {
    use Refuser::Cel;
    let one_database = ("/spec/objects", json!([{"database": "shop"}]));
    vec![
        case(
            "/metadata/name",
            json!("n".repeat(57)),
            Cel,
            "metadata.name: use at most 56 characters, because pods and labels are named after it",
        ),
        case("/spec/destination", json!({}), Cel, "spec.destination: set exactly one of mysql and tablestore"),
        Case {
            changes: vec![
                ("/spec/destination", tablestore(json!({}))),
                ("/spec/destination/mysql", json!({"credentials": {"secretName": "login"}})),
                one_database.clone(),
            ],
            error: "spec.destination: set exactly one of mysql and tablestore",
            refuser: Cel,
        },
        case(
            "/spec/retry",
            json!({"connectionMinutes": 10}),
            Cel,
            "spec.retry.otherMinutes: must be smaller than connectionMinutes; lower it, or raise connectionMinutes (they are 10 and 10)",
        ),
        case(
            "/spec/retry",
            json!({"connectionMinutes": 30, "otherMinutes": 60}),
            Cel,
            "spec.retry.otherMinutes: must be smaller than connectionMinutes; lower it, or raise connectionMinutes (they are 60 and 30)",
        ),
        case(
            "/spec/source/mysql",
            json!({"username": "u"}),
            Cel,
            "spec.source.mysql.host: set it, or set credentials.secretName to a Secret that has the key host",
        ),
        case(
            "/spec/source/mysql",
            json!({"host": "h"}),
            Cel,
            "spec.source.mysql.username: set it, or set credentials.secretName to a Secret that has the key username",
        ),
        case(
            "/spec/source/mysql/tls",
            json!({"mode": "VerifyCA"}),
            Cel,
            "spec.source.mysql.tls.ca: VerifyCA takes every certificate",
        ),
        case(
            "/spec/destination/mysql/tls",
            json!({"mode": "VerifyCA"}),
            Cel,
            "spec.destination.mysql.tls.ca: VerifyCA takes every certificate",
        ),
        case("/spec/destination/mysql", json!({"username": "u"}), Cel, "spec.destination.mysql.host: set it"),
        case("/spec/destination/mysql", json!({"host": "h"}), Cel, "spec.destination.mysql.username: set it"),
        case(
            "/spec/verification/repair",
            json!(true),
            Cel,
            "spec.verification.repair: only rows that are compared can be repaired; set full or incremental",
        ),
        Case {
            changes: vec![("/spec/migrationTypes", json!(["Schema", "Full"])), ("/spec/verification/incremental", json!(true))],
            error: "spec.verification.incremental: nothing is followed without Incremental; add it to spec.migrationTypes",
            refuser: Cel,
        },
        Case {
            changes: vec![("/spec/migrationTypes", json!(["Schema", "Full"])), ("/spec/cutover/requested", json!(true))],
            error: "spec.cutover.requested: a cut-over needs the binary log to be followed; add Incremental to spec.migrationTypes",
            refuser: Cel,
        },
        Case {
            changes: vec![("/spec/migrationTypes", json!(["Full"])), ("/spec/accounts/migrate", json!(true))],
            error: "spec.accounts.migrate: accounts are migrated with the schema; add Schema to spec.migrationTypes",
            refuser: Cel,
        },
        Case {
            changes: vec![("/spec/destination", tablestore(json!({"concurrency": 2}))), one_database.clone()],
            error: "spec.destination.tablestore.buckets: must not be larger than concurrency, or some buckets could never send; lower it",
            refuser: Cel,
        },
        case(
            "/spec/destination",
            tablestore(json!({})),
            Cel,
            "spec.objects: a Tablestore destination takes exactly one source database per task; list that one database",
        ),
        Case {
            changes: vec![("/spec/destination", tablestore(json!({}))), one_database, ("/spec/accounts/migrate", json!(true))],
            error: "spec.accounts.migrate: a Tablestore destination has no database accounts; set it to false",
            refuser: Cel,
        },
    ]
}

/// What only the command line and the precheck see.
fn beyond_cel() -> Vec<Case> {
    use Refuser::Nobody;
    vec![
        case(
            "/spec/objects",
            json!([{"database": "shop_*", "renameTo": "s_$2"}]),
            Nobody,
            "spec.objects[0].renameTo: $2 is used, but \"shop_*\" has only 1 of * and ?",
        ),
        case(
            "/spec/objects",
            json!([{"database": "shop", "renameTo": "s_$1"}]),
            Nobody,
            "spec.objects[0].renameTo: $1 stands for what a * or ? matched, and \"shop\" has none; use a plain name",
        ),
        case(
            "/spec/objects",
            json!([{"database": "shop_*", "renameTo": "s"}]),
            Nobody,
            "spec.objects[0].renameTo: every match of \"shop_*\" would get the same name; use $1 … for what the * and ? matched",
        ),
        case(
            "/spec/objects",
            tables(json!([{"table": "a?b*", "renameTo": "$0"}])),
            Nobody,
            "spec.objects[0].tables[0].renameTo: $0 stands for nothing",
        ),
        case(
            "/spec/objects",
            tables(json!([{"table": "a", "columns": {"rename": {"b": "d", "c": "D"}}}])),
            Nobody,
            "spec.objects[0].tables[0].columns.rename[\"c\"]: another column is renamed to \"D\" as well; give each its own name",
        ),
        case(
            "/spec/objects",
            tables(json!([{"table": "a", "primaryKey": ["id"]}])),
            Nobody,
            "spec.objects[0].tables[0].primaryKey: is for a Tablestore destination",
        ),
        case(
            "/spec/objects",
            tables(json!([{"table": "a", "columnTypes": {"id": "STRING"}}])),
            Nobody,
            "spec.objects[0].tables[0].columnTypes: is for a Tablestore destination",
        ),
        case(
            "/spec/objects",
            tables(json!([{"table": "a", "etl": {"set": {"b": "1"}, "drop": ["B"]}}])),
            Nobody,
            "spec.objects[0].tables[0].etl.set[\"b\"]: is dropped by etl.drop as well; keep one of them",
        ),
        case(
            "/spec/objects",
            tables(json!([{"table": "a", "etl": {"types": {"b": "INT"}}}])),
            Nobody,
            "spec.objects[0].tables[0].etl.types[\"b\"]: defines a column that etl.set does not add",
        ),
        Case {
            changes: vec![
                ("/spec/destination", tablestore(json!({}))),
                ("/spec/objects", tables(json!([{"table": "a", "primaryKey": ["id"], "columnTypes": {"id": "DOUBLE"}}]))),
            ],
            error: "spec.objects[0].tables[0].columnTypes[\"id\"]: a primary-key column is STRING, INTEGER or BINARY; choose one of them",
            refuser: Nobody,
        },
    ]
}

#[test]
fn bad_manifests_are_refused_with_path_and_remedy() {
    for case in cases() {
        let shown = errors_of(&file(&task_document(&case.changes)));
        let found = shown.lines().any(|line| line.strip_prefix("task.yaml: ").is_some_and(|line| line.contains(case.error)));
        assert!(found, "{:?}\nexpected: {}\ngot:      {shown}", case.changes, case.error);
    }
}

#[test]
fn names_with_dollars_and_patterns_that_fit_are_accepted() {
    let good = [
        json!([{"database": "shop_*", "renameTo": "s_$1"}]),
        json!([{"database": "shop", "renameTo": "cash$"}]),
        json!([{"database": "?_*", "renameTo": "$2_$1$1"}]),
        json!([{"database": "*"}, {"database": "shop", "tables": [{"table": "t_*"}, {"table": "t_1", "columns": {"exclude": ["b"], "rename": {"*": "c_$1"}}}]}]),
    ];
    for objects in good {
        spec_with(&[("/spec/objects", objects)]);
    }
}
