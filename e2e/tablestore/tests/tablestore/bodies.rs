//! Bodies of requests, made comparable.

/// A request without what the Java SDK alone says, and what goes without saying: that no columns are to be returned (`return_content`, field 4, with
/// RT_NONE; in a batch in every row), and that a row is read from its beginning (BatchGetRow's `token`, field 3, empty for every key).
pub(crate) fn without_defaults(operation: &str, body: &[u8]) -> Vec<u8> {
    let drop_it =
        |message: &[u8]| rewritten(message, &|number, content| (number != 4 || content != [8, 0]).then(|| content.to_vec()));
    match operation {
        "PutRow" | "UpdateRow" | "DeleteRow" => drop_it(body),
        "BatchWriteRow" => rewritten(body, &|_, table| {
            Some(rewritten(table, &|number, row| Some(if number == 2 { drop_it(row) } else { row.to_vec() })))
        }),
        "BatchGetRow" => rewritten(body, &|_, table| {
            Some(rewritten(table, &|number, content| (number != 3 || !content.is_empty()).then(|| content.to_vec())))
        }),
        _ => body.to_vec(),
    }
}

/// What becomes of a field: its number and its content to another content, or to nothing.
type Change<'a> = dyn Fn(u8, &[u8]) -> Option<Vec<u8>> + 'a;

/// A protobuf message with the contents of its length-delimited fields changed or left out. The messages here have fields below 16 and numbers
/// below 128, so that a tag and such a number have one byte.
fn rewritten(mut message: &[u8], change: &Change<'_>) -> Vec<u8> {
    let mut to = Vec::new();
    while let [tag, rest @ ..] = message {
        if tag & 7 == 0 {
            to.extend_from_slice(&[*tag, rest[0]]);
            message = &rest[1..];
            continue;
        }
        assert_eq!(tag & 7, 2);
        let (length, rest) = length_of(rest);
        let (content, rest) = rest.split_at(length);
        message = rest;
        if let Some(content) = change(tag >> 3, content) {
            to.push(*tag);
            let mut length = content.len();
            while length >= 128 {
                to.push((length & 127 | 128) as u8);
                length >>= 7;
            }
            to.push(length as u8);
            to.extend_from_slice(&content);
        }
    }
    to
}

/// A length in base 128, and what follows it.
fn length_of(bytes: &[u8]) -> (usize, &[u8]) {
    let end = bytes.iter().position(|byte| byte & 128 == 0).unwrap();
    let length = bytes[..=end].iter().rev().fold(0, |length, byte| length << 7 | usize::from(byte & 127));
    (length, &bytes[end + 1..])
}
