//! One call: signed, sent, checked, and sent again where that helps.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri};
use http_body_util::Full;
use jiff::Timestamp;
use jiff::fmt::strtime;
use prost::Message;
use secrecy::ExposeSecret;
use tokio::sync::Semaphore;

use crate::credentials::{Credentials, ProvideCredentials};
use crate::error::{AnswerError, Code, Error, ErrorKind, Refusal, bounded};
use crate::limits;
use crate::proto;
use crate::retry::Retry;
use crate::sign::{SIGNED_PREFIX, Signing, SigningKey, md5};
use crate::transport::{Answer, Limits, TlsError, Transport};

const DATE: &str = "x-ots-date";
const CONTENT_MD5: &str = "x-ots-contentmd5";
const REQUEST_ID: &str = "x-ots-requestid";
const CONTENT_TYPE: &str = "x-ots-contenttype";

/// Where the instance is, and how it is spoken to.
#[derive(Clone)]
pub struct Config {
    /// The endpoint, such as `https://shop.cn-hangzhou.ots.aliyuncs.com`: scheme, host and perhaps a port, nothing else.
    pub endpoint: String,
    /// The name of the instance.
    pub instance: String,
    /// How requests are signed.
    pub signing: Signing,
    /// Where access keys come from.
    pub credentials: Arc<dyn ProvideCredentials>,
    /// Bounds of connections and exchanges.
    pub limits: Limits,
    /// How long a failed call is tried again.
    pub retry: Retry,
    /// The authorities whose certificates are believed. None: those of Mozilla, compiled in.
    pub roots: Option<rustls::RootCertStore>,
}

impl Config {
    /// V2 signatures, and the defaults of limits and retries.
    #[must_use]
    pub fn new(endpoint: impl Into<String>, instance: impl Into<String>, credentials: Arc<dyn ProvideCredentials>) -> Self {
        Self {
            endpoint: endpoint.into(),
            instance: instance.into(),
            signing: Signing::V2,
            credentials,
            limits: Limits::default(),
            retry: Retry::default(),
            roots: None,
        }
    }
}

/// A configuration that no client can be made from.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The endpoint has another form.
    #[error("the endpoint {0:?} is not of the form https://HOST or http://HOST:PORT")]
    Endpoint(String),
    /// There is no TLS.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// No request could ever be sent.
    #[error("the number of connections is 0")]
    Connections,
}

/// A client of one instance. Clones share connections and limits.
#[derive(Clone)]
pub struct Client(Arc<Shared>);

struct Shared {
    config: Config,
    transport: Transport,
    turns: Semaphore,
}

/// The answer of one call, decoded.
pub(crate) struct Called<R> {
    pub(crate) answer: R,
    pub(crate) request_id: Option<String>,
    pub(crate) attempts: u32,
    /// Whether an attempt before the last may have been carried out.
    pub(crate) uncertain: bool,
}

/// What one attempt brought.
struct Attempt {
    request_id: Option<String>,
    outcome: Result<Bytes, ErrorKind>,
}

impl Client {
    /// A client. Nothing is connected before the first call.
    ///
    /// # Errors
    /// [`ConfigError`] for what no call could succeed with.
    pub fn new(config: Config) -> Result<Self, ConfigError> {
        let uri: Option<Uri> = config.endpoint.parse().ok();
        let fits = uri.is_some_and(|uri| {
            matches!(uri.scheme_str(), Some("http" | "https"))
                && uri.host().is_some_and(|host| !host.is_empty())
                && uri.path() == "/"
                && uri.query().is_none()
        });
        if !fits {
            return Err(ConfigError::Endpoint(bounded(&config.endpoint, 255)));
        }
        if config.limits.connections == 0 {
            return Err(ConfigError::Connections);
        }
        let transport = Transport::new(&config.limits, config.roots.clone())?;
        let turns = Semaphore::new(config.limits.connections.min(Semaphore::MAX_PERMITS));
        Ok(Self(Arc::new(Shared { config, transport, turns })))
    }

    pub(crate) fn retry(&self) -> &Retry {
        &self.0.config.retry
    }

    /// Sends a request until it is answered, refused for good, or the time for attempts is over. `began` is when the caller's call began, which
    /// may have taken several of these.
    pub(crate) async fn call<R: Message + Default>(
        &self,
        operation: &'static str,
        request: &impl Message,
        began: Instant,
    ) -> Result<Called<R>, Error> {
        let body = Bytes::from(request.encode_to_vec());
        if body.len() > limits::BODY_BYTES {
            return Err(Error::new(operation, limits::Invalid::BodySize(body.len()).into()));
        }
        let (mut attempts, mut uncertain) = (0, false);
        loop {
            let attempt = self.attempt(operation, &body).await;
            attempts += 1;
            let decoded = attempt.outcome.and_then(|body| R::decode(body).map_err(|_| AnswerError::Message.into()));
            let kind = match decoded {
                Ok(answer) => return Ok(Called { answer, request_id: attempt.request_id, attempts, uncertain }),
                Err(kind) => kind,
            };
            let throttled = matches!(&kind, ErrorKind::Refused(refusal) if refusal.code.is_throttling());
            let pause = kind.is_retryable().then(|| self.retry().pause(attempts, throttled, began)).flatten();
            let Some(pause) = pause else {
                return Err(Error {
                    operation,
                    request_id: attempt.request_id,
                    attempts,
                    earlier_attempt_may_have_succeeded: uncertain,
                    kind,
                });
            };
            tracing::debug!(operation, attempts, request_id = attempt.request_id, error = %kind, ?pause, "trying Tablestore again");
            uncertain |= kind.may_have_succeeded();
            tokio::time::sleep(pause).await;
        }
    }

    /// One request and one answer.
    async fn attempt(&self, operation: &'static str, body: &Bytes) -> Attempt {
        let shared = &self.0;
        let credentials = match shared.config.credentials.credentials().await {
            Ok(credentials) => credentials,
            Err(error) => return Attempt { request_id: None, outcome: Err(error.into()) },
        };
        let now = Timestamp::now();
        let request = utc("%Y%m%d", now).and_then(|day| {
            let key = SigningKey::new(&shared.config.signing, &credentials.access_key_secret, &day);
            let request = self.request(operation, body, &credentials, &key, (now, day))?;
            Ok((request, key))
        });
        let (request, key) = match request {
            Ok(request) => request,
            Err(kind) => return Attempt { request_id: None, outcome: Err(kind) },
        };
        // The semaphore is never closed, so that this error cannot be; if it were, nothing was sent.
        let turn = shared.turns.acquire().await;
        let answer = match turn {
            Ok(_turn) => shared.transport.exchange(request).await,
            Err(_) => Err(ErrorKind::Connect("the client was shut down".to_owned())),
        };
        match answer {
            Ok(answer) => {
                let request_id = text(&answer.headers, REQUEST_ID).map(|id| bounded(id, 64));
                let outcome = checked(&answer, operation, &credentials, &key, Timestamp::now());
                Attempt { request_id, outcome: outcome.map(|()| answer.body) }
            }
            Err(kind) => Attempt { request_id: None, outcome: Err(kind) },
        }
    }

    /// The request with its headers, signed.
    fn request(
        &self,
        operation: &str,
        body: &Bytes,
        credentials: &Credentials,
        key: &SigningKey,
        (now, day): (Timestamp, String),
    ) -> Result<Request<Full<Bytes>>, ErrorKind> {
        let config = &self.0.config;
        let path = format!("/{operation}");
        let mut headers: Vec<(&'static str, String)> = vec![
            (DATE, utc("%Y-%m-%dT%H:%M:%S.000Z", now)?),
            ("x-ots-apiversion", "2015-12-31".to_owned()),
            ("x-ots-accesskeyid", credentials.access_key_id.clone()),
            ("x-ots-instancename", config.instance.clone()),
            (CONTENT_MD5, md5(body)),
        ];
        if let Some(token) = &credentials.security_token {
            headers.push(("x-ots-ststoken", token.expose_secret().to_owned()));
        }
        let signature = match &config.signing {
            Signing::V2 => "x-ots-signature",
            Signing::V4 { region } => {
                headers.push(("x-ots-signdate", day));
                headers.push(("x-ots-signregion", region.clone()));
                "x-ots-signaturev4"
            }
        };
        headers.push((signature, key.request(&config.signing, &path, &headers)));
        // The endpoint was parsed when the client was made; what is wrong here is what came since: the credentials.
        let mut request = Request::builder().method(Method::POST).uri(format!("{}{path}", config.endpoint.trim_end_matches('/')));
        for (name, value) in headers {
            let mut value = HeaderValue::from_str(&value).map_err(|_| ErrorKind::Header(name))?;
            value.set_sensitive(matches!(name, "x-ots-ststoken" | "x-ots-signature" | "x-ots-signaturev4"));
            request = request.header(HeaderName::from_static(name), value);
        }
        request.body(Full::new(body.clone())).map_err(|_| ErrorKind::Header("request"))
    }
}

/// A time in UTC, as headers have it. The formats are ours and hold nothing that a time could lack.
fn utc(format: &str, at: Timestamp) -> Result<String, ErrorKind> {
    strtime::format(format, at).map_err(|_| ErrorKind::Header(DATE))
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// Whether an answer may be believed, and whether it says yes.
fn checked(
    answer: &Answer,
    operation: &str,
    credentials: &Credentials,
    key: &SigningKey,
    now: Timestamp,
) -> Result<(), ErrorKind> {
    let headers = &answer.headers;
    let success = answer.status.is_success();
    if success {
        for name in [CONTENT_MD5, REQUEST_ID, DATE, CONTENT_TYPE] {
            text(headers, name).ok_or(AnswerError::Header(name))?;
        }
    }
    if text(headers, CONTENT_MD5).is_some_and(|expected| expected != md5(&answer.body)) {
        return Err(AnswerError::Md5.into());
    }
    let skew = text(headers, DATE).and_then(|date| date.parse::<Timestamp>().ok()).map(|date| now.as_second() - date.as_second());
    let refusal = (!success).then(|| refusal(answer));
    if let Some(Ok(refusal)) = &refusal
        && refusal.code == Code::AuthFailed
    {
        // Who does not know our key cannot sign with it, so this one refusal stands without a signature.
        let clock =
            refusal.message.contains("system time") || skew.is_some_and(|seconds| seconds.abs() > limits::CLOCK_SKEW_SECONDS);
        return Err(if clock { ErrorKind::ClockSkew { seconds: skew } } else { ErrorKind::Refused(refusal.clone()) });
    }
    if success || headers.contains_key(http::header::AUTHORIZATION) {
        signed(headers, operation, credentials, key)?;
    }
    match refusal {
        Some(Ok(refusal)) => Err(ErrorKind::Refused(refusal)),
        Some(Err(kind)) => Err(kind),
        // An answer of long ago may be one that somebody kept.
        None if skew.is_none_or(|seconds| seconds.abs() > limits::CLOCK_SKEW_SECONDS) => {
            Err(ErrorKind::ClockSkew { seconds: skew })
        }
        None => Ok(()),
    }
}

/// What an answer that is no success says.
fn refusal(answer: &Answer) -> Result<Refusal, ErrorKind> {
    match proto::Error::decode(answer.body.as_ref()) {
        Ok(error) if !error.code.is_empty() => Ok(Refusal::new(&error.code, error.message.as_deref())),
        _ => Err(ErrorKind::Http(answer.status.as_u16())),
    }
}

/// Whether an answer carries our key's signature: `OTS ID:SIGNATURE`.
fn signed(headers: &HeaderMap, operation: &str, credentials: &Credentials, key: &SigningKey) -> Result<(), AnswerError> {
    let authorization = text(headers, "authorization").ok_or(AnswerError::Header("Authorization"))?;
    let (id, signature) =
        authorization.strip_prefix("OTS ").and_then(|rest| rest.split_once(':')).ok_or(AnswerError::Signature)?;
    let mut signed = Vec::new();
    for (name, value) in headers {
        if name.as_str().starts_with(SIGNED_PREFIX) {
            signed.push((name.as_str(), value.to_str().map_err(|_| AnswerError::Signature)?));
        }
    }
    let path = format!("/{operation}");
    if id == credentials.access_key_id && key.is_of_answer(signature, &path, signed) {
        Ok(())
    } else {
        Err(AnswerError::Signature)
    }
}
