//! Refusals with the codes, the HTTP statuses and, where the documentation has one, the messages of the service ("Error codes").

use crate::wire::Writer;

/// A refusal of a whole request, or of one row in a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status, which a row does not have.
    pub status: u16,
    /// The code.
    pub code: String,
    /// The message.
    pub message: String,
}

impl Refusal {
    /// A refusal with any code and message.
    pub fn new(status: u16, code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { status, code: code.into(), message: message.into() }
    }

    /// What a code comes with by the documentation: its HTTP status and its message. None for codes that it does not list.
    pub fn known(code: &str) -> Option<Self> {
        let (status, message) = match code {
            "OTSRowOperationConflict" => (409, "Data is being modified by the other request."),
            "OTSOperationConflict" => (409, "Operation conflict."),
            "OTSNotEnoughCapacityUnit" => (403, "Remaining capacity unit is not enough."),
            "OTSCapacityUnitExhausted" => (403, "Capacity unit is not enough."),
            "OTSOperationThrottled" => (403, "Operation is throttled."),
            "OTSFlowControl" => (429, "The requests have been throttled."),
            "OTSTableNotReady" => (404, "The table is not ready."),
            "OTSPartitionUnavailable" => (503, "The partition is not available."),
            "OTSServerBusy" => (503, "Server is busy."),
            "OTSStorageServerBusy" => (503, "Storage server is busy."),
            "OTSTimeout" => (503, "Operation timeout."),
            "OTSServerUnavailable" => (503, "Server is not available."),
            "OTSInternalServerError" => (500, "Internal server error."),
            "OTSConditionCheckFail" => (403, "Condition check failed."),
            "OTSQuotaExhausted" => (403, "Too frequent table operations."),
            "OTSObjectNotExist" => (404, "Requested table does not exist."),
            "OTSObjectAlreadyExist" => (409, "Requested table already exists."),
            "OTSNoPermissionAccess" => {
                (403, "You have no permission to access the requested resource, please contact the resource owner.")
            }
            _ => return None,
        };
        Some(Self::new(status, code, message))
    }

    pub(crate) fn write(&self, to: &mut Writer) {
        to.bytes(1, self.code.as_bytes());
        to.bytes(2, self.message.as_bytes());
    }

    pub(crate) fn to_body(&self) -> Vec<u8> {
        let mut to = Writer::default();
        self.write(&mut to);
        to.finish()
    }
}

pub(crate) fn invalid(message: impl Into<String>) -> Refusal {
    Refusal::new(400, "OTSParameterInvalid", message)
}

pub(crate) fn invalid_key(message: impl Into<String>) -> Refusal {
    Refusal::new(400, "OTSInvalidPK", message)
}

pub(crate) fn denied(message: impl Into<String>) -> Refusal {
    Refusal::new(403, "OTSAuthFailed", message)
}

pub(crate) fn condition_failed() -> Refusal {
    Refusal::new(403, "OTSConditionCheckFail", "Condition check failed.")
}

pub(crate) fn no_table() -> Refusal {
    Refusal::new(404, "OTSObjectNotExist", "Requested table does not exist.")
}
