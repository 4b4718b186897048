//! What is wrong with a manifest, field by field.

use std::fmt;

/// One problem: where it is, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// Path of the field, for example `spec.objects[0].tables[2].where`; a place in the file where there is no field.
    pub path: String,
    /// What is wrong and what to do about it.
    pub message: String,
}

impl FieldError {
    /// A problem with the field at `path`.
    pub fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { path: path.into(), message: message.into() }
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() { f.write_str(&self.message) } else { write!(f, "{}: {}", self.path, self.message) }
    }
}

impl std::error::Error for FieldError {}

/// Why a manifest is refused: all problems that were found, one a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestError {
    /// The file, where the manifest came from one.
    pub file: Option<String>,
    /// The problems; never empty.
    pub errors: Vec<FieldError>,
}

impl ManifestError {
    pub(crate) fn in_file(file_name: &str, errors: Vec<FieldError>) -> Self {
        Self { file: Some(file_name.to_owned()), errors }
    }
}

impl From<FieldError> for ManifestError {
    fn from(error: FieldError) -> Self {
        Self { file: None, errors: vec![error] }
    }
}

impl From<Vec<FieldError>> for ManifestError {
    fn from(errors: Vec<FieldError>) -> Self {
        Self { file: None, errors }
    }
}

impl fmt::Display for ManifestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.errors.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            if let Some(file) = &self.file {
                write!(f, "{file}: ")?;
            }
            write!(f, "{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ManifestError {}
