//! Checks a document against the CRD's own OpenAPI schema, as the API server does, with words for a person.
//!
//! Only what our schemas use is known here: properties, required, additionalProperties, items, enum, limits, patterns, list types, `not` with
//! required. Texts from the manifest are shown for enums only, because somebody may have put a password where none belongs.

use serde_json::{Map, Value};

use super::error::FieldError;
use super::patterns;

/// All problems of `value`, which stands at `path`, under `schema`.
pub(super) fn check(schema: &Value, value: &Value, path: &str) -> Vec<FieldError> {
    let mut found = Found::default();
    check_value(schema, value, path, &mut found);
    found.errors
}

/// What was found, and the mappings around the place that is looked at: a field that is known further out stands at the wrong indentation.
#[derive(Default)]
struct Found<'a> {
    errors: Vec<FieldError>,
    around: Vec<(String, &'a Value)>,
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

fn check_value<'a>(schema: &'a Value, value: &Value, path: &str, found: &mut Found<'a>) {
    if schema.get("x-kubernetes-int-or-string") == Some(&Value::Bool(true)) {
        return check_int_or_string(schema, value, path, found);
    }
    let expected = schema.get("type").and_then(Value::as_str).unwrap_or_default();
    match (expected, value) {
        ("object", Value::Object(fields)) => check_object(schema, fields, path, found),
        ("array", Value::Array(items)) => check_array(schema, items, path, found),
        ("string", Value::String(text)) => check_string(schema, text, path, found),
        ("integer", Value::Number(number)) if !number.is_f64() => check_integer(schema, value, path, found),
        ("boolean", Value::Bool(_)) | ("", _) => {}
        _ => found.errors.push(FieldError::new(path, wrong_type(schema, expected, value))),
    }
}

fn check_object<'a>(schema: &'a Value, fields: &Map<String, Value>, path: &str, found: &mut Found<'a>) {
    let properties = schema.get("properties").and_then(Value::as_object);
    let additional = schema.get("additionalProperties");
    let open = schema.get("x-kubernetes-preserve-unknown-fields") == Some(&Value::Bool(true))
        || (properties.is_none_or(Map::is_empty) && additional.is_none());
    found.around.push((path.to_owned(), schema));
    for (name, field) in fields {
        if let Some(property) = properties.and_then(|known| known.get(name)) {
            check_value(property, field, &join(path, name), found);
        } else if let Some(below) = additional {
            check_value(below, field, &join_key(path, name), found);
        } else if !open {
            let message = unknown_field(name, &found.around);
            found.errors.push(FieldError::new(join(path, name), message));
        }
    }
    found.around.pop();
    for name in strings(schema.get("required")) {
        if !fields.contains_key(name) {
            let description = schema["properties"][name]["description"].as_str();
            let says = description.map(|text| format!(" ({})", first_sentence(text))).unwrap_or_default();
            found.errors.push(FieldError::new(join(path, name), format!("is missing{says}; set it")));
        }
    }
    if let Some(limit) = limit(schema, "maxProperties")
        && fields.len() as i128 > limit
    {
        found
            .errors
            .push(FieldError::new(path, format!("has {} entries, at most {limit} are allowed; list fewer", fields.len())));
    }
    let excluded = strings(schema.pointer("/not/required"));
    if !excluded.is_empty() && excluded.iter().all(|name| fields.contains_key(*name)) {
        found.errors.push(FieldError::new(path, format!("{} shut each other out; keep one of them", excluded.join(" and "))));
    }
}

fn check_array<'a>(schema: &'a Value, items: &[Value], path: &str, found: &mut Found<'a>) {
    if items.is_empty() && limit(schema, "minItems").is_some_and(|minimum| minimum > 0) {
        found.errors.push(FieldError::new(path, "is empty; list at least one entry, or leave the field out for its default"));
    }
    if let Some(maximum) = limit(schema, "maxItems")
        && items.len() as i128 > maximum
    {
        found.errors.push(FieldError::new(
            path,
            format!("has {} entries, at most {maximum} are allowed; list fewer, for example with patterns", items.len()),
        ));
    }
    if let Some(item_schema) = schema.get("items") {
        for (index, item) in items.iter().enumerate() {
            check_value(item_schema, item, &format!("{path}[{index}]"), found);
        }
    }
    check_duplicates(schema, items, path, found);
}

/// List types `set` and `map`: no entry twice.
fn check_duplicates(schema: &Value, items: &[Value], path: &str, found: &mut Found<'_>) {
    let keys = match schema.get("x-kubernetes-list-type").and_then(Value::as_str) {
        Some("set") => Vec::new(),
        Some("map") => strings(schema.get("x-kubernetes-list-map-keys")),
        _ => return,
    };
    let mut seen = std::collections::BTreeMap::new();
    for (index, item) in items.iter().enumerate() {
        let identity = if keys.is_empty() {
            item.to_string()
        } else if !item.is_object() {
            continue;
        } else {
            keys.iter().map(|key| item.get(*key).unwrap_or(&Value::Null).to_string()).collect::<Vec<_>>().join(",")
        };
        if let Some(first) = seen.insert(identity, index) {
            let place = keys.first().map_or_else(|| format!("{path}[{index}]"), |key| format!("{path}[{index}].{key}"));
            found.errors.push(FieldError::new(place, format!("is the same as in entry [{first}]; list it once")));
        }
    }
}

fn check_string(schema: &Value, text: &str, path: &str, found: &mut Found<'_>) {
    if let Some(choices) = schema.get("enum") {
        let choices = strings(Some(choices));
        if !choices.contains(&text) {
            let meant = nearest(text, choices.iter().copied()).map(|near| format!("did you mean {near}? ")).unwrap_or_default();
            found.errors.push(FieldError::new(path, format!("{text:?} is not known; {meant}use one of {}", choices.join(", "))));
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
            format!("has {length} characters; use {minimum} or more")
        };
        found.errors.push(FieldError::new(path, remedy));
    } else if let Some(maximum) = limit(schema, "maxLength")
        && length > maximum
    {
        found.errors.push(FieldError::new(path, format!("has {length} characters; use {maximum} or fewer")));
    } else {
        check_pattern(schema, text, path, found);
    }
}

fn check_pattern(schema: &Value, text: &str, path: &str, found: &mut Found<'_>) {
    let Some(pattern) = schema.get("pattern").and_then(Value::as_str) else { return };
    if let Some(Err(asks)) = patterns::check(pattern, text) {
        found.errors.push(FieldError::new(path, format!("is not a valid value; {asks}")));
    }
}

fn check_integer(schema: &Value, value: &Value, path: &str, found: &mut Found<'_>) {
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
    found.errors.push(FieldError::new(path, format!("{number} is out of range; {range}")));
}

fn check_int_or_string(schema: &Value, value: &Value, path: &str, found: &mut Found<'_>) {
    match value {
        Value::Number(number) if !number.is_f64() => {}
        Value::String(text) => check_pattern(schema, text, path, found),
        _ => found.errors.push(FieldError::new(path, "expected an amount; use one such as 2, \"500m\" or \"512Mi\"")),
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
        "string" => format!("expected a text, found {found}; use one value"),
        "integer" if value.is_string() => format!("expected a whole number, found {found}; leave out quotes and units"),
        "integer" => format!("expected a whole number, found {found}; use one without decimals"),
        "boolean" => format!("expected true or false, found {found}; use one of them, without quotes"),
        "array" => format!("expected a list, found {found}; put a - before each entry"),
        _ => wrong_mapping(schema, found),
    }
}

/// What to write where a mapping belongs and something else stands.
fn wrong_mapping(schema: &Value, found: &str) -> String {
    let fields = schema.get("properties").and_then(Value::as_object);
    let names = fields.map(|fields| fields.keys().map(String::as_str).collect::<Vec<_>>().join(", ")).unwrap_or_default();
    match strings(schema.get("required")).first() {
        _ if names.is_empty() => format!("expected a mapping, found {found}; use lines of name: value"),
        Some(first) if found == "a text" => format!("expected a mapping, found {found}; put {first}: before it"),
        _ => format!("expected a mapping, found {found}; use one with {names}"),
    }
}

/// What to say of a field that the last of the mappings `around` does not know.
fn unknown_field(name: &str, around: &[(String, &Value)]) -> String {
    if matches!(name, "password" | "pass" | "passwd") {
        return "unknown field; passwords never stand here: put it in a Secret and name that in credentials.secretName"
            .to_owned();
    }
    let Some(((path, here), outer)) = around.split_last() else { return String::new() };
    let further_out = outer.iter().filter(|(_, schema)| schema["properties"].get(name).is_some());
    let mut homes: Vec<String> = further_out.map(|(path, _)| join(path, name)).collect();
    collect_below(here, path, name, &mut homes);
    if !homes.is_empty() {
        return format!("unknown field here; move it to {} (by its indentation)", homes.join(" or "));
    }
    let none = Map::new();
    let properties = here["properties"].as_object().unwrap_or(&none);
    unknown_name(name, || properties.keys().map(String::as_str))
}

/// Where fields below `schema` are called `name`.
fn collect_below(schema: &Value, path: &str, name: &str, homes: &mut Vec<String>) {
    for (field, below) in schema["properties"].as_object().into_iter().flatten() {
        // What stands under status is nobody's to write.
        if path.is_empty() && field == "status" {
            continue;
        }
        let path = join(path, field);
        if field == name {
            homes.push(path.clone());
        }
        collect_below(below, &path, name, homes);
        if let Some(items) = below.get("items") {
            collect_below(items, &format!("{path}[]"), name, homes);
        }
    }
}

/// What to say of a field that is none of these.
pub(super) fn unknown_name<'a, I: Iterator<Item = &'a str>>(name: &str, names: impl Fn() -> I) -> String {
    match nearest(name, names()) {
        Some(near) => format!("unknown field; did you mean {near}?"),
        None => {
            format!("unknown field; leave it out, or use one of those known here: {}", names().collect::<Vec<_>>().join(", "))
        }
    }
}

/// The candidate that was probably meant: same letters in another case, or at most a third of them wrong.
pub(super) fn nearest<'a>(written: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
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
