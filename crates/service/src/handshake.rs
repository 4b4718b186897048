//! How an operator and its engine know each other on the pod network, where addresses change hands and anybody may listen.
//!
//! Both hold a token that the operator made for the task and put into the plan. It is never sent. The operator asks with a nonce and a proof
//! made from token and nonce; an engine gives its report to who proves to know the token, and to others its health only. The answer
//! carries a proof made from token, nonce and report: a pod that has got the engine's address cannot make one up, and an old one does not fit.
//! Who reads along between the two learns what is reported: keep strangers off the pod network with the chart's NetworkPolicy.

use std::fmt::Write as _;

use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};

/// Header of the question: hexadecimal digits that are never used twice.
pub const NONCE_HEADER: &str = "godwit-nonce";
/// Header of the question and of the answer: HMAC-SHA256 in hexadecimal digits.
pub const PROOF_HEADER: &str = "godwit-proof";

/// A nonce longer than this is none of ours.
const NONCE_LIMIT: usize = 64;

/// A secret that operator and engine share.
#[derive(Clone)]
pub struct Token(hmac::Key);

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token")
    }
}

impl Token {
    /// The token with this text; None: an empty text is no token.
    pub fn new(text: &str) -> Option<Self> {
        (!text.is_empty()).then(|| Self(hmac::Key::new(hmac::HMAC_SHA256, text.as_bytes())))
    }

    /// The proof of a question.
    pub fn question(&self, nonce: &str) -> String {
        self.sign("question", nonce, b"")
    }

    /// Whether this is the proof of a question.
    pub fn accepts_question(&self, nonce: &str, proof: &str) -> bool {
        nonce.len() <= NONCE_LIMIT && self.verifies("question", nonce, b"", proof)
    }

    /// The proof of an answer.
    pub fn answer(&self, nonce: &str, body: &[u8]) -> String {
        self.sign("answer", nonce, body)
    }

    /// Whether this is the proof of an answer.
    pub fn accepts_answer(&self, nonce: &str, body: &[u8], proof: &str) -> bool {
        self.verifies("answer", nonce, body, proof)
    }

    fn sign(&self, kind: &str, nonce: &str, body: &[u8]) -> String {
        hexadecimal(hmac::sign(&self.0, &message(kind, nonce, body)).as_ref())
    }

    fn verifies(&self, kind: &str, nonce: &str, body: &[u8], proof: &str) -> bool {
        bytes(proof).is_some_and(|found| hmac::verify(&self.0, &message(kind, nonce, body), &found).is_ok())
    }
}

/// With the lengths before them, no two lists of parts are one message.
fn message(kind: &str, nonce: &str, body: &[u8]) -> Vec<u8> {
    let mut message = Vec::with_capacity(body.len() + 128);
    for part in [kind.as_bytes(), nonce.as_bytes(), body] {
        message.extend_from_slice(&(part.len() as u64).to_be_bytes());
        message.extend_from_slice(part);
    }
    message
}

/// 128 random bits in hexadecimal digits: a token or a nonce. None: the system has no random numbers.
pub fn random() -> Option<String> {
    let mut bits = [0; 16];
    SystemRandom::new().fill(&mut bits).ok()?;
    Some(hexadecimal(&bits))
}

fn hexadecimal(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

fn bytes(hexadecimal: &str) -> Option<Vec<u8>> {
    let digits = hexadecimal.as_bytes();
    if digits.len() != 2 * hmac::HMAC_SHA256.digest_algorithm().output_len() {
        return None;
    }
    let digit = |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
    digits.chunks(2).map(|pair| Some(digit(pair[0])? << 4 | digit(*pair.get(1)?)?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_knows_the_token_proves_it() {
        let (token, other) = (Token::new("a").unwrap(), Token::new("b").unwrap());
        let nonce = random().unwrap();
        assert!(token.accepts_question(&nonce, &token.question(&nonce)));
        assert!(token.accepts_answer(&nonce, b"body", &token.answer(&nonce, b"body")));
        for proof in [other.question(&nonce), token.question("7"), token.answer(&nonce, b""), String::new(), "é".repeat(32)] {
            assert!(!token.accepts_question(&nonce, &proof), "{proof}");
        }
        // Neither a question, nor the answer to another question, nor that of another report.
        for proof in [token.question(&nonce), token.answer("7", b"body"), token.answer(&nonce, b"bodY"), "x".repeat(64)] {
            assert!(!token.accepts_answer(&nonce, b"body", &proof), "{proof}");
        }
    }

    #[test]
    fn parts_are_told_apart() {
        let token = Token::new("a").unwrap();
        assert_ne!(token.answer("1", b"23"), token.answer("12", b"3"));
        assert!(Token::new("").is_none());
        assert_ne!(random(), random());
        let long = "1".repeat(NONCE_LIMIT + 1);
        assert!(!token.accepts_question(&long, &token.question(&long)));
        assert_eq!(format!("{token:?}"), "Token");
    }
}
