//! Types of the resources.
