//! Bad days of the service: what is tried again, what is not believed, and what is told.

use std::time::{Duration, Instant};

use godwit_tablestore::{AnswerError, Code, Condition, Credentials, ErrorKind, KeysOfTable, Read, Retry, RowChange, RowsOfTable};
use godwit_tablestore_server::{Fault, FaultKind, Server, Settings};

use crate::operations::{code, everything};
use crate::setup::{id, number, put, start, with};

fn refuse(code: &str) -> FaultKind {
    FaultKind::Refuse { code: code.to_owned() }
}

#[tokio::test]
async fn what_passes_is_tried_again_and_what_does_not_is_not() {
    let setup = start().await;
    setup.numbered("t").await;
    for (kind, attempts) in [
        (refuse("OTSServerBusy"), 3),
        (refuse("OTSNotEnoughCapacityUnit"), 3),
        (refuse("OTSRowOperationConflict"), 3),
        (refuse("OTSTableNotReady"), 3),
        (refuse("OTSPartitionUnavailable"), 3),
        (refuse("OTSTimeout"), 3),
        (refuse("OTSInternalServerError"), 3),
        (FaultKind::Reset, 3),
        (FaultKind::LoseAnswer, 3),
        (FaultKind::WrongMd5, 3),
        (FaultKind::Gateway { status: 502 }, 3),
        (refuse("OTSNoPermissionAccess"), 1),
        (refuse("OTSParameterInvalid"), 1),
        (refuse("OTSUnheardOf"), 1),
        (FaultKind::WrongSignature, 1),
        (FaultKind::Gateway { status: 404 }, 1),
    ] {
        setup.server.set_faults(vec![Fault { times: Some(2), ..Fault::always("PutRow", kind.clone()) }]);
        let put = setup.client.put_row("t", id(1), vec![number("value", 1)], Condition::default()).await;
        match put {
            Ok(_) => assert_eq!(attempts, 3, "{kind:?} was tried again"),
            Err(error) => assert_eq!((error.attempts, attempts), (1, 1), "{kind:?}: {error}"),
        }
    }
}

#[tokio::test]
async fn a_service_that_stays_busy_is_told_when_the_time_is_over() {
    let setup = with(Settings::default(), |config| config.retry.within = Duration::from_millis(200)).await;
    setup.numbered("t").await;
    setup.server.set_faults(vec![Fault::always("PutRow", refuse("OTSServerBusy"))]);
    let began = Instant::now();
    let refused = setup.client.put_row("t", id(1), vec![], Condition::default()).await.unwrap_err();
    assert_eq!(code(&refused), "OTSServerBusy");
    assert!(refused.attempts > 5 && refused.is_retryable() && !refused.may_have_succeeded(), "{refused:?}");
    assert!(began.elapsed() < Duration::from_secs(1));
}

#[tokio::test]
async fn an_answer_that_is_not_the_services_is_not_believed() {
    let setup = with(Settings::default(), |config| config.retry = Retry::never()).await;
    setup.numbered("t").await;
    let read = async |kind| {
        setup.server.set_faults(vec![Fault::once("GetRow", kind)]);
        let error = setup.client.get_row("t", &id(1), &Read::default()).await.unwrap_err();
        assert!(error.may_have_succeeded(), "{error}");
        match error.kind {
            ErrorKind::Answer(error) => error,
            other => panic!("{other}"),
        }
    };
    assert_eq!(read(FaultKind::WrongSignature).await, AnswerError::Signature);
    assert_eq!(read(FaultKind::WrongMd5).await, AnswerError::Md5);
}

#[tokio::test]
async fn a_row_that_a_batch_does_not_answer_is_never_taken_for_done() {
    let setup = start().await;
    setup.numbered("t").await;
    let rows: Vec<RowChange> = (0..3).map(|at| put(at, at)).collect();
    setup.server.set_faults(vec![
        Fault::once("BatchWriteRow", FaultKind::OmitRow),
        Fault::once("BulkImport", FaultKind::OmitRow),
        Fault::once("BatchGetRow", FaultKind::OmitRow),
    ]);
    let (keys, read) = ([id(0), id(1), id(2)], Read::default());
    for error in [
        setup.client.batch_write_row(&[RowsOfTable { table: "t", rows: &rows }]).await.unwrap_err(),
        setup.client.bulk_import("t", &rows).await.unwrap_err(),
        setup.client.batch_get_row(&[KeysOfTable { table: "t", keys: &keys, read: &read }]).await.unwrap_err(),
    ] {
        assert!(matches!(error.kind, ErrorKind::Answer(AnswerError::Count { sent: 3, answered: 2 })), "{error}");
        assert!(error.may_have_succeeded());
    }
}

#[tokio::test]
async fn rows_that_a_batch_refuses_for_the_moment_are_sent_again_alone() {
    let setup = start().await;
    setup.numbered("t").await;
    let rows: Vec<RowChange> = (0..100).map(|at| put(at, at)).collect();
    for operation in ["BatchWriteRow", "BulkImport"] {
        let kind = FaultKind::RefuseRows { code: "OTSServerBusy".to_owned(), one_in: 3 };
        setup.server.set_faults(vec![Fault { times: Some(3), ..Fault::always(operation, kind) }]);
        let written = match operation {
            "BulkImport" => setup.client.bulk_import("t", &rows).await.unwrap(),
            _ => setup.client.batch_write_row(&[RowsOfTable { table: "t", rows: &rows }]).await.unwrap().remove(0),
        };
        assert!(written.len() == 100 && written.iter().all(Result::is_ok), "{operation}");
        // 100 rows, then a third of what is left each time: 34, 12, 4.
        assert_eq!(setup.count(operation), 4);
    }
    assert_eq!(everything(&setup.client, "t").await.len(), 100);
}

#[tokio::test]
async fn rows_that_a_batch_refuses_for_good_are_told_one_by_one() {
    let setup = start().await;
    setup.numbered("t").await;
    let rows: Vec<RowChange> = (0..5).map(|at| put(at, at)).collect();
    let kind = FaultKind::RefuseRows { code: "OTSNoPermissionAccess".to_owned(), one_in: 2 };
    setup.server.set_faults(vec![Fault::once("BatchWriteRow", kind)]);
    let written = setup.client.batch_write_row(&[RowsOfTable { table: "t", rows: &rows }]).await.unwrap();
    let refused: Vec<bool> = written[0].iter().map(Result::is_err).collect();
    assert_eq!(refused, [true, false, true, false, true]);
    assert_eq!(written[0][0].as_ref().unwrap_err().refusal.code, Code::NoPermissionAccess);
    assert_eq!(setup.count("BatchWriteRow"), 1);
}

#[tokio::test]
async fn rows_that_stay_refused_are_told_when_the_time_is_over() {
    let setup = with(Settings::default(), |config| config.retry.within = Duration::from_millis(100)).await;
    setup.numbered("t").await;
    let kind = FaultKind::RefuseRows { code: "OTSTimeout".to_owned(), one_in: 2 };
    setup.server.set_faults(vec![Fault::always("BulkImport", kind)]);
    let written = setup.client.bulk_import("t", &[put(1, 1), put(2, 2)]).await.unwrap();
    let refused = written[0].as_ref().unwrap_err();
    assert_eq!(refused.refusal.code, Code::Timeout);
    assert!(refused.earlier_attempt_may_have_succeeded);
    assert!(written[1].is_ok());
}

#[tokio::test]
async fn a_clock_that_is_off_is_told_with_how_far() {
    let setup = start().await;
    for (seconds, told) in [(1200, "behind"), (-1200, "ahead")] {
        setup.server.set_faults(vec![Fault::always("ListTable", FaultKind::Clock { seconds })]);
        let error = setup.client.list_tables().await.unwrap_err();
        let ErrorKind::ClockSkew { seconds: Some(by) } = error.kind else { panic!("{error}") };
        assert!((by + seconds).abs() <= 2, "{by}");
        assert!(error.to_string().contains(told) && error.attempts == 1, "{error}");
    }
}

#[tokio::test]
async fn an_attempt_that_takes_too_long_is_given_up() {
    let setup = with(Settings::default(), |config| config.limits.attempt_timeout = Duration::from_millis(100)).await;
    setup.numbered("t").await;
    setup.server.set_faults(vec![Fault::once("PutRow", FaultKind::Slow { milliseconds: 1000 })]);
    setup.client.put_row("t", id(1), vec![], Condition::default()).await.unwrap();
    assert_eq!(everything(&setup.client, "t").await.len(), 1);
}

#[tokio::test]
async fn an_answer_that_is_too_large_is_not_read() {
    let setup = with(Settings::default(), |config| config.limits.answer_bytes = 1000).await;
    setup.numbered("t").await;
    let large = godwit_tablestore::Column::new("c", godwit_tablestore::Value::Binary(vec![0; 2000]));
    setup.client.put_row("t", id(1), vec![large], Condition::default()).await.unwrap();
    let error = setup.client.get_row("t", &id(1), &Read::default()).await.unwrap_err();
    assert!(matches!(error.kind, ErrorKind::Answer(AnswerError::TooLarge(1000))), "{error}");
}

#[tokio::test]
async fn nobody_at_the_address_is_a_connection_that_failed() {
    let setup = with(Settings::default(), |config| config.retry.within = Duration::from_millis(50)).await;
    drop(setup.server);
    // The listener is gone with its task.
    tokio::time::sleep(Duration::from_millis(50)).await;
    let error = setup.client.list_tables().await.unwrap_err();
    assert!(matches!(error.kind, ErrorKind::Connect(_)), "{error:?}");
    assert!(!error.may_have_succeeded() && error.is_retryable());
}

#[tokio::test]
async fn the_instance_has_its_name_and_its_key() {
    let setup = with(Settings { instance: "another".to_owned(), ..Settings::default() }, |_| {}).await;
    assert!(setup.client.list_tables().await.unwrap_err().to_string().contains("The instance is not found."));
    let server = Server::start(([127, 0, 0, 1], 0).into(), Settings::default()).await.unwrap();
    let mut config = crate::setup::config(&server, godwit_tablestore::Replaceable::new(Credentials::new("a", "b")));
    for endpoint in ["", "example.com", "ftp://example.com", "https://example.com/path", "https://example.com?x=1"] {
        config.endpoint = endpoint.to_owned();
        assert!(godwit_tablestore::Client::new(config.clone()).is_err(), "{endpoint}");
    }
}
