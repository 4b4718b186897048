//! Signatures of requests, verified as the service does, and of answers.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::HeaderMap;
use md5::{Digest, Md5};
use ring::hmac::{self, HMAC_SHA1_FOR_LEGACY_USE_ONLY, HMAC_SHA256};

use crate::refusal::{Refusal, denied, invalid};

/// How a request was signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// HMAC-SHA1 with the secret.
    V2,
    /// HMAC-SHA256 with a key derived for a day and a region.
    V4,
}

/// What a request was signed with, and so will its answer be.
pub(crate) struct Verified {
    pub(crate) version: Version,
    key: Vec<u8>,
}

pub(crate) fn md5(body: &[u8]) -> String {
    STANDARD.encode(Md5::digest(body))
}

fn hmac(algorithm: hmac::Algorithm, key: &[u8], text: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(algorithm, key), text.as_bytes()).as_ref().to_vec()
}

fn lines<'a>(headers: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let mut lines: Vec<String> = headers.map(|(name, value)| format!("{name}:{}", value.trim())).collect();
    lines.sort();
    lines.join("\n")
}

/// Verifies the signature of a request. Its key is the secret for V2.
pub(crate) fn verify(path: &str, headers: &HeaderMap, secret: &str) -> Result<Verified, Refusal> {
    let value = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let (version, signature) = match (value("x-ots-signature"), value("x-ots-signaturev4")) {
        (Some(signature), None) => (Version::V2, signature),
        (None, Some(signature)) => (Version::V4, signature),
        (None, None) => return Err(invalid("Missing header: 'x-ots-signature'.")),
        (Some(_), Some(_)) => return Err(denied("Signature mismatch.")),
    };
    let signed = headers.iter().filter_map(|(name, value)| {
        let name = name.as_str();
        let of_signature = name == "x-ots-signature" || name == "x-ots-signaturev4";
        (name.starts_with("x-ots-") && !of_signature).then(|| value.to_str().ok().map(|value| (name, value))).flatten()
    });
    let text = format!("{path}\nPOST\n\n{}\n", lines(signed));
    let (key, expected) = match version {
        Version::V2 => (secret.as_bytes().to_vec(), hmac(HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret.as_bytes(), &text)),
        Version::V4 => {
            let missing = |name: &str| invalid(format!("Missing header: '{name}'."));
            let day = value("x-ots-signdate").ok_or_else(|| missing("x-ots-signdate"))?;
            let region = value("x-ots-signregion").ok_or_else(|| missing("x-ots-signregion"))?;
            if !value("x-ots-date").is_some_and(|date| date.replace('-', "").starts_with(day)) || day.len() != 8 {
                return Err(denied("Mismatch between x-ots-signdate and x-ots-date."));
            }
            let of_day = hmac(HMAC_SHA256, format!("aliyun_v4{secret}").as_bytes(), day);
            let of_region = hmac(HMAC_SHA256, &of_day, region);
            let of_product = hmac(HMAC_SHA256, &of_region, "ots");
            let key = STANDARD.encode(hmac(HMAC_SHA256, &of_product, "aliyun_v4_request")).into_bytes();
            let expected = hmac(HMAC_SHA256, &key, &(text + "ots"));
            (key, expected)
        }
    };
    if STANDARD.encode(expected) == signature { Ok(Verified { version, key }) } else { Err(denied("Signature mismatch.")) }
}

impl Verified {
    /// The signature of an answer with these headers.
    pub(crate) fn answer(&self, path: &str, headers: &[(&'static str, String)]) -> String {
        let signed = headers.iter().filter(|(name, _)| name.starts_with("x-ots-")).map(|(name, value)| (*name, value.as_str()));
        STANDARD.encode(hmac(HMAC_SHA1_FOR_LEGACY_USE_ONLY, &self.key, &format!("{}\n{path}", lines(signed))))
    }
}
