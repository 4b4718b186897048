use super::*;

fn row(cells: &[Option<&str>]) -> Row {
    let mut builder = RowBuilder::default();
    cells.iter().for_each(|cell| builder.push(cell.map(str::as_bytes)));
    builder.finish()
}

/// A step on the second of two columns; `to`: None deletes, Some(None) sets NULL.
fn step(from: &str, to: Option<Option<&str>>, exact: bool) -> Arc<Applied> {
    let effect = match to {
        None => Effect::Delete,
        Some(value) => Effect::Set(vec![(1, value.map(|text| text.as_bytes().to_vec()))]),
    };
    Arc::new(Applied { table: 0, sequence: 1, columns: vec![1], keys: vec![row(&[Some(from)])], effect, exact })
}

fn carried_out(value: Option<&str>, steps: &[Arc<Applied>]) -> std::result::Result<Vec<Row>, Uncertain> {
    let mut rows = vec![row(&[Some("1"), value])];
    carry_out(&mut rows, steps).map(|()| rows)
}

#[test]
fn rows_go_the_way_of_their_parent() {
    assert_eq!(carried_out(Some("5"), &[step("5", None, true)]), Ok(vec![]));
    assert_eq!(carried_out(Some("6"), &[step("5", None, true)]), Ok(vec![row(&[Some("1"), Some("6")])]));
    assert_eq!(carried_out(None, &[step("5", None, true)]), Ok(vec![row(&[Some("1"), None])]));
    assert_eq!(carried_out(Some("5"), &[step("5", Some(None), true)]), Ok(vec![row(&[Some("1"), None])]));
    let moves = [step("5", Some(Some("6")), true), step("6", Some(Some("7")), true)];
    assert_eq!(carried_out(Some("5"), &moves), Ok(vec![row(&[Some("1"), Some("7")])]));
}

#[test]
fn a_value_that_comes_back_is_not_guessed_at() {
    // The row may have been read before the first step, or between, or behind both.
    let steps = [step("5", None, true), step("6", Some(Some("5")), true)];
    assert_eq!(carried_out(Some("5"), &steps), Err(Uncertain));
    let steps = [step("5", Some(None), true), step("5", None, true)];
    assert_eq!(carried_out(Some("6"), &steps), Ok(vec![row(&[Some("1"), Some("6")])]));
}

#[test]
fn text_that_may_be_equal_is_not_guessed_at() {
    assert_eq!(carried_out(Some("a5"), &[step("a5", None, false)]), Ok(vec![]));
    assert_eq!(carried_out(Some("A5"), &[step("a5", None, false)]), Err(Uncertain));
    assert_eq!(carried_out(Some("a6"), &[step("a5", None, false)]), Ok(vec![row(&[Some("1"), Some("a6")])]));
    assert_eq!(carried_out(Some("ä6"), &[step("a5", None, false)]), Err(Uncertain));
}
