//! Where rows go. Copy and replication write through the types of one destination; a MySQL-family server
//! is the one this version knows. A transaction here always begins with the fence; the record (position, chunk, table) goes with the last rows of a window,
//! a chunk or a snapshot.

pub(crate) mod mysql;
