//! Asks engines how they are doing: `GET http://<pod>:8080/status`. One short connection a question, bounded in time and size. Who does not
//! answer, or cannot prove to be the task's engine (`godwit_service::handshake`: an address may belong to another pod by now), is
//! [`Reply::Silent`], never an error of the reconcile.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use http_body_util::{BodyExt, Empty, Limited};
use hyper::Request;
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::task::report::Reply;
use godwit_api::engine::STATUS_PORT;
use godwit_api::{API_VERSION, StatusReport};
use godwit_service::handshake::{self, NONCE_HEADER, PROOF_HEADER, Token};

/// An engine that takes longer is silent.
const TIMEOUT: Duration = Duration::from_secs(3);
/// Reports are far smaller: their lists are bounded.
const SIZE_LIMIT: usize = 2 << 20;

/// Asks the engine at this address of the pod network. `task_uid`: whose engine it must be. `token`: that of its plan.
pub(crate) async fn ask(address: &str, task_uid: &str, token: &str) -> Reply {
    let answer = match tokio::time::timeout(TIMEOUT, ask_at(address, token)).await {
        Ok(answer) => answer,
        Err(_) => Err(format!("no answer within {} s", TIMEOUT.as_secs())),
    };
    match answer {
        Ok(report) if report.task.as_ref().is_none_or(|task| task.uid != task_uid) => {
            Reply::Silent("another task's engine answers at its address".to_owned())
        }
        Ok(report) => Reply::Report(Box::new(report)),
        Err(why) => Reply::Silent(why),
    }
}

async fn ask_at(address: &str, token: &str) -> Result<StatusReport, String> {
    let ip: IpAddr = address.parse().map_err(|_| format!("its pod has no usable address ({address})"))?;
    let token = Token::new(token).ok_or("its plan has no token")?;
    let nonce = handshake::random().ok_or("the system gives no random numbers")?;
    let answer = get(SocketAddr::from((ip, STATUS_PORT)), &nonce, &token.question(&nonce)).await?;
    if !token.accepts_answer(&nonce, &answer.body, &answer.proof) {
        return Err("what answers at its address does not prove to be its engine".to_owned());
    }
    read(&answer.body)
}

struct Answer {
    body: Bytes,
    proof: String,
}

/// Reads a report, from an answer or from last words.
///
/// # Errors
/// What is wrong with it, in words.
pub(crate) fn read(bytes: &[u8]) -> Result<StatusReport, String> {
    let report: StatusReport = serde_json::from_slice(bytes).map_err(|error| format!("its report cannot be read: {error}"))?;
    if report.api_version != API_VERSION {
        return Err(format!("its report has version {}, {API_VERSION} is understood", report.api_version));
    }
    Ok(report)
}

async fn get(address: SocketAddr, nonce: &str, proof: &str) -> Result<Answer, String> {
    let stream = TcpStream::connect(address).await.map_err(|error| error.to_string())?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
    let exchange = async {
        let request = Request::get("/status").header("host", "engine").header(NONCE_HEADER, nonce).header(PROOF_HEADER, proof);
        let request = request.body(Empty::<Bytes>::new());
        let response = sender.send_request(request.map_err(|error| error.to_string())?).await;
        let response = response.map_err(|error| error.to_string())?;
        if !response.status().is_success() {
            return Err(format!("it answers {}", response.status()));
        }
        let proof = response.headers().get(PROOF_HEADER).and_then(|proof| proof.to_str().ok()).unwrap_or_default().to_owned();
        let body = Limited::new(response.into_body(), SIZE_LIMIT).collect().await;
        let body = body.map_err(|error| error.to_string())?.to_bytes();
        Ok(Answer { body, proof })
    };
    tokio::select! {
        result = exchange => result,
        // Ends only when the peer goes before it has answered.
        ended = connection => Err(ended.err().map_or_else(|| "it hung up".to_owned(), |error| error.to_string())),
    }
}
