//! What tests of other processes ask the server for.

use godwit_tablestore::Condition;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::setup::{Setup, id, number, start};

/// One request by hand; its status and its body.
async fn ask(setup: &Setup, method: &str, path: &str, body: &str) -> (String, String) {
    let mut stream = TcpStream::connect(setup.server.address()).await.unwrap();
    let length = body.len();
    let request =
        format!("{method} {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().to_owned(), body.to_owned())
}

#[tokio::test]
async fn faults_are_set_and_requests_are_shown_over_http() {
    let setup = start().await;
    setup.numbered("t").await;
    let fault = r#"[{"operation": "PutRow", "times": 2, "kind": {"type": "refuse", "code": "OTSServerBusy"}}]"#;
    assert_eq!(ask(&setup, "POST", "/control/faults", fault).await, ("200".to_owned(), "{}".to_owned()));
    setup.client.put_row("t", id(1), vec![number("value", 1)], Condition::default()).await.unwrap();
    let (status, counts) = ask(&setup, "GET", "/control/counts", "").await;
    assert_eq!(status, "200");
    assert!(counts.contains(r#""PutRow":3"#) && counts.contains(r#""PutRow OTSServerBusy":2"#), "{counts}");
    let (status, requests) = ask(&setup, "GET", "/control/requests", "").await;
    // The table's name stands in the body: field 1, one byte.
    assert!(status == "200" && requests.contains(r#""body":"0a0174"#) && requests.contains(r#""signature":"V2""#), "{requests}");
}

#[tokio::test]
async fn a_fault_that_is_misspelt_is_refused_and_nothing_else_is_changed() {
    let setup = start().await;
    for wrong in ["{}", r#"[{"kind": {"type": "explode"}}]"#, r#"[{"often": 3, "kind": {"type": "reset"}}]"#] {
        let (status, told) = ask(&setup, "POST", "/control/faults", wrong).await;
        assert!(status == "400" && told.contains("error"), "{wrong}: {status} {told}");
    }
    assert_eq!(ask(&setup, "GET", "/control/nothing", "").await.0, "404");
    assert!(setup.client.list_tables().await.unwrap().is_empty());
}

/// Whoever does not sign gets no table: only `/control/` is open.
#[tokio::test]
async fn what_is_not_signed_is_refused() {
    let setup = start().await;
    for (method, path, status) in [("POST", "/ListTable", "400"), ("GET", "/ListTable", "405"), ("POST", "/", "400")] {
        assert_eq!(ask(&setup, method, path, "").await.0, status, "{method} {path}");
    }
}
