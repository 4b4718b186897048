//! Where rows go. Copy and replication write through the types of one destination; a MySQL-family server
//! is the one this version knows. A transaction here always holds data *and* its record (position or chunk).

pub(crate) mod mysql;
