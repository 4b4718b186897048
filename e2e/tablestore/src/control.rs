//! What tests of other processes ask for, as JSON below `/control/`. It is not signed: the server is for one machine.
//!
//! | request | does |
//! |---|---|
//! | `POST /control/faults` | sets the faults, in place of those before: a list of [`Fault`] |
//! | `GET /control/requests` | the last requests: operation, signature version, body in hexadecimal |
//! | `GET /control/counts` | how often operations were answered, and with which codes refused |

use std::fmt::Write;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Method, Response, StatusCode};
use serde_json::{Value, json};

use crate::faults::Fault;
use crate::state::Shared;

pub(crate) fn answer(shared: &Arc<Shared>, method: &Method, path: &str, body: &[u8]) -> Response<Full<Bytes>> {
    let (status, told) = match (method, path) {
        (&Method::POST, "faults") => match serde_json::from_slice::<Vec<Fault>>(body) {
            Ok(faults) => {
                shared.faults().set(faults);
                (StatusCode::OK, json!({}))
            }
            Err(error) => (StatusCode::BAD_REQUEST, json!({ "error": error.to_string() })),
        },
        (&Method::GET, "requests") => (StatusCode::OK, requests(shared)),
        (&Method::GET, "counts") => (StatusCode::OK, json!(shared.counts())),
        _ => (StatusCode::NOT_FOUND, json!({ "error": "there is no such control" })),
    };
    let mut response = Response::new(Full::new(Bytes::from(told.to_string())));
    *response.status_mut() = status;
    response
}

fn requests(shared: &Shared) -> Value {
    let request = |request: crate::state::Recorded| {
        let mut hex = String::new();
        for byte in &request.body {
            // Writing to a String does not fail.
            let _ = write!(hex, "{byte:02x}");
        }
        json!({ "operation": request.operation, "signature": format!("{:?}", request.version), "body": hex })
    };
    shared.recorded().into_iter().map(request).collect()
}
