//! The manifest file.
