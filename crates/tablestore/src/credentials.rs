//! Who asks: access keys, and where they come from. The client asks its provider before every attempt, so that a key that is changed, or a
//! token that is renewed, is used by the next one, also within an operation that is being tried again.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, PoisonError, RwLock};

use secrecy::SecretString;

/// An access key, with a token where it is a temporary one (STS). Debug output shows neither secret nor token.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// The AccessKey ID. It is no secret: it stands in every request as it is.
    pub access_key_id: String,
    /// The AccessKey secret, with which requests and answers are signed.
    pub access_key_secret: SecretString,
    /// The security token of temporary credentials.
    pub security_token: Option<SecretString>,
}

impl Credentials {
    /// A permanent access key.
    #[must_use]
    pub fn new(access_key_id: impl Into<String>, access_key_secret: impl Into<SecretString>) -> Self {
        Self { access_key_id: access_key_id.into(), access_key_secret: access_key_secret.into(), security_token: None }
    }
}

/// Why a provider has no credentials. The text is for a person and must hold no secret.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct CredentialsError(pub String);

/// What [`ProvideCredentials::credentials`] gives back.
pub type Provided<'a> = Pin<Box<dyn Future<Output = Result<Credentials, CredentialsError>> + Send + 'a>>;

/// A source of credentials. It is asked before every attempt of every operation, so it has to keep what is costly to get.
pub trait ProvideCredentials: Send + Sync {
    /// The credentials to use now.
    fn credentials(&self) -> Provided<'_>;
}

/// Credentials in memory, which somebody else may replace at any time: a file watcher, a renewal of a token, a test.
#[derive(Clone, Debug)]
pub struct Replaceable(Arc<RwLock<Credentials>>);

impl Replaceable {
    /// Begins with these.
    #[must_use]
    pub fn new(credentials: Credentials) -> Self {
        Self(Arc::new(RwLock::new(credentials)))
    }

    /// From now on these are used; attempts under way keep what they began with.
    pub fn replace(&self, credentials: Credentials) {
        // Whoever panicked with the lock held replaced one whole value by another: there is nothing half done to fear.
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = credentials;
    }
}

impl ProvideCredentials for Replaceable {
    fn credentials(&self) -> Provided<'_> {
        let credentials = self.0.read().unwrap_or_else(PoisonError::into_inner).clone();
        Box::pin(std::future::ready(Ok(credentials)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_shows_no_secret() {
        let mut credentials = Credentials::new("key-id", "the-secret");
        credentials.security_token = Some("the-token".into());
        let shown = format!("{credentials:?} {:?}", Replaceable::new(credentials.clone()));
        assert!(shown.contains("key-id"), "{shown}");
        assert!(!shown.contains("the-secret") && !shown.contains("the-token"), "{shown}");
    }
}
