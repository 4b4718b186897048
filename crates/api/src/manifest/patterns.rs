//! The patterns of the CRDs, without a regular expression engine: each as a small function, with words for a person.

use crate::patterns;

/// Whether `text` matches `pattern`, and what `pattern` asks for; nothing for a pattern that is not known here, which a test rules out.
pub(super) fn check(pattern: &str, text: &str) -> Option<Result<(), &'static str>> {
    let (matches, asks): (fn(&str) -> bool, &'static str) = match pattern {
        patterns::DNS_LABEL => (dns_label, "use lower-case letters, digits and -, first and last a letter or a digit"),
        patterns::DNS_SUBDOMAIN => (dns_subdomain, "use lower-case letters, digits, - and ., first and last a letter or a digit"),
        patterns::SECRET_KEY => (secret_key, "use letters, digits, -, _ and ."),
        patterns::LABEL_VALUE => (label_value, "use letters, digits, -, _ and ., first and last a letter or a digit"),
        patterns::HOST => {
            (host, "use a host name or an address alone, without scheme, account, port or path; the port has a field of its own")
        }
        patterns::HTTP_URL => (http_url, "use an address such as https://name.region.ots.aliyuncs.com, without a path"),
        patterns::PLAIN_NAME => (plain_name, "use letters, digits and _, first a letter or _"),
        patterns::TABLESTORE_INSTANCE => (tablestore_instance, "use letters, digits and -, first a letter"),
        patterns::ITEM_NAME => (item_name, "use a name as the precheck prints it, for example SourceRetention"),
        patterns::QUANTITY => (quantity, "use an amount such as 2, 500m or 512Mi"),
        _ => return None,
    };
    Some(if matches(text) { Ok(()) } else { Err(asks) })
}

fn dns_label(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    framed(text, allowed, |byte| allowed(byte) || byte == b'-')
}

fn dns_subdomain(text: &str) -> bool {
    text.split('.').all(dns_label)
}

fn secret_key(text: &str) -> bool {
    every(text, |byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
}

fn label_value(text: &str) -> bool {
    framed(text, |byte| byte.is_ascii_alphanumeric(), |byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

fn host(text: &str) -> bool {
    let colons = text.bytes().filter(|byte| *byte == b':').count();
    let address = |byte: u8| byte.is_ascii_hexdigit() || b".:".contains(&byte);
    colons == 0 && every(text, |byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
        || colons >= 2 && every(text, address)
}

fn http_url(text: &str) -> bool {
    let Some(rest) = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")) else { return false };
    let authority = rest.strip_suffix('/').unwrap_or(rest);
    // [^\s/] of RE2: \s is ASCII only.
    every(authority, |byte| !matches!(byte, b'/' | b'\t' | b'\n' | b'\x0c' | b'\r' | b' '))
}

fn plain_name(text: &str) -> bool {
    starts(text, |byte| byte.is_ascii_alphabetic() || byte == b'_')
        && every(text, |byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn tablestore_instance(text: &str) -> bool {
    starts(text, |byte| byte.is_ascii_alphabetic()) && every(text, |byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

fn item_name(text: &str) -> bool {
    starts(text, |byte| byte.is_ascii_uppercase()) && every(text, |byte| byte.is_ascii_alphanumeric())
}

fn quantity(text: &str) -> bool {
    let digits_end = text.find(|character: char| !character.is_ascii_digit() && character != '.').unwrap_or(text.len());
    let (number, suffix) = text.split_at(digits_end);
    let known_suffix = ["", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"].contains(&suffix);
    let all_digits = |part: &str| every(part, |byte| byte.is_ascii_digit());
    let number_fits = match number.split_once('.') {
        Some((whole, fraction)) => all_digits(whole) && all_digits(fraction),
        None => all_digits(number),
    };
    known_suffix && number_fits
}

fn starts(text: &str, allowed: impl Fn(u8) -> bool) -> bool {
    text.bytes().next().is_some_and(allowed)
}

fn every(text: &str, allowed: impl Fn(u8) -> bool) -> bool {
    !text.is_empty() && text.bytes().all(allowed)
}

fn framed(text: &str, at_ends: impl Fn(u8) -> bool, within: impl Fn(u8) -> bool) -> bool {
    let ends_fit = text.bytes().next().is_some_and(&at_ends) && text.bytes().next_back().is_some_and(&at_ends);
    ends_fit && text.bytes().all(within)
}

/// Whether `name` can be the name of a Kubernetes object of the usual kind (RFC 1123 subdomain of at most 253 characters).
pub(super) fn is_object_name(name: &str) -> bool {
    name.len() <= 253 && dns_subdomain(name)
}
