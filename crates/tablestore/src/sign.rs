//! Signatures of requests (V2 and V4) and of answers, and the MD5 of bodies.
//!
//! A request's signature covers the path, the method, an empty query and every header that begins with `x-ots-`, sorted. V2 is HMAC-SHA1 with the
//! access key's secret. V4 is HMAC-SHA256 with a key that is derived from the secret for one day and one region, so that the secret itself signs
//! nothing that travels. An answer is signed by HMAC-SHA1 with the key that signed its request. Source: the official SDKs (Python 6.4.8,
//! `auth.py`), which both sides are checked against.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest, Md5};
use ring::hmac;
use secrecy::{ExposeSecret, SecretSlice, SecretString};

/// How requests are signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signing {
    /// HMAC-SHA1 with the secret itself. Every instance takes it.
    V2,
    /// HMAC-SHA256 with a key for one day and this region, such as `cn-hangzhou`.
    V4 {
        /// The region of the instance.
        region: String,
    },
}

/// What begins the names of headers that are signed.
pub(crate) const SIGNED_PREFIX: &str = "x-ots-";

/// The key of one attempt: what signed the request signs its answer.
pub(crate) struct SigningKey(SecretSlice<u8>);

impl SigningKey {
    /// The key for the day of the attempt, as eight digits (UTC); V2 has the same key every day.
    pub(crate) fn new(signing: &Signing, secret: &SecretString, day: &str) -> Self {
        let key = match signing {
            Signing::V2 => secret.expose_secret().as_bytes().to_vec(),
            Signing::V4 { region } => {
                let first = format!("aliyun_v4{}", secret.expose_secret());
                let parts = [day, region, "ots", "aliyun_v4_request"];
                let key = parts.iter().fold(first.into_bytes(), |key, part| {
                    let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
                    hmac::sign(&key, part.as_bytes()).as_ref().to_vec()
                });
                // The derived bytes are not the key: their text is.
                STANDARD.encode(key).into_bytes()
            }
        };
        Self(key.into())
    }

    /// The signature of a request, as its header has it: the path with its slash, and the signed headers in any order.
    pub(crate) fn request(&self, signing: &Signing, path: &str, headers: &[(&'static str, String)]) -> String {
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let mut text = format!("{path}\nPOST\n\n{}\n", canonical(headers));
        match signing {
            Signing::V2 => self.sign(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &text),
            Signing::V4 { .. } => {
                text.push_str("ots");
                self.sign(hmac::HMAC_SHA256, &text)
            }
        }
    }

    /// Whether a signature is that of an answer to a request of this path with these signed headers. The comparison takes the same time
    /// wherever the two differ.
    pub(crate) fn is_of_answer(&self, signature: &str, path: &str, headers: Vec<(&str, &str)>) -> bool {
        let text = format!("{}\n{path}", canonical(headers));
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, self.0.expose_secret());
        STANDARD.decode(signature).is_ok_and(|signature| hmac::verify(&key, text.as_bytes(), &signature).is_ok())
    }

    fn sign(&self, algorithm: hmac::Algorithm, text: &str) -> String {
        let key = hmac::Key::new(algorithm, self.0.expose_secret());
        STANDARD.encode(hmac::sign(&key, text.as_bytes()))
    }
}

/// Headers as they are signed: `name:value`, one a line, sorted as lines.
fn canonical(headers: Vec<(&str, &str)>) -> String {
    let mut lines: Vec<String> = headers.into_iter().map(|(name, value)| format!("{name}:{}", value.trim())).collect();
    lines.sort_unstable();
    lines.join("\n")
}

/// The MD5 of a body, as `x-ots-contentmd5` has it.
pub(crate) fn md5(body: &[u8]) -> String {
    STANDARD.encode(Md5::digest(body))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers() -> Vec<(&'static str, String)> {
        vec![
            ("x-ots-date", "2026-11-29T00:00:00.000Z".to_owned()),
            ("x-ots-apiversion", "2015-12-31".to_owned()),
            ("x-ots-accesskeyid", "id".to_owned()),
            ("x-ots-instancename", "instance".to_owned()),
            ("x-ots-contentmd5", md5(b"body")),
        ]
    }

    // Made with the official Python SDK 6.4.8 by e2e/tablestore/sdk/golden.py.
    const V2: &str = "rIvMtUQmDLhKWM/8kUrqvTKA/NY=";
    const V4: &str = "f1Nl+H0+3C+HjK12QfxQhADfNuiQbjo11sJjEWnCbwU=";
    const ANSWER_V2: &str = "hWO5SR7bjSz6Xg9F6hxywpiLSRg=";
    const ANSWER_V4: &str = "nflfRVibQrfyB6MTu+GrRxY/XnE=";

    #[test]
    fn signatures_are_those_of_the_official_sdk() {
        let key = SigningKey::new(&Signing::V2, &"secret".into(), "20261129");
        assert_eq!(key.request(&Signing::V2, "/PutRow", &headers()), V2);
        let v4 = Signing::V4 { region: "cn-hangzhou".to_owned() };
        let mut headers = headers();
        headers.push(("x-ots-signdate", "20261129".to_owned()));
        headers.push(("x-ots-signregion", "cn-hangzhou".to_owned()));
        let key = SigningKey::new(&v4, &"secret".into(), "20261129");
        assert_eq!(key.request(&v4, "/PutRow", &headers), V4);
    }

    #[test]
    fn an_answer_is_known_by_its_signature_and_by_nothing_near_it() {
        let answer = vec![
            ("x-ots-date", "2026-11-29T00:00:00.000Z"),
            ("x-ots-requestid", "request"),
            ("x-ots-contenttype", "protocol buffer"),
        ];
        let v4 = Signing::V4 { region: "cn-hangzhou".to_owned() };
        for (signing, signature) in [(&Signing::V2, ANSWER_V2), (&v4, ANSWER_V4)] {
            let key = SigningKey::new(signing, &"secret".into(), "20261129");
            assert!(key.is_of_answer(signature, "/PutRow", answer.clone()));
            assert!(!key.is_of_answer(signature, "/GetRow", answer.clone()));
            assert!(!key.is_of_answer(signature, "/PutRow", answer[..2].to_vec()));
            assert!(!key.is_of_answer("not base64!", "/PutRow", answer.clone()));
            let other = SigningKey::new(signing, &"other".into(), "20261129");
            assert!(!other.is_of_answer(signature, "/PutRow", answer.clone()));
        }
    }
}
