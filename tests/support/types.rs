//! Every type of every server, with two values that a careless comparison takes for one.

/// A type, the value at the source, the value planted at the destination.
pub type Case = (&'static str, &'static str, &'static str);

const COMMON: &[Case] = &[
    ("TINYINT", "1", "2"),
    ("TINYINT UNSIGNED", "255", "254"),
    ("SMALLINT", "-32768", "32767"),
    ("MEDIUMINT", "-8388608", "0"),
    ("INT", "0", "NULL"),
    ("INT(5) ZEROFILL", "7", "8"),
    ("BIGINT", "-9223372036854775808", "9223372036854775807"),
    ("BIGINT UNSIGNED", "18446744073709551615", "18446744073709551614"),
    ("DECIMAL(65,30)", "1.000000000000000000000000000001", "1.000000000000000000000000000002"),
    ("DECIMAL(10,2)", "-0.01", "0.01"),
    ("FLOAT", "1.1", "1.1000001"),
    ("FLOAT", "0e0", "-0e0"),
    ("DOUBLE", "0.1e0", "0.10000000000000002e0"),
    ("DOUBLE", "0e0", "-0e0"),
    ("BIT(1)", "b'0'", "b'1'"),
    ("BIT(64)", "b'0'", "0x8000000000000000"),
    ("BIT(12)", "0x0fff", "0x0ff0"),
    ("YEAR", "2000", "0"),
    ("DATE", "'0000-00-00'", "'0000-00-01'"),
    ("DATE", "'2024-02-30'", "'2024-02-29'"),
    ("TIME", "'00:00:00'", "'-00:00:01'"),
    ("TIME(6)", "'-838:59:58.000001'", "'-838:59:58.000002'"),
    ("DATETIME", "'0000-00-00 00:00:00'", "NULL"),
    ("DATETIME(3)", "'9999-12-31 23:59:59.001'", "'9999-12-31 23:59:59.002'"),
    ("TIMESTAMP NULL", "'1970-01-01 00:00:01'", "'1970-01-01 00:00:02'"),
    ("TIMESTAMP(6) NULL", "'2038-01-19 03:14:07.000000'", "'2038-01-19 03:14:07.000001'"),
    ("CHAR(5) COLLATE utf8mb4_general_ci", "'a'", "'A'"),
    ("CHAR(5) COLLATE utf8mb4_bin", "''", "NULL"),
    ("VARCHAR(20) COLLATE utf8mb4_general_ci", "'a'", "'a '"),
    ("VARCHAR(20) COLLATE utf8mb4_unicode_ci", "'straße'", "'STRASSE'"),
    ("VARCHAR(20) COLLATE utf8mb4_general_ci", "'é'", "'e'"),
    ("VARCHAR(20) COLLATE utf8mb4_bin", "''", "NULL"),
    ("VARCHAR(20) CHARACTER SET latin1", "'ä'", "'Ä'"),
    ("VARCHAR(20) CHARACTER SET ucs2", "'ä'", "'a'"),
    ("VARCHAR(20) CHARACTER SET gbk", "'中'", "'国'"),
    ("TINYTEXT COLLATE utf8mb4_general_ci", "'x'", "'X'"),
    ("TEXT COLLATE utf8mb4_general_ci", "'one\\ntwo'", "'one\\r\\ntwo'"),
    ("LONGTEXT COLLATE utf8mb4_bin", "CONCAT(REPEAT('x',70000),'a')", "CONCAT(REPEAT('x',70000),'b')"),
    ("BINARY(4)", "x'00'", "x'00000001'"),
    ("BINARY(4)", "x'61'", "x'41'"),
    ("VARBINARY(20)", "x'00'", "x''"),
    ("VARBINARY(20)", "x'2020'", "x'20'"),
    ("BLOB", "x'ff00ff'", "x'ff00fe'"),
    ("LONGBLOB", "x'27005c'", "x'27'"),
    ("ENUM('x','y','')", "'x'", "'y'"),
    ("ENUM('x','y','')", "3", "'invalid'"),
    ("SET('a','b','c')", "'a,b'", "'a'"),
    ("SET('a','b','c')", "''", "NULL"),
    ("GEOMETRY", "ST_GeomFromText('POINT(1 1)')", "ST_GeomFromText('POINT(1 1.0000001)')"),
    ("GEOMETRY", "ST_GeomFromText('POINT(1 1)',0)", "ST_GeomFromText('POINT(1 1)',4326)"),
];

const MYSQL: &[Case] = &[
    ("JSON", "'{\"a\": 1}'", "'{\"a\": 1.0}'"),
    // Of one text and different types.
    ("JSON", "JSON_OBJECT('a',JSON_ARRAY(2,1.5))", "'{\"a\": [2, 1.5]}'"),
    ("JSON", "JSON_ARRAY(DATE'2024-01-02')", "'[\"2024-01-02\"]'"),
    ("JSON", "CAST(5. AS JSON)", "'5'"),
    ("JSON", "JSON_ARRAY(1,CAST('abc' AS BINARY))", "CAST(CAST(JSON_ARRAY(1,CAST('abc' AS BINARY)) AS CHAR) AS JSON)"),
    ("JSON", "JSON_OBJECT('a',1.10)", "JSON_OBJECT('a',1.1)"),
    ("JSON", "'null'", "NULL"),
    ("JSON", "'\"A\"'", "'\"a\"'"),
    ("VARCHAR(20) COLLATE utf8mb4_0900_ai_ci", "'a'", "'á'"),
];

const MYSQL9: &[Case] = &[("VECTOR(2)", "STRING_TO_VECTOR('[1,2]')", "STRING_TO_VECTOR('[1,2.0000002]')")];

const MARIADB: &[Case] = &[
    ("JSON", "'{\"a\": 1}'", "'{\"a\":1}'"),
    ("UUID", "'123e4567-e89b-12d3-a456-426655440000'", "'123e4567-e89b-12d3-a456-426655440001'"),
    ("INET6", "'::1'", "'::2'"),
    ("INET4", "'10.0.0.1'", "'10.0.0.2'"),
];

/// All types that a lab server knows.
pub fn cases(kind: &str) -> Vec<Case> {
    let own: &[&[Case]] = match kind {
        "mysql97" => &[COMMON, MYSQL, MYSQL9],
        "mariadb114" => &[COMMON, MARIADB],
        _ => &[COMMON, MYSQL],
    };
    own.concat()
}
