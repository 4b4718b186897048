//! What can go wrong, with what a person needs to mend it and a program to go on.

use std::fmt;

use crate::credentials::CredentialsError;
use crate::limits::Invalid;
use crate::plainbuffer::Malformed;

/// The longest message of the service that is kept, in bytes.
const MESSAGE_BYTES: usize = 512;

/// An operation that failed for good: what could be tried again was, within the client's [`Retry`](crate::Retry).
#[derive(Debug, thiserror::Error)]
#[error("Tablestore {operation}: {kind}{}", RequestId(.request_id))]
pub struct Error {
    /// The operation, by its name in the protocol.
    pub operation: &'static str,
    /// The service's own name of the last attempt, which its support asks for. None where no answer came.
    pub request_id: Option<String>,
    /// How often it was sent.
    pub attempts: u32,
    /// Whether an attempt before the last one may have been carried out although its answer never came. A condition that then fails may have
    /// failed because of it: a row that was expected to be missing is there because this very call has put it there.
    pub earlier_attempt_may_have_succeeded: bool,
    /// What went wrong.
    pub kind: ErrorKind,
}

impl Error {
    pub(crate) fn new(operation: &'static str, kind: ErrorKind) -> Self {
        Self { operation, request_id: None, attempts: 0, earlier_attempt_may_have_succeeded: false, kind }
    }

    /// The service's code, where it was the service that refused.
    #[must_use]
    pub fn code(&self) -> Option<&Code> {
        match &self.kind {
            ErrorKind::Refused(refusal) => Some(&refusal.code),
            _ => None,
        }
    }

    /// Whether the same call may succeed later without anybody's doing.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        self.kind.is_retryable()
    }

    /// Whether the operation may have been carried out although it ended in an error: the answer of an attempt was lost, or could not be trusted.
    #[must_use]
    pub fn may_have_succeeded(&self) -> bool {
        self.earlier_attempt_may_have_succeeded || self.kind.may_have_succeeded()
    }
}

struct RequestId<'a>(&'a Option<String>);

impl fmt::Display for RequestId<'_> {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_ref().map_or(Ok(()), |id| write!(to, " (request {id})"))
    }
}

/// What went wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The call breaks a limit of the service. Nothing was sent.
    #[error("{0}")]
    Invalid(#[from] Invalid),
    /// The provider has no credentials. Nothing was sent.
    #[error("no credentials: {0}")]
    Credentials(#[from] CredentialsError),
    /// The credentials hold characters that cannot stand in a header.
    #[error("the {0} holds characters that no header can carry")]
    Header(&'static str),
    /// The service said no.
    #[error("{0}")]
    Refused(Refusal),
    /// The clocks are too far apart: the service takes requests of ±15 minutes. The remedy is to set the clock of this machine.
    #[error("the clock of this machine is {} from the service's; requests are refused beyond 15 minutes", Skew(*.seconds))]
    ClockSkew {
        /// Our clock less the service's, in seconds, as far as the answer told it.
        seconds: Option<i64>,
    },
    /// No connection came about. Nothing was sent.
    #[error("cannot connect: {0}")]
    Connect(String),
    /// The connection ended before the answer was there. The request may have been carried out.
    #[error("the answer did not arrive: {0}")]
    Lost(String),
    /// There was no answer within the time for one attempt. The request may have been carried out.
    #[error("no answer within {0:?}")]
    Timeout(std::time::Duration),
    /// Something that is not the service answered, such as a proxy, or the service without its usual form.
    #[error("HTTP status {0} without an error that Tablestore sends")]
    Http(u16),
    /// The answer is not what the protocol has for it. The request may have been carried out.
    #[error("the answer cannot be trusted: {0}")]
    Answer(#[from] AnswerError),
}

struct Skew(Option<i64>);

impl fmt::Display for Skew {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(seconds) => write!(to, "{} s {}", seconds.unsigned_abs(), if seconds < 0 { "behind" } else { "ahead" }),
            None => write!(to, "too far"),
        }
    }
}

impl ErrorKind {
    pub(crate) fn is_retryable(&self) -> bool {
        match self {
            Self::Refused(refusal) => refusal.is_retryable(),
            Self::Connect(_) | Self::Lost(_) | Self::Timeout(_) => true,
            // What gateways say when the service behind them does not.
            Self::Http(status) => matches!(status, 500 | 502 | 503 | 504),
            // Bytes that were damaged on their way; whoever signs with another key will do so again.
            Self::Answer(error) => matches!(error, AnswerError::Md5),
            Self::Invalid(_) | Self::Credentials(_) | Self::Header(_) | Self::ClockSkew { .. } => false,
        }
    }

    pub(crate) fn may_have_succeeded(&self) -> bool {
        match self {
            Self::Refused(refusal) => refusal.code.may_have_succeeded(),
            Self::Lost(_) | Self::Timeout(_) | Self::Http(_) | Self::Answer(_) => true,
            Self::Invalid(_) | Self::Credentials(_) | Self::Header(_) | Self::ClockSkew { .. } | Self::Connect(_) => false,
        }
    }
}

/// Why an answer is not believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AnswerError {
    /// A header that every answer has is missing, or is no text.
    #[error("its header {0} is missing")]
    Header(&'static str),
    /// The body's MD5 is not the one that the headers name.
    #[error("its MD5 does not match its body")]
    Md5,
    /// The signature is not made with our key: whoever answers is not the service, or changed what it said.
    #[error("its signature is not made with this access key")]
    Signature,
    /// The body is larger than any answer of the service, in bytes.
    #[error("it is larger than {0} bytes")]
    TooLarge(usize),
    /// The body is not the message that belongs to the operation.
    #[error("it is not the message that belongs to the operation")]
    Message,
    /// A field is missing that the operation always answers.
    #[error("its field {0} is missing")]
    Field(&'static str),
    /// A row in it is damaged.
    #[error("{0}")]
    Rows(#[from] Malformed),
    /// A batch was answered for other tables, or for more or fewer rows, than were sent.
    #[error("it answers {answered} rows of {sent} that were sent")]
    Count {
        /// The rows that were sent.
        sent: usize,
        /// The rows that were answered.
        answered: usize,
    },
    /// A batch answers a table that stands in another place, or is another one.
    #[error("it answers other tables than were asked for")]
    Table,
    /// A row of a batch answers for another key than was asked for, or a range holds one outside its ends or out of its order.
    #[error("it holds a row that was not asked for")]
    Row,
    /// A range goes on where it was begun.
    #[error("a range makes no progress")]
    NoProgress,
}

/// What the service said: of a whole operation or of one row in a batch.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct Refusal {
    /// The code.
    pub code: Code,
    /// The message, cut to 512 bytes and without control characters.
    pub message: String,
}

impl Refusal {
    pub(crate) fn new(code: &str, message: Option<&str>) -> Self {
        Self { code: Code::from_text(code), message: bounded(message.unwrap_or_default(), MESSAGE_BYTES) }
    }

    /// Whether the same request may succeed later without anybody's doing.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        // The one quota that fills up again by itself: operations on tables within a second.
        self.code.is_retryable()
            || (self.code == Code::QuotaExhausted && self.message.starts_with("Too frequent table operations"))
    }
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// The service's code of a refusal. Which of them may be tried again is in its documentation ("Error codes"); the official SDKs do so
        /// with the same ones.
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Code {
            $($(#[$doc])* $name,)*
            /// A code that is not listed here, cut to 64 bytes. It is never tried again.
            Other(String),
        }

        impl Code {
            /// The code as the service writes it.
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$name => $text,)*
                    Self::Other(text) => text,
                }
            }

            pub(crate) fn from_text(text: &str) -> Self {
                match text {
                    $($text => Self::$name,)*
                    other => Self::Other(bounded(other, 64)),
                }
            }
        }
    };
}

codes! {
    /// The key, the instance or the signature is wrong, or the clocks differ; the message says which.
    AuthFailed = "OTSAuthFailed",
    /// The account lacks a permission.
    NoPermissionAccess = "OTSNoPermissionAccess",
    /// The request breaks a rule; the message says which.
    ParameterInvalid = "OTSParameterInvalid",
    /// The key is not that of the table: number, names or types of its columns.
    InvalidPk = "OTSInvalidPK",
    /// The row would have too many columns.
    OutOfColumnCountLimit = "OTSOutOfColumnCountLimit",
    /// The row would be too large.
    OutOfRowSizeLimit = "OTSOutOfRowSizeLimit",
    /// The body is larger than the service takes.
    RequestBodyTooLarge = "OTSRequestBodyTooLarge",
    /// The table is there already.
    ObjectAlreadyExist = "OTSObjectAlreadyExist",
    /// The table is not there.
    ObjectNotExist = "OTSObjectNotExist",
    /// The condition of a change did not hold.
    ConditionCheckFail = "OTSConditionCheckFail",
    /// A quota of the instance is used up: tables, or operations on tables within a second.
    QuotaExhausted = "OTSQuotaExhausted",
    /// The table's throughput was changed too short a time ago.
    TooFrequentAdjustment = "OTSTooFrequentReservedThroughputAdjustment",
    /// Reserved capacity is used up, for this second.
    NotEnoughCapacityUnit = "OTSNotEnoughCapacityUnit",
    /// All capacity is used up. The service's documentation says that trying again does not help.
    CapacityUnitExhausted = "OTSCapacityUnitExhausted",
    /// Another request changes the same row.
    RowOperationConflict = "OTSRowOperationConflict",
    /// Another request changes the same table.
    OperationConflict = "OTSOperationConflict",
    /// The service asks for fewer requests.
    OperationThrottled = "OTSOperationThrottled",
    /// The service asks for fewer requests, with HTTP 429. Its documentation does not say that trying again helps; nothing was done, and a
    /// migration that waits a while is better than one that stops.
    FlowControl = "OTSFlowControl",
    /// The table was created a moment ago, and is being loaded.
    TableNotReady = "OTSTableNotReady",
    /// A partition is being loaded or moved.
    PartitionUnavailable = "OTSPartitionUnavailable",
    /// The service has too much to do.
    ServerBusy = "OTSServerBusy",
    /// The storage below it has too much to do.
    StorageServerBusy = "OTSStorageServerBusy",
    /// The service did not finish in time. It may have been carried out.
    Timeout = "OTSTimeout",
    /// The service failed. It may have been carried out.
    InternalServerError = "OTSInternalServerError",
    /// The service cannot be had. It may have been carried out.
    ServerUnavailable = "OTSServerUnavailable",
}

impl Code {
    /// Whether the same request may succeed later without anybody's doing.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        self.is_throttling()
            || self.may_have_succeeded()
            || matches!(
                self,
                Self::RowOperationConflict | Self::OperationConflict | Self::TableNotReady | Self::PartitionUnavailable
            )
    }

    /// Whether it asks for fewer requests.
    #[must_use]
    pub fn is_throttling(&self) -> bool {
        matches!(
            self,
            Self::ServerBusy
                | Self::StorageServerBusy
                | Self::NotEnoughCapacityUnit
                | Self::OperationThrottled
                | Self::FlowControl
        )
    }

    /// Whether the request may have been carried out in spite of it.
    #[must_use]
    pub fn may_have_succeeded(&self) -> bool {
        matches!(self, Self::Timeout | Self::InternalServerError | Self::ServerUnavailable)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(self.as_str())
    }
}

/// A text of a stranger as it may stand in an error: at most so many bytes, and no control characters.
pub(crate) fn bounded(text: &str, bytes: usize) -> String {
    let end = text.floor_char_boundary(bytes);
    text.chars()
        .scan(0, |at, character| {
            *at += character.len_utf8();
            (*at <= end).then_some(if character.is_control() { ' ' } else { character })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_strangers_are_cut_between_characters() {
        assert_eq!(bounded("äöü", 3), "ä");
        assert_eq!(bounded("a\nb\u{7}c", 64), "a b c");
        assert_eq!(Refusal::new(&"x".repeat(100), Some(&"y".repeat(1000))).to_string().len(), 64 + 2 + 512);
    }

    #[test]
    fn a_quota_is_tried_again_only_where_it_fills_up_by_itself() {
        assert!(Refusal::new("OTSQuotaExhausted", Some("Too frequent table operations.")).is_retryable());
        assert!(!Refusal::new("OTSQuotaExhausted", Some("Number of tables exceeded the quota.")).is_retryable());
        assert!(!Refusal::new("OTSConditionCheckFail", None).is_retryable());
        assert!(!Refusal::new("OTSUnheardOf", None).is_retryable());
    }
}
