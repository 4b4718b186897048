//! JSON documents, made and printed by the server.

/// SQL expressions.
pub const DOCUMENTS: [&str; 55] = [
    "'null'",
    "'true'",
    "'false'",
    "'0'",
    "'-1'",
    "'32767'",
    "'-32768'",
    "'32768'",
    "'65535'",
    "'65536'",
    "'2147483647'",
    "'-2147483649'",
    "'4294967295'",
    "'9223372036854775807'",
    "'-9223372036854775808'",
    "'18446744073709551615'",
    "'18446744073709551616'",
    "'1.0'",
    "'-0.0'",
    "'1e20'",
    "'1e15'",
    "'1e16'",
    "'123456789012345.0'",
    "'0.1'",
    "'1e-5'",
    "'1e-14'",
    "'1e-15'",
    "'1e-16'",
    "'1.7976931348623157e308'",
    "'5e-324'",
    "'\"\"'",
    r#"'"a\\"b\\\\c\\/d\\b\\f\\n\\r\\t\\u0001\\u001f\\u007f\\u00e4\\u20ac\\ud83d\\ude00"'"#,
    "'[]'",
    "'{}'",
    "'[1, [2, [3, {\"a\": []}]], null, true, \"x\", -1.5]'",
    r#"'{"bb": 1, "a": 2, "ccc": {"z": 1, "y": 2}, "": 3, "ä": 4, "B": 5}'"#,
    "JSON_OBJECT('a', CAST(1.50 AS DECIMAL(10,2)), 'b', CAST(-0.001 AS DECIMAL(30,10)), 'c', 12345678901234567890123456789.5, 'd', CAST(0 AS DECIMAL(5,3)))",
    "JSON_ARRAY(CAST('2015-01-15' AS DATE), CAST('2015-01-15 23:24:25.12' AS DATETIME(6)), CAST('2015-01-15 23:24:25' AS DATETIME), CAST('-23:24:25.5' AS TIME(3)), CAST('-838:59:59' AS TIME), CAST('10:11:12' AS TIME))",
    "JSON_ARRAY(TIMESTAMP('2003-12-31 12:00:00'), CAST('0000-00-00' AS DATE), CAST('1000-01-01 00:00:00' AS DATETIME(2)))",
    "JSON_ARRAY(x'00ff10', CAST('abc' AS BINARY), b'101', CAST(REPEAT('abc', 19) AS BINARY), CAST(REPEAT('abc', 20) AS BINARY), CAST(REPEAT('q', 200) AS BINARY))",
    "JSON_ARRAY(CAST(7 AS UNSIGNED), CAST(-7 AS SIGNED), 1e0, 1.5e0, CAST(3 AS DOUBLE))",
    "JSON_ARRAY(REPEAT('x', 127), REPEAT('y', 128), REPEAT('z', 16384), REPEAT('ü', 200))",
    "JSON_OBJECT('big', REPEAT('x', 70000), 'int16', 7, 'int32', 100000, 'uint32', 4000000000, 'u', 40000, 'null', NULL, 't', true, 'nested', JSON_ARRAY(1, 'a'))",
    "JSON_ARRAY(REPEAT('x', 70000), 1, -100000, 4000000000, JSON_OBJECT('k', JSON_ARRAY(REPEAT('y', 70000), 2)))",
    "JSON_OBJECT(REPEAT('k', 65535), 1, 'a', 2)",
    "JSON_ARRAY(ST_GeomFromText('POINT(1 2)'))",
    // What a document's text does not tell.
    "JSON_ARRAY(CAST(1000000000000000 AS DECIMAL(20,1)), 0.0000000000000001, 12345678901234567000.0, 1.5, 1.5e0, 5., -7., -0.5, 123.4567)",
    "CAST(1.10 AS JSON)",
    "JSON_ARRAY(4294967296, CAST(4294967296 AS UNSIGNED), 4294967295, CAST(4294967295 AS UNSIGNED), 9223372036854775807, -4294967297, 1234567890123)",
    "CAST(5. AS JSON)",
    "CAST(DATE'2024-01-02' AS JSON)",
    "CAST(CAST(5 AS UNSIGNED) AS JSON)",
    "CAST(CAST('abc' AS BINARY) AS JSON)",
    "JSON_OBJECT('a', JSON_OBJECT('p', 1.50, 'q', JSON_ARRAY(1.5e0, JSON_ARRAY(2, 2.), DATE'2024-01-02', JSON_OBJECT('u', CAST(5 AS UNSIGNED), 'x', JSON_ARRAY()))), 'b', '1.50', 'c#D1', '2024-01-02', 'd', '#\\\"D', 'e', 7)",
    "JSON_ARRAY((SELECT v FROM (SELECT IF(1, x'00ff', REPEAT(x'41', 60000)) v FROM DUAL LIMIT 1) q), JSON_OBJECT('k', IF(1, x'00ff', REPEAT(x'41', 70000))))",
];

/// Random documents as JSON text, from a seed: numbers of every kind, nesting, keys of equal and unequal
/// length.
pub fn random(seed: u64) -> String {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut out = String::new();
    document(&mut next, 0, &mut out);
    out
}

fn document(next: &mut impl FnMut() -> u64, depth: usize, out: &mut String) {
    let choice = next() % if depth < 4 { 12 } else { 9 };
    match choice {
        0 => out.push_str("null"),
        1 => out.push_str(if next().is_multiple_of(2) { "true" } else { "false" }),
        2 => out.push_str(&((next() as i64) >> (next() % 64)).to_string()),
        3 => out.push_str(&(next() >> (next() % 64)).to_string()),
        4 | 5 => {
            // Any finite double.
            let number = f64::from_bits(next());
            out.push_str(&if number.is_finite() { format!("{number:e}") } else { "1.5".into() });
        }
        6 => {
            let number = (next() % 1_000_000_007) as f64 / 10f64.powi((next() % 24) as i32) * 10f64.powi((next() % 24) as i32);
            out.push_str(&format!("{number:e}"));
        }
        7 | 8 => {
            let characters = ["a", "ü", "\u{1F600}", "\\n", "\\\"", "\\\\", " ", "\\u0002", "/", "Z"];
            let length = next() % 200;
            out.push('"');
            (0..length).for_each(|_| out.push_str(characters[(next() % 10) as usize]));
            out.push('"');
        }
        9 | 10 => {
            let members = next() % 6;
            out.push('{');
            for i in 0..members {
                if i > 0 {
                    out.push(',');
                }
                out.push_str(&format!("\"{}{i}\":", "k".repeat((next() % 4) as usize)));
                document(next, depth + 1, out);
            }
            out.push('}');
        }
        _ => {
            let elements = next() % 6;
            out.push('[');
            for i in 0..elements {
                if i > 0 {
                    out.push(',');
                }
                document(next, depth + 1, out);
            }
            out.push(']');
        }
    }
}
