use super::*;

fn form(text: &str, letters: &str) -> String {
    let document = typed(text.as_bytes(), letters.as_bytes(), &JsonPaths::default()).unwrap();
    String::from_utf8(document.into_owned()).unwrap()
}

#[test]
fn letters_find_their_values() {
    assert_eq!(form("1.10", "D"), "##D1.10");
    assert_eq!(form(r#"{"a": 1, "b": [1.5, "x#D1"]}"#, "....."), r#"{"a": 1, "b": [1.5, "x#D1"]}"#);
    // Members first, level by level of each container; then elements.
    assert_eq!(
        typed(br#"{"a": {"b": 1, "c": [2, [3, 4]]}, "d": 5}"#, b"..UDU.UDU", &JsonPaths::default()).map(|form| form.into_owned()).map_err(|e| e.to_string()),
        Err("the types inside a JSON document cannot be told (a type does not fit its value); MySQL 5.7 tells those of 10000 values".into())
    );
    assert_eq!(
        form(r#"{"a": {"b": 1, "c": [2, [3, 4]]}, "d": 5}"#, "..UD.U.D."),
        r##"#{"a": {"b": #D1, "c": [#U2, [#D3, 4]]}, "d": #U5}"##
    );
    assert_eq!(
        form(r#"["2024-01-02", "base64:type253:QQ==", {}]"#, ".db."),
        r##"#[#d"2024-01-02", #b"base64:type15:QQ==", {}]"##
    );
}

#[test]
fn what_text_tells_has_no_mark() {
    assert_eq!(form("[18446744073709551615, 7]", ".UI"), "[18446744073709551615, 7]");
    assert_eq!(form("[4294967296, 4294967295, -4294967296]", ".UII"), "[4294967296, 4294967295, -4294967296]");
    assert_eq!(form("[4294967296, 4294967295]", ".IU"), "#[#I4294967296, #U4294967295]");
    assert_eq!(form("[1, \"4294967296\"]", ".I."), "[1, \"4294967296\"]");
    assert_eq!(form("[1, 1.5, 1e20, -0]", ".ffff"), "[1.0, 1.5, 1e20, -0.0]");
}

#[test]
fn letters_of_another_text_are_refused() {
    assert!(typed(b"[1, 2]", b".D", &JsonPaths::default()).is_err());
    assert!(typed(b"[\"x\"]", b".D", &JsonPaths::default()).is_err());
    assert!(typed(b"[1", b".D", &JsonPaths::default()).is_err());
    assert!(typed(b"[1] 2", b".D.", &JsonPaths::default()).is_err());
}

#[test]
fn letters_of_paths() {
    let paths = JsonPaths::of([br#"{"a": 1.5, "b": [1.5]}"#.as_slice()].into_iter(), true);
    let form = |text: &str, letters: &str| {
        typed(text.as_bytes(), letters.as_bytes(), &paths).map(|form| String::from_utf8(form.into_owned()).unwrap())
    };
    assert_eq!(form(r#"{"a": 1.50, "c": 7}"#, "+D.").unwrap(), r##"#{"a": #D1.50, "c": 7}"##);
    assert_eq!(form(r#"{"a": 1, "b": [1.5]}"#, "+fD").unwrap(), r##"#{"a": 1.0, "b": [#D1.5]}"##);
    assert_eq!(form(r#"{"a": true}"#, "+..").unwrap(), r#"{"a": true}"#);
    assert!(form(r#"{"c": 1.5}"#, "+D.").is_err() && form(r#"{"a": 1.5}"#, "+D").is_err());
}

#[test]
fn marks_leave_without_a_trace() {
    assert_eq!(
        plain(br##"#{"a": #D1.50, "#Dk\"": [#d"2024-01-02#D", "#D"]}"##).as_ref(),
        br##"{"a": 1.50, "#Dk\"": ["2024-01-02#D", "#D"]}"##
    );
    assert_eq!(plain(b"\"#\"").as_ref(), b"\"#\"");
}
