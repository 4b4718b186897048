//! Asks engines how they are doing: `GET http://<pod>:8080/status`. One short connection a question, bounded in time and size; who does not
//! answer is [`Reply::Silent`], never an error of the reconcile.

use std::net::IpAddr;
use std::time::Duration;

use http_body_util::{BodyExt, Empty, Limited};
use hyper::Request;
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::task::report::Reply;
use crate::api::engine::STATUS_PORT;
use crate::api::{API_VERSION, StatusReport};

/// An engine that takes longer is silent.
const TIMEOUT: Duration = Duration::from_secs(3);
/// Reports are far smaller: their lists are bounded.
const SIZE_LIMIT: usize = 2 << 20;

/// Asks the engine at this address of the pod network. `task_uid`: whose engine it must be; an address may belong to another pod by now.
pub async fn ask(address: &str, task_uid: &str) -> Reply {
    let answer = match tokio::time::timeout(TIMEOUT, get(address)).await {
        Ok(answer) => answer,
        Err(_) => Err(format!("no answer within {} s", TIMEOUT.as_secs())),
    };
    match answer.and_then(|bytes| read(&bytes)) {
        Ok(report) if report.task.as_ref().is_some_and(|task| task.uid != task_uid) => {
            Reply::Silent("another task's engine answers at its address".to_owned())
        }
        Ok(report) => Reply::Report(Box::new(report)),
        Err(why) => Reply::Silent(why),
    }
}

/// Reads a report, from an answer or from last words.
///
/// # Errors
/// What is wrong with it, in words.
pub fn read(bytes: &[u8]) -> Result<StatusReport, String> {
    let report: StatusReport = serde_json::from_slice(bytes).map_err(|error| format!("its report cannot be read: {error}"))?;
    if report.api_version != API_VERSION {
        return Err(format!("its report has version {}, {API_VERSION} is understood", report.api_version));
    }
    Ok(report)
}

async fn get(address: &str) -> Result<Bytes, String> {
    let ip: IpAddr = address.parse().map_err(|_| format!("its pod has no usable address ({address})"))?;
    let stream = TcpStream::connect((ip, STATUS_PORT)).await.map_err(|error| error.to_string())?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
    let exchange = async {
        let request = Request::get("/status").header("host", "engine").body(Empty::<Bytes>::new());
        let response = sender.send_request(request.map_err(|error| error.to_string())?).await;
        let response = response.map_err(|error| error.to_string())?;
        if !response.status().is_success() {
            return Err(format!("it answers {}", response.status()));
        }
        let body = Limited::new(response.into_body(), SIZE_LIMIT).collect().await;
        body.map(|body| body.to_bytes()).map_err(|error| error.to_string())
    };
    tokio::select! {
        result = exchange => result,
        // Ends only when the peer goes before it has answered.
        ended = connection => Err(ended.err().map_or_else(|| "it hung up".to_owned(), |error| error.to_string())),
    }
}
