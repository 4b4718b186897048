//! Column types and their edge values.

use godwit_testkit::lab::Server;

/// A column's declaration and values as SQL expressions.
pub struct Case {
    pub declaration: String,
    pub values: Vec<String>,
    /// Every value is one that the server takes. Else some may be too much for a type or a server.
    pub all_fit: bool,
}

fn case(declaration: impl Into<String>, values: &[&str]) -> Case {
    Case { declaration: declaration.into(), values: values.iter().map(|value| (*value).to_owned()).collect(), all_fit: false }
}

/// All types that the server has.
pub fn cases(server: &Server) -> Vec<Case> {
    let mut all = numbers();
    all.extend(temporals(server));
    all.extend(strings(server));
    all.extend(lists());
    all.extend(special(server));
    all
}

fn numbers() -> Vec<Case> {
    let mut all = Vec::new();
    for (name, bits) in [("TINYINT", 8u32), ("SMALLINT", 16), ("MEDIUMINT", 24), ("INT", 32), ("BIGINT", 64)] {
        let highest = (1i128 << (bits - 1)) - 1;
        let values: Vec<String> = [-highest - 1, -2, -1, 0, 1, 127, highest].iter().map(|number| number.to_string()).collect();
        all.push(Case { declaration: name.into(), values, all_fit: false });
        let values = [0, 1, 255, 128, (1i128 << bits) - 1].iter().map(|number| number.to_string()).collect();
        all.push(Case { declaration: format!("{name} UNSIGNED"), values, all_fit: false });
    }
    all.push(case("INT(5) ZEROFILL", &["7", "4294967295"]));
    for (precision, scale) in
        [(1, 0), (3, 3), (5, 2), (9, 0), (9, 9), (10, 1), (18, 9), (19, 10), (30, 30), (38, 20), (65, 0), (65, 30)]
    {
        let whole = "9".repeat(precision - scale);
        let fraction = "9".repeat(scale);
        let highest = format!("{whole}.{fraction}");
        let tiny = format!("0.{}1", "0".repeat(scale.saturating_sub(1)));
        let values = [
            highest.clone(),
            format!("-{highest}"),
            tiny.clone(),
            format!("-{tiny}"),
            "0".into(),
            "-0.0".into(),
            "0.5".into(),
            "-1".into(),
        ];
        let in_range = values.into_iter().filter(|value| precision > scale || !value.ends_with('1') || value.contains('.'));
        all.push(Case { declaration: format!("DECIMAL({precision},{scale})"), values: in_range.collect(), all_fit: false });
    }
    all.push(case("DECIMAL(20,5) UNSIGNED", &["0", "123456789012345.00001"]));
    all.push(case("FLOAT", &["0", "-0e0", "1.5", "0.1", "3.4028234e38", "-3.4028234e38", "1e-45", "1.17549435e-38", "16777217"]));
    all.push(case("FLOAT(7,3)", &["1234.567", "-0.001"]));
    all.push(case(
        "DOUBLE",
        &[
            "0",
            "-0e0",
            "1.5",
            "0.1",
            "1.7976931348623157e308",
            "-1.7976931348623157e308",
            "5e-324",
            "2.2250738585072014e-308",
            "1e22",
            "123456789.123456789",
        ],
    ));
    all.push(case("DOUBLE(20,5) UNSIGNED", &["123456.12345"]));
    for bits in [1, 2, 7, 8, 9, 16, 17, 33, 63, 64] {
        let highest = format!("b'{}'", "1".repeat(bits));
        let first = format!("b'1{}'", "0".repeat(bits - 1));
        all.push(case(format!("BIT({bits})"), &["b'0'", "b'1'", &highest, &first]));
    }
    all.push(case("BOOLEAN", &["TRUE", "FALSE"]));
    all
}

fn temporals(server: &Server) -> Vec<Case> {
    let mut all = vec![
        case("YEAR", &["0", "1901", "1970", "2000", "2155"]),
        case(
            "DATE",
            &["'0000-00-00'", "'1000-01-01'", "'9999-12-31'", "'2024-02-29'", "'2024-00-00'", "'2024-05-00'", "'0001-01-01'"],
        ),
    ];
    for fsp in 0..=6 {
        all.push(case(
            format!("TIME({fsp})"),
            &[
                "'00:00:00'",
                "'-00:00:00.1'",
                "'-00:00:00.01'",
                "'-00:00:00.000001'",
                "'-00:00:00.999999'",
                "'-00:00:01'",
                "'-00:00:01.01'",
                "'-838:59:59'",
                "'838:59:59'",
                "'838:59:58.999999'",
                "'-838:59:58.999999'",
                "'23:59:59.123456'",
                "'-23:59:59.123456'",
                "'100:00:00'",
                "'-00:01:00'",
                "'-01:00:00.5'",
            ],
        ));
        all.push(case(
            format!("DATETIME({fsp})"),
            &[
                "'0000-00-00 00:00:00'",
                "'1000-01-01 00:00:00'",
                "'9999-12-31 23:59:58.999999'",
                "'2024-02-29 12:34:56.123456'",
                "'1969-12-31 23:59:59.5'",
                "'2024-00-00 01:02:03'",
                "'0001-01-01 00:00:00.000001'",
                "'2000-01-01 00:00:00.1'",
            ],
        ));
        let mut timestamps = vec![
            "'0000-00-00 00:00:00'",
            "'1970-01-01 00:00:01'",
            "'1970-01-01 00:00:01.5'",
            "'2038-01-19 03:14:07'",
            "'2038-01-19 03:14:06.999999'",
            "'2024-02-29 12:34:56.123456'",
            "'2001-09-09 01:46:40'",
        ];
        if server.is_maria() {
            timestamps.push("'2037-12-31 23:59:59.010203'");
        }
        all.push(case(format!("TIMESTAMP({fsp}) NULL"), &timestamps));
    }
    all
}

/// Characters that need the character set, among them some whose second byte is a backslash.
fn character_sets(server: &Server) -> Vec<Case> {
    let mut texts = vec![
        ("armscii8", "Ա"),
        ("big5", "中文功"),
        ("cp1250", "Łž"),
        ("cp1251", "Жя"),
        ("cp1256", "ابت"),
        ("cp1257", "ąž"),
        ("cp850", "éÄ"),
        ("cp852", "Łž"),
        ("cp866", "Жя"),
        ("cp932", "髙ソ表"),
        ("eucjpms", "日本"),
        ("euckr", "한글"),
        ("gb2312", "中文"),
        ("gbk", "中文"),
        ("greek", "αβ"),
        ("hebrew", "אב"),
        ("koi8r", "Жя"),
        ("koi8u", "їЖ"),
        ("latin2", "Łž"),
        ("latin5", "ğş"),
        ("latin7", "ąž"),
        ("macroman", "éÄ"),
        ("sjis", "ソ表日"),
        ("tis620", "กข"),
        ("ujis", "日本"),
        ("utf8mb3", "中é"),
        ("utf16le", "中😀"),
    ];
    if !server.is_maria() {
        texts.push(("gb18030", "中😀"));
    }
    if server.mysql() == Some(57) {
        // It knows it as utf8 only.
        texts.retain(|(set, _)| *set != "utf8mb3");
        texts.push(("utf8", "中é"));
    }
    let case = |(set, text): (&str, &str)| Case {
        declaration: format!("VARCHAR(20) CHARACTER SET {set}"),
        values: vec![format!("'{text}'"), format!("CONCAT('a', '{text}', 'b')"), "''".to_owned()],
        all_fit: true,
    };
    texts.into_iter().map(case).collect()
}

fn strings(server: &Server) -> Vec<Case> {
    let mut all = Vec::new();
    let texts = ["''", "'a'", "'  '", "'a  '", "' a'", "'ÄÖ'", "'a\\0b'", "'\\0'", "'tab\\t'"];
    for character_set in ["latin1", "utf8mb4", "ucs2", "utf16", "utf32", "gbk", "sjis", "binary"] {
        for declaration in ["CHAR(10)", "VARCHAR(10)", "VARCHAR(300)", "TEXT"] {
            all.push(case(format!("{declaration} CHARACTER SET {character_set}"), &texts));
        }
    }
    all.extend(character_sets(server));
    all.push(case("CHAR(0)", &["''"]));
    let long = ["REPEAT('x', 255)", "REPEAT('😀', 255)", "'😀'", "'x'", "REPEAT('x', 10)", "''"];
    for length in [63, 64, 127, 128, 191, 192, 254, 255] {
        all.push(case(format!("CHAR({length}) CHARACTER SET utf8mb4"), &long));
    }
    for length in [1, 63, 64, 255, 256, 1000, 5000] {
        all.push(case(format!("VARCHAR({length}) CHARACTER SET utf8mb4"), &long));
    }
    all.push(case("VARCHAR(16000) CHARACTER SET utf8mb4", &["REPEAT('😀', 16000)", "REPEAT('z', 256)"]));
    let bytes = [
        "x''",
        "x'00'",
        "x'01'",
        "x'010000'",
        "x'000001'",
        "x'2020'",
        "x'ff00ff'",
        "x'20'",
        "REPEAT(x'00', 300)",
        "REPEAT(x'ff', 300)",
    ];
    for length in [1, 2, 16, 64, 254, 255] {
        all.push(case(format!("BINARY({length})"), &bytes));
        all.push(case(format!("VARBINARY({length})"), &bytes));
    }
    all.push(case("VARBINARY(256)", &bytes));
    all.push(case("VARBINARY(60000)", &["REPEAT(x'00ff', 30000)", "x'00'"]));
    for kind in ["TINY", "", "MEDIUM", "LONG"] {
        let sizes =
            ["''", "'a  '", "REPEAT('y', 255)", "REPEAT('y', 256)", "REPEAT('y', 65535)", "REPEAT('y', 70000)", "x'00ff00'"];
        let fitting = if kind == "TINY" {
            3
        } else if kind.is_empty() {
            5
        } else {
            6
        };
        all.push(case(format!("{kind}BLOB"), &[&sizes[..fitting], &sizes[6..]].concat()));
        all.push(case(format!("{kind}TEXT CHARACTER SET latin1"), &sizes[..fitting]));
    }
    if !server.is_maria() {
        all.push(case("LONGBLOB", &["REPEAT('w', 3000000)"]));
    }
    all
}

fn lists() -> Vec<Case> {
    let labels = |count: usize| (0..count).map(|i| format!("'l{i}'")).collect::<Vec<_>>().join(",");
    let mut all = vec![
        case("ENUM('a','b','ü','')", &["'a'", "'b'", "'ü'", "''", "'no such label'", "1", "4"]),
        case(format!("ENUM({})", labels(255)), &["'l0'", "'l254'"]),
        case(format!("ENUM({})", labels(256)), &["'l0'", "'l255'"]),
        case(format!("ENUM({})", labels(3000)), &["'l0'", "'l2999'", "'l256'"]),
    ];
    for count in [1, 8, 9, 16, 17, 24, 25, 32, 33, 56, 57, 63, 64] {
        let highest = if count == 64 { u64::MAX } else { (1u64 << count) - 1 };
        all.push(Case {
            declaration: format!("SET({})", labels(count)),
            values: vec!["''".into(), "'l0'".into(), format!("'l{}'", count - 1), highest.to_string()],
            all_fit: false,
        });
    }
    all
}

fn special(server: &Server) -> Vec<Case> {
    let shapes = [
        "ST_GeomFromText('POINT(1 -2.5)')",
        "ST_GeomFromText('LINESTRING(0 0,1 1,2 3)')",
        "ST_GeomFromText('POLYGON((0 0,10 0,10 10,0 0),(1 1,2 1,2 2,1 1))')",
        "ST_GeomFromText('GEOMETRYCOLLECTION(POINT(1 1),LINESTRING(0 0,1 1))')",
        "ST_GeomFromText('MULTIPOINT(1 1,2 2)', 4326)",
    ];
    let mut all = vec![case("GEOMETRY", &shapes), case("POINT", &shapes[..1])];
    if server.is_maria() {
        all.extend([
            case(
                "UUID",
                &[
                    "'3e11fa47-71ca-11e1-9e33-c80aa9429562'",
                    "'00000000-0000-0000-0000-000000000000'",
                    "'ffffffff-ffff-ffff-ffff-ffffffffffff'",
                    "'018f0000-0001-7001-8002-010203040506'",
                    "'1ec9414c-232a-6b00-b3c8-9e6bdeced846'",
                    "'2ed6657d-e927-568b-95e1-2665a8aea6a2'",
                    "'5df41881-3aed-3515-88a7-2f4a814cf09e'",
                    "'919108f7-52d1-4320-9bac-f847db4148a8'",
                    "'000003e8-2363-21f0-b200-325096b39f47'",
                    "'3e11fa47-71ca-11e1-0e33-c80aa9429500'",
                    "'3e11fa47-71ca-8fe1-9e33-c80aa9429500'",
                    "'3e11fa47-71ca-01e1-9e33-c80aa9420000'",
                    "'00000000-0000-1000-8000-000000000000'",
                    "'ffffffff-ffff-ffff-7fff-ffffffffffff'",
                    "UUID()",
                    "UUID()",
                ],
            ),
            case("INET4", &["'0.0.0.0'", "'1.2.3.4'", "'255.255.255.255'", "'10.0.0.0'"]),
            case(
                "INET6",
                &[
                    "'::'",
                    "'::1'",
                    "'fe80::'",
                    "'2001:db8::ff00:42:8329'",
                    "'::ffff:192.168.0.1'",
                    "'::192.168.0.1'",
                    "'::0.0.1.2'",
                    "'1:2:3:4:5:6:7:8'",
                    "'1:0:3:4:5:6:7:8'",
                    "'1:0:0:4:0:0:7:8'",
                    "'1:0:0:4:0:0:0:8'",
                    "'0:0:0:0:0:fffe:1:2'",
                    "'0:1:2:3:4:5:6:7'",
                    "'1:2:3:4:5:6:7:0'",
                    "'::ffff:0:0'",
                    "'::ffff:0:1'",
                    "'0:0:0:0:1:ffff:1:2'",
                    "'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'",
                    "'1::'",
                    "'::1:0:0:0'",
                ],
            ),
            case("VARCHAR(100) COMPRESSED CHARACTER SET latin1", &["''", "'abc'", "REPEAT('a', 100)", "'a  '"]),
            case("VARCHAR(1000) COMPRESSED", &["''", "'abc'", "REPEAT('a', 1000)", "REPEAT('abc ', 200)"]),
            case("VARBINARY(500) COMPRESSED", &["''", "x'00'", "REPEAT(x'00', 500)"]),
            case("TEXT COMPRESSED", &["''", "'abc'", "REPEAT('a', 65535)", "REPEAT('ü', 100)"]),
            case("MEDIUMBLOB COMPRESSED", &["''", "x'00'", "REPEAT('ab', 100000)"]),
            case("JSON", &["'{\"b\":1,   \"a\": [1, 2]}'"]),
        ]);
    }
    if server.mysql() == Some(97) {
        all.push(case("VECTOR(3)", &["TO_VECTOR('[1,2,3]')", "TO_VECTOR('[-1.5,0,1e10]')", "TO_VECTOR('[1]')"]));
        all.push(case("VECTOR(1000)", &["TO_VECTOR(CONCAT('[', REPEAT('1,', 999), '2]'))"]));
    }
    if !server.is_maria() {
        all.push(case("JSON", &super::json::DOCUMENTS));
    }
    all
}
