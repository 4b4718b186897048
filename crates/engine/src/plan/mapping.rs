//! The names that objects get at the destination: renames, and the policy for upper and lower case.

use godwit_api::NameCase;
use godwit_model::error::{Error, Result};

use super::pattern::{Pattern, expand};
use godwit_model::names::TableName;

/// How both servers treat the case of database and table names, and what the task asks for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NameRules {
    /// `lower_case_table_names` of the source.
    pub source: u8,
    /// `lower_case_table_names` of the destination.
    pub destination: u8,
    pub policy: NameCase,
}

impl NameRules {
    /// Upper and lower case name the same object at the source.
    pub fn source_folds(self) -> bool {
        self.source != 0
    }

    /// Upper and lower case name the same object at the destination.
    pub fn destination_folds(self) -> bool {
        self.destination != 0
    }

    /// A destination name as two equal ones compare equal.
    pub fn destination_key(self, name: &str) -> String {
        if self.destination_folds() { name.to_lowercase() } else { name.to_owned() }
    }

    /// A table's destination name as two equal ones compare equal.
    pub fn destination_name(self, name: &TableName) -> TableName {
        TableName { database: self.destination_key(&name.database), table: self.destination_key(&name.table) }
    }

    /// The name of a database or table at the destination. A server with 1 stores lower case whatever it is told.
    pub fn apply(self, name: &str) -> String {
        match self.policy {
            _ if self.destination == 1 => name.to_lowercase(),
            NameCase::Default if self.destination != 0 => name.to_lowercase(),
            NameCase::Default | NameCase::AsSource => name.to_owned(),
            NameCase::Lower => name.to_lowercase(),
            NameCase::Upper => name.to_uppercase(),
        }
    }

    /// The name that `renameTo` gives to something a pattern matched. A rename of one exact name is kept as it is written; the
    /// policy is for the others.
    ///
    /// # Errors
    /// Names the field when the template asks for a capture that the pattern does not have.
    pub fn rename(self, template: Option<&str>, pattern: &Pattern, name: &str, field: &str) -> Result<String> {
        match template {
            None => Ok(self.apply(name)),
            Some(written) if pattern.is_exact() && self.destination == 1 => Ok(written.to_lowercase()),
            Some(written) if pattern.is_exact() => Ok(written.to_owned()),
            Some(written) => {
                let captures = pattern.captures(name, self.source_folds()).unwrap_or_default();
                expand(written, &captures)
                    .map(|new| self.apply(&new))
                    .map_err(|number| missing_group(field, written, pattern, number))
            }
        }
    }
}

/// Refuses a template that asks for more than its pattern captures.
///
/// # Errors
/// Names the field.
pub fn check_template(template: Option<&str>, pattern: &Pattern, field: &str) -> Result<()> {
    match template {
        Some(written) if !pattern.is_exact() => {
            let captures = vec![String::new(); pattern.groups()];
            expand(written, &captures).map(drop).map_err(|number| missing_group(field, written, pattern, number))
        }
        _ => Ok(()),
    }
}

fn missing_group(field: &str, written: &str, pattern: &Pattern, number: usize) -> Error {
    Error::definite(format!(
        "{field}: `{written}` uses ${number}, but the pattern `{}` has only {} of * and ?; use $1 to ${}",
        pattern.text(),
        pattern.groups(),
        pattern.groups(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(destination: u8, policy: NameCase) -> NameRules {
        NameRules { source: 0, destination, policy }
    }

    #[test]
    fn case_policies() {
        for (destination, policy, expected) in [
            (0, NameCase::Default, "ShoP"),
            (1, NameCase::Default, "shop"),
            (2, NameCase::Default, "shop"),
            (0, NameCase::AsSource, "ShoP"),
            (1, NameCase::AsSource, "shop"),
            (2, NameCase::AsSource, "ShoP"),
            (0, NameCase::Lower, "shop"),
            (0, NameCase::Upper, "SHOP"),
            (1, NameCase::Upper, "shop"),
            (2, NameCase::Upper, "SHOP"),
        ] {
            assert_eq!(rules(destination, policy).apply("ShoP"), expected, "{destination} {policy:?}");
        }
    }

    #[test]
    fn renames_of_exact_names_are_kept_and_patterns_follow_the_policy() {
        let upper = rules(0, NameCase::Upper);
        let exact = Pattern::new("shop");
        assert_eq!(upper.rename(Some("New$1"), &exact, "shop", "f").unwrap(), "New$1");
        let pattern = Pattern::new("shop_*");
        assert_eq!(upper.rename(Some("new_$1"), &pattern, "shop_eu", "f").unwrap(), "NEW_EU");
        let error = check_template(Some("$2"), &pattern, "spec.objects[0].renameTo").unwrap_err().to_string();
        assert!(error.contains("spec.objects[0].renameTo") && error.contains("$2"), "{error}");
    }
}
