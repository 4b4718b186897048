//! Conditions, and what a lost answer does to them.

use godwit_tablestore::{
    Code, ColumnFilter, ColumnUpdate, Comparator, Condition, Existence, Read, RowChange, RowOperation, RowsOfTable, Value,
};
use godwit_tablestore_server::{Fault, FaultKind};

use crate::operations::{code, everything, value};
use crate::setup::{id, number, put, start};

fn existence(existence: Existence) -> Condition {
    Condition { existence, column: None }
}

fn where_value(comparator: Comparator, value: i64) -> Condition {
    Condition { existence: Existence::Ignore, column: Some(ColumnFilter::new("value", comparator, Value::Integer(value))) }
}

#[tokio::test]
async fn a_condition_on_existence_holds_or_refuses() {
    let setup = start().await;
    setup.numbered("t").await;
    let put = async |at, condition| setup.client.put_row("t", id(at), vec![number("value", 1)], existence(condition)).await;
    assert_eq!(code(&put(1, Existence::ExpectExist).await.unwrap_err()), "OTSConditionCheckFail");
    put(1, Existence::ExpectNotExist).await.unwrap();
    let refused = put(1, Existence::ExpectNotExist).await.unwrap_err();
    assert_eq!((code(&refused), refused.may_have_succeeded(), refused.attempts), ("OTSConditionCheckFail", false, 1));
    put(1, Existence::ExpectExist).await.unwrap();
    setup.client.delete_row("t", id(1), existence(Existence::ExpectExist)).await.unwrap();
    assert!(setup.client.delete_row("t", id(1), existence(Existence::ExpectExist)).await.is_err());
}

#[tokio::test]
async fn a_column_is_compared_by_all_comparators() {
    let setup = start().await;
    setup.numbered("t").await;
    setup.client.put_row("t", id(1), vec![number("value", 5)], Condition::default()).await.unwrap();
    let update = async |condition| {
        setup.client.update_row("t", id(1), vec![ColumnUpdate::Put(number("seen", 1))], condition).await.is_ok()
    };
    use Comparator::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual, NotEqual};
    for (comparator, holds) in [
        (Equal, [false, true, false]),
        (NotEqual, [true, false, true]),
        (Greater, [true, false, false]),
        (GreaterOrEqual, [true, true, false]),
        (Less, [false, false, true]),
        (LessOrEqual, [false, true, true]),
    ] {
        for (than, holds) in [4, 5, 6].into_iter().zip(holds) {
            assert_eq!(update(where_value(comparator, than)).await, holds, "5 {comparator:?} {than}");
        }
    }
    let mut missing = where_value(Equal, 5);
    missing.column.as_mut().unwrap().column = "another".into();
    assert!(!update(missing.clone()).await);
    missing.column.as_mut().unwrap().pass_if_missing = true;
    assert!(update(missing).await);
}

#[tokio::test]
async fn a_filter_leaves_rows_out_and_the_range_goes_on() {
    let setup = start().await;
    setup.numbered("t").await;
    let rows: Vec<RowChange> = (0..30).map(|at| put(at, at % 10)).collect();
    setup.client.bulk_import("t", &rows).await.unwrap();
    let filter = Some(ColumnFilter::new("value", Comparator::Equal, Value::Integer(9)));
    let key = setup.client.describe_table("t").await.unwrap().key;
    let range = godwit_tablestore::Range {
        limit: Some(4),
        read: Read { filter, ..Read::default() },
        ..godwit_tablestore::Range::whole(&key)
    };
    let (mut empty, mut found) = (0, 0);
    setup
        .client
        .each_page("t", range, |page| {
            empty += usize::from(page.rows.is_empty());
            found += page.rows.len();
            true
        })
        .await
        .unwrap();
    assert!(found == 3 && empty > 0, "{found} {empty}");
}

#[tokio::test]
async fn columns_that_were_not_asked_for_stay_away() {
    let setup = start().await;
    setup.numbered("t").await;
    setup.client.put_row("t", id(1), vec![number("a", 1), number("b", 2)], Condition::default()).await.unwrap();
    let only = |name: &str| Read { columns: vec![name.into()], ..Read::default() };
    let row = setup.client.get_row("t", &id(1), &only("b")).await.unwrap().unwrap();
    assert_eq!(row.columns.iter().map(|column| &*column.name).collect::<Vec<_>>(), ["b"]);
    assert_eq!(setup.client.get_row("t", &id(1), &only("z")).await.unwrap(), None);
}

/// The epoch of a migration is such an update: whoever lost the race must learn it, and whoever won it must not be told that it lost.
#[tokio::test]
async fn a_condition_that_fails_after_a_lost_answer_says_that_it_may_be_our_own_doing() {
    let setup = start().await;
    setup.numbered("t").await;
    setup.client.put_row("t", id(1), vec![number("value", 1)], Condition::default()).await.unwrap();
    setup.server.set_faults(vec![Fault::once("UpdateRow", FaultKind::LoseAnswer)]);
    let raise = vec![ColumnUpdate::Put(number("value", 2))];
    let refused = setup.client.update_row("t", id(1), raise, where_value(Comparator::Equal, 1)).await.unwrap_err();
    assert_eq!((code(&refused), refused.attempts), ("OTSConditionCheckFail", 2));
    assert!(refused.may_have_succeeded(), "{refused:?}");
    assert_eq!(value(&everything(&setup.client, "t").await[0]), 2);
}

#[tokio::test]
async fn the_same_holds_for_single_rows_of_a_batch() {
    let setup = start().await;
    setup.numbered("t").await;
    let change = |at| RowChange { condition: existence(Existence::ExpectNotExist), ..put(at, at) };
    setup.server.set_faults(vec![Fault::once("BatchWriteRow", FaultKind::LoseAnswer)]);
    let rows = [change(1), RowChange::new(id(2), RowOperation::Delete)];
    let written = setup.client.batch_write_row(&[RowsOfTable { table: "t", rows: &rows }]).await.unwrap();
    let refused = written[0][0].as_ref().unwrap_err();
    assert_eq!(refused.refusal.code, Code::ConditionCheckFail);
    assert!(refused.earlier_attempt_may_have_succeeded);
    assert!(written[0][1].is_ok());
    // And without a lost answer it does not.
    let written = setup.client.batch_write_row(&[RowsOfTable { table: "t", rows: &[change(1)] }]).await.unwrap();
    assert!(!written[0][0].as_ref().unwrap_err().earlier_attempt_may_have_succeeded);
}
