//! Checks a document against the CRD's own OpenAPI schema, as the API server does, with words for a person.
//!
//! Only what our schemas use is known here: properties, required, additionalProperties, items, enum, limits, patterns, list types, `not` with
//! required. Texts from the manifest are shown for enums only, because somebody may have put a password where none belongs.

use serde_json::{Map, Value};

use super::error::FieldError;
use super::patterns;

/// All problems of `value`, which stands at `path`, under `schema`.
pub(super) fn check(schema: &Value, value: &Value, path: &str) -> Vec<FieldError> {
    let mut errors = Vec::new();
    check_value(schema, value, path, &mut errors);
    errors
}

/// Removes null fields: to the API server they count as left out where the schema does not say `nullable`, and ours never does.
pub(super) fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let kept = fields.into_iter().filter(|(_, field)| !field.is_null());
            Value::Object(kept.map(|(name, field)| (name, without_nulls(field))).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(without_nulls).collect()),
        other => other,
    }
}

fn check_value(schema: &Value, value: &Value, path: &str, errors: &mut Vec<FieldError>) {
    if schema.get("x-kubernetes-int-or-string") == Some(&Value::Bool(true)) {
        return check_int_or_string(schema, value, path, errors);
    }
    let expected = schema.get("type").and_then(Value::as_str).unwrap_or_default();
    match (expected, value) {
        ("object", Value::Object(fields)) => check_object(schema, fields, path, errors),
        ("array", Value::Array(items)) => check_array(schema, items, path, errors),
        ("string", Value::String(text)) => check_string(schema, text, path, errors),
        ("integer", Value::Number(number)) if !number.is_f64() => check_integer(schema, value, path, errors),
        ("boolean", Value::Bool(_)) | ("", _) => {}
        _ => errors.push(FieldError::new(path, wrong_type(schema, expected, value))),
    }
}

fn check_object(schema: &Value, fields: &Map<String, Value>, path: &str, errors: &mut Vec<FieldError>) {
    let none = Map::new();
    let properties = schema.get("properties").and_then(Value::as_object).unwrap_or(&none);
    let additional = schema.get("additionalProperties");
    let open = schema.get("x-kubernetes-preserve-unknown-fields") == Some(&Value::Bool(true))
        || (properties.is_empty() && additional.is_none());
    for (name, field) in fields {
        if let Some(property) = properties.get(name) {
            check_value(property, field, &join(path, name), errors);
        } else if let Some(below) = additional {
            check_value(below, field, &join_key(path, name), errors);
        } else if !open {
            errors.push(FieldError::new(join(path, name), unknown_field(name, properties)));
        }
    }
    for name in strings(schema.get("required")) {
        if !fields.contains_key(name) {
            let description = properties.get(name).and_then(|property| property.get("description")).and_then(Value::as_str);
            let says = description.map(|text| format!(" ({})", first_sentence(text))).unwrap_or_default();
            errors.push(FieldError::new(join(path, name), format!("is missing{says}; set it")));
        }
    }
    if let Some(limit) = limit(schema, "maxProperties")
        && fields.len() as i128 > limit
    {
        errors.push(FieldError::new(path, format!("has {} entries, at most {limit} are allowed", fields.len())));
    }
    let excluded = strings(schema.pointer("/not/required"));
    if !excluded.is_empty() && excluded.iter().all(|name| fields.contains_key(*name)) {
        errors.push(FieldError::new(path, format!("{} shut each other out; keep one of them", excluded.join(" and "))));
    }
}

fn check_array(schema: &Value, items: &[Value], path: &str, errors: &mut Vec<FieldError>) {
    if items.is_empty() && limit(schema, "minItems").is_some_and(|minimum| minimum > 0) {
        errors.push(FieldError::new(path, "is empty; list at least one entry, or leave the field out for its default"));
    }
    if let Some(maximum) = limit(schema, "maxItems")
        && items.len() as i128 > maximum
    {
        errors.push(FieldError::new(path, format!("has {} entries, at most {maximum} are allowed", items.len())));
    }
    if let Some(item_schema) = schema.get("items") {
        for (index, item) in items.iter().enumerate() {
            check_value(item_schema, item, &format!("{path}[{index}]"), errors);
        }
    }
    check_duplicates(schema, items, path, errors);
}

/// List types `set` and `map`: no entry twice.
fn check_duplicates(schema: &Value, items: &[Value], path: &str, errors: &mut Vec<FieldError>) {
    let keys = match schema.get("x-kubernetes-list-type").and_then(Value::as_str) {
        Some("set") => Vec::new(),
        Some("map") => strings(schema.get("x-kubernetes-list-map-keys")),
        _ => return,
    };
    let mut seen = std::collections::BTreeMap::new();
    for (index, item) in items.iter().enumerate() {
        let identity = if keys.is_empty() {
            item.to_string()
        } else {
            keys.iter().map(|key| item.get(*key).unwrap_or(&Value::Null).to_string()).collect::<Vec<_>>().join(",")
        };
        if let Some(first) = seen.insert(identity, index) {
            let place = keys.first().map_or_else(|| format!("{path}[{index}]"), |key| format!("{path}[{index}].{key}"));
            errors.push(FieldError::new(place, format!("is the same as in entry [{first}]; list it once")));
        }
    }
}

fn check_string(schema: &Value, text: &str, path: &str, errors: &mut Vec<FieldError>) {
    if let Some(choices) = schema.get("enum") {
        let choices = strings(Some(choices));
        if !choices.contains(&text) {
            let meant = nearest(text, choices.iter().copied()).map(|near| format!("did you mean {near}? ")).unwrap_or_default();
            errors.push(FieldError::new(path, format!("{text:?} is not known; {meant}use one of {}", choices.join(", "))));
        }
        return;
    }
    let length = text.chars().count() as i128;
    if let Some(minimum) = limit(schema, "minLength")
        && length < minimum
    {
        let remedy = if length == 0 {
            "is empty; set it or leave the field out".to_owned()
        } else {
            format!("has {length} characters, at least {minimum} are needed")
        };
        errors.push(FieldError::new(path, remedy));
    } else if let Some(maximum) = limit(schema, "maxLength")
        && length > maximum
    {
        errors.push(FieldError::new(path, format!("has {length} characters, at most {maximum} are allowed")));
    } else {
        check_pattern(schema, text, path, errors);
    }
}

fn check_pattern(schema: &Value, text: &str, path: &str, errors: &mut Vec<FieldError>) {
    let Some(pattern) = schema.get("pattern").and_then(Value::as_str) else { return };
    if let Some(Err(asks)) = patterns::check(pattern, text) {
        errors.push(FieldError::new(path, format!("is not a valid value; {asks}")));
    }
}

fn check_integer(schema: &Value, value: &Value, path: &str, errors: &mut Vec<FieldError>) {
    let number = value.as_i64().map(i128::from).or_else(|| value.as_u64().map(i128::from)).unwrap_or_default();
    let minimum = limit(schema, "minimum");
    let maximum = limit(schema, "maximum");
    if minimum.is_none_or(|minimum| number >= minimum) && maximum.is_none_or(|maximum| number <= maximum) {
        return;
    }
    let range = match (minimum, maximum) {
        (Some(minimum), Some(maximum)) => format!("use {minimum} to {maximum}"),
        (Some(minimum), None) => format!("use at least {minimum}"),
        (None, Some(maximum)) => format!("use at most {maximum}"),
        (None, None) => return,
    };
    errors.push(FieldError::new(path, format!("{number} is out of range; {range}")));
}

fn check_int_or_string(schema: &Value, value: &Value, path: &str, errors: &mut Vec<FieldError>) {
    match value {
        Value::Number(number) if !number.is_f64() => {}
        Value::String(text) => check_pattern(schema, text, path, errors),
        _ => errors.push(FieldError::new(path, "expected an amount such as 2, \"500m\" or \"512Mi\"")),
    }
}

fn wrong_type(schema: &Value, expected: &str, value: &Value) -> String {
    let found = match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(number) if number.is_f64() => "a number with decimals",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a mapping",
    };
    match expected {
        "string" if matches!(value, Value::Number(_) | Value::Bool(_)) => {
            format!("expected a text, found {found}; put it in quotes")
        }
        "string" => format!("expected a text, found {found}"),
        "integer" if value.is_string() => format!("expected a whole number, found {found}; leave out quotes and units"),
        "integer" => format!("expected a whole number, found {found}"),
        "boolean" => format!("expected true or false, found {found}"),
        "array" => format!("expected a list, found {found}; put a - before each entry"),
        _ => {
            let fields = schema.get("properties").and_then(Value::as_object);
            let names = fields.map(|fields| fields.keys().map(String::as_str).collect::<Vec<_>>().join(", ")).unwrap_or_default();
            if names.is_empty() {
                format!("expected a mapping, found {found}")
            } else {
                format!("expected a mapping with {names}, found {found}")
            }
        }
    }
}

fn unknown_field(name: &str, properties: &Map<String, Value>) -> String {
    if matches!(name, "password" | "pass" | "passwd") {
        return "unknown field; passwords never stand here: put it in a Secret and name that in credentials.secretName"
            .to_owned();
    }
    unknown_name(name, || properties.keys().map(String::as_str))
}

/// What to say of a field that is none of these.
pub(super) fn unknown_name<'a, I: Iterator<Item = &'a str>>(name: &str, names: impl Fn() -> I) -> String {
    match nearest(name, names()) {
        Some(near) => format!("unknown field; did you mean {near}?"),
        None => format!("unknown field; known here: {}", names().collect::<Vec<_>>().join(", ")),
    }
}

/// The candidate that was probably meant: same letters in another case, or at most a third of them wrong.
fn nearest<'a>(written: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let lower = written.to_lowercase();
    let ranked = candidates.map(|candidate| (edit_distance(&lower, &candidate.to_lowercase()), candidate));
    let (distance, candidate) = ranked.min_by_key(|(distance, _)| *distance)?;
    let allowed = candidate.chars().count().max(written.chars().count()) / 3;
    (distance <= allowed).then_some(candidate)
}

/// Edits between two words (Levenshtein), two swapped neighbours counting as one (optimal string alignment).
fn edit_distance(left: &str, right: &str) -> usize {
    let left: Vec<char> = left.chars().take(64).collect();
    let right: Vec<char> = right.chars().take(64).collect();
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=right.len()).collect();
    for row in 1..=left.len() {
        let mut current = vec![row];
        for column in 1..=right.len() {
            let substitution = last[column - 1] + usize::from(left[row - 1] != right[column - 1]);
            let mut best = substitution.min(last[column] + 1).min(current[column - 1] + 1);
            let swapped = row > 1 && column > 1 && left[row - 1] == right[column - 2] && left[row - 2] == right[column - 1];
            if swapped {
                best = best.min(before_last[column - 2] + 1);
            }
            current.push(best);
        }
        before_last = std::mem::replace(&mut last, current);
    }
    last.last().copied().unwrap_or_default()
}

/// `parent.name`; at the top just the name.
fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// `parent["name"]` for the free keys of a map.
fn join_key(path: &str, name: &str) -> String {
    format!("{path}[{name:?}]")
}

fn first_sentence(text: &str) -> &str {
    text.split_once(". ").map_or(text, |(sentence, _)| sentence).trim_end_matches('.')
}

fn strings(value: Option<&Value>) -> Vec<&str> {
    value.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
}

/// A limit of the schema. Ours are all whole; OpenAPI carries minimum and maximum as floating point.
fn limit(schema: &Value, name: &str) -> Option<i128> {
    let value = schema.get(name)?;
    value.as_i64().map(i128::from).or_else(|| value.as_f64().map(|number| number as i128))
}
