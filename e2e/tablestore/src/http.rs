//! One request: who asks, is it whole, what fault meets it, what is answered.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderMap};
use hyper::{Method, Request, Response};
use jiff::Timestamp;

use crate::control;
use crate::faults::FaultKind;
use crate::operations::{Context, perform};
use crate::refusal::{Refusal, denied, invalid};
use crate::sign::{self, Verified, md5};
use crate::state::{Recorded, Shared};

/// The largest body that is taken.
const BODY: usize = 5 * 1024 * 1024;
/// How far the clocks may differ, in seconds.
const SKEW: i64 = 15 * 60;

/// What becomes of a connection.
pub(crate) enum Outcome {
    Answer(Response<Full<Bytes>>),
    Reset,
}

/// An answer before it is signed.
struct Reply {
    status: u16,
    body: Vec<u8>,
}

impl From<&Refusal> for Reply {
    fn from(refusal: &Refusal) -> Self {
        Self { status: refusal.status, body: refusal.to_body() }
    }
}

/// Answers one request.
pub(crate) async fn answer(shared: &Arc<Shared>, request: Request<Incoming>) -> Outcome {
    let (head, body) = request.into_parts();
    let path = head.uri.path().to_owned();
    let body = match Limited::new(body, BODY).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => {
            let refusal = Refusal::new(413, "OTSRequestBodyTooLarge", "The size of POST data is too large.");
            return Outcome::Answer(response(shared, &path, Reply::from(&refusal), None, &Twist::default()));
        }
        // The body ended before its end; there is nobody to answer.
        Err(_) => return Outcome::Reset,
    };
    if let Some(called) = path.strip_prefix("/control/") {
        return Outcome::Answer(control::answer(shared, &head.method, called, &body));
    }
    if head.method != Method::POST {
        let refusal = Refusal::new(405, "OTSMethodNotAllowed", "Only POST method for requests is supported.");
        return Outcome::Answer(response(shared, &path, Reply::from(&refusal), None, &Twist::default()));
    }
    let operation = path.strip_prefix('/').unwrap_or_default().to_owned();
    let fault = shared.faults().next(&operation);
    match &fault {
        Some(FaultKind::Reset) => return Outcome::Reset,
        Some(FaultKind::Gateway { status }) => return Outcome::Answer(gateway(*status)),
        Some(FaultKind::Slow { milliseconds }) => tokio::time::sleep(Duration::from_millis(*milliseconds)).await,
        _ => {}
    }
    let twist = Twist::of(fault.as_ref());
    let (reply, verified) = reply(shared, &operation, &path, &head.headers, body, fault.as_ref(), &twist);
    if matches!(fault, Some(FaultKind::LoseAnswer)) {
        return Outcome::Reset;
    }
    Outcome::Answer(response(shared, &path, reply, verified.as_ref(), &twist))
}

/// What a fault changes about an answer that is otherwise right.
#[derive(Default)]
struct Twist {
    ahead: i64,
    wrong_md5: bool,
    wrong_signature: bool,
}

impl Twist {
    fn of(fault: Option<&FaultKind>) -> Self {
        let ahead = if let Some(FaultKind::Clock { seconds }) = fault { *seconds } else { 0 };
        Self {
            ahead,
            wrong_md5: matches!(fault, Some(FaultKind::WrongMd5)),
            wrong_signature: matches!(fault, Some(FaultKind::WrongSignature)),
        }
    }

    /// The service's time, in milliseconds since 1970.
    fn now(&self) -> i64 {
        Timestamp::now().as_millisecond() + self.ahead * 1000
    }
}

fn reply(
    shared: &Arc<Shared>,
    operation: &str,
    path: &str,
    headers: &HeaderMap,
    body: Bytes,
    fault: Option<&FaultKind>,
    twist: &Twist,
) -> (Reply, Option<Verified>) {
    let verified = match authenticate(shared, path, headers, &body, twist) {
        Ok(verified) => verified,
        Err(refusal) => {
            shared.count(operation, Some(&refusal));
            return (Reply::from(&refusal), None);
        }
    };
    shared.record(Recorded { operation: operation.to_owned(), version: verified.version, body: body.clone() });
    let done = match fault {
        Some(FaultKind::Refuse { code }) => {
            Err(Refusal::known(code).unwrap_or_else(|| Refusal::new(400, code, "Refused by a fault.")))
        }
        fault => {
            perform(&mut shared.instance(), operation, &body, &Context { settings: &shared.settings, now: twist.now(), fault })
        }
    };
    shared.count(operation, done.as_ref().err());
    let reply = done.map_or_else(|refusal| Reply::from(&refusal), |body| Reply { status: 200, body });
    (reply, Some(verified))
}

/// Who asks, whether the body is what was signed, and whether it was signed just now.
fn authenticate(shared: &Shared, path: &str, headers: &HeaderMap, body: &[u8], twist: &Twist) -> Result<Verified, Refusal> {
    let settings = &shared.settings;
    let needed = |name: &str| {
        let value = headers.get(name).and_then(|value| value.to_str().ok());
        value.ok_or_else(|| invalid(format!("Missing header: '{name}'.")))
    };
    if needed("x-ots-apiversion")? != "2015-12-31" {
        return Err(invalid("Invalid header: 'x-ots-apiversion'."));
    }
    let date = needed("x-ots-date")?;
    let sent: Timestamp = date.parse().map_err(|_| invalid(format!("Invalid date format: {date}.")))?;
    if needed("x-ots-accesskeyid")? != settings.access_key_id {
        return Err(denied("The AccessKeyID does not exist."));
    }
    let instance = needed("x-ots-instancename")?;
    let digest = needed("x-ots-contentmd5")?;
    let verified = sign::verify(path, headers, &settings.access_key_secret)?;
    if (twist.now() / 1000 - sent.as_second()).abs() > SKEW {
        return Err(denied(format!("Mismatch between system time and x-ots-date: {date}.")));
    }
    let token = headers.get("x-ots-ststoken").and_then(|value| value.to_str().ok());
    if token != shared.security_token().as_deref() {
        return Err(denied("The security token is invalid or has expired."));
    }
    if digest != md5(body) {
        return Err(denied("Mismatch between MD5 value of request body and x-ots-contentmd5 in header."));
    }
    if instance != settings.instance {
        return Err(denied("The instance is not found."));
    }
    Ok(verified)
}

/// The answer with its headers, signed for whoever could be known by a signature.
fn response(shared: &Shared, path: &str, reply: Reply, verified: Option<&Verified>, twist: &Twist) -> Response<Full<Bytes>> {
    let date = Timestamp::from_millisecond(twist.now()).unwrap_or_default();
    let mut headers = vec![
        ("x-ots-date", date.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()),
        ("x-ots-requestid", shared.next_request_id()),
        ("x-ots-contenttype", "protocol buffer".to_owned()),
        ("x-ots-contentmd5", md5(if twist.wrong_md5 { b"other bytes" } else { &reply.body })),
    ];
    if let Some(verified) = verified {
        let signed_path = if twist.wrong_signature { "/another/path" } else { path };
        let signature = verified.answer(signed_path, &headers);
        headers.push(("authorization", format!("OTS {}:{signature}", shared.settings.access_key_id)));
    }
    let mut response = Response::builder().status(reply.status);
    for (name, value) in headers {
        response = response.header(name, value);
    }
    response.body(Full::new(reply.body.into())).unwrap_or_else(|_| gateway(500))
}

/// What a proxy before the service says.
fn gateway(status: u16) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from_static(b"<html><body>Bad gateway</body></html>")));
    *response.status_mut() = hyper::StatusCode::from_u16(status).unwrap_or(hyper::StatusCode::BAD_GATEWAY);
    response.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static("text/html"));
    response
}
