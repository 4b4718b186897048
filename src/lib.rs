//! Godwit moves live MySQL-family databases.
//!
//! The data's way: a manifest (`manifest`, types in `api`) becomes a `engine::plan`; rows come from
//! `engine::source` through `engine::copy` (chunks) and `engine::replicate` (binary log), travel as
//! canonical bytes (`engine::value`) and are written by `engine::destination`, in one transaction with the
//! position and guarded by the epoch (both in `engine::checkpoint`). `engine::verify` compares.
//! `cli` starts any of it; all of it reports into `engine::progress`, which `http` and `cli::show` read from.
//!
//! On Kubernetes `operator` turns the resources into engine pods and the engines' reports into status. It and `engine`
//! never import each other; what passes between them is in `api::engine`, and `conditions` is computed the same way by both.

pub mod api;
pub mod cli;
pub mod conditions;
pub mod engine;
pub mod handshake;
pub mod http;
pub mod listen;
pub mod manifest;
pub mod operator;
pub mod plain;
pub mod serve;
pub mod telemetry;

#[cfg(test)]
mod tests {
    use std::path::Path;

    /// Rust files below a folder of `src`.
    fn sources(folder: &Path, found: &mut Vec<(String, String)>) {
        for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let path = entry.path();
            if path.is_dir() {
                sources(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push((path.display().to_string(), std::fs::read_to_string(&path).unwrap()));
            }
        }
    }

    #[test]
    fn modules_import_in_one_direction_only() {
        let forbidden = [
            ("operator", ["crate::engine", "crate::cli", "crate::http"].as_slice()),
            ("engine", ["crate::operator", "crate::cli", "crate::http"].as_slice()),
            ("api", ["crate::operator", "crate::engine", "crate::cli", "crate::manifest", "crate::http"].as_slice()),
            ("manifest", ["crate::operator", "crate::engine", "crate::cli", "crate::http"].as_slice()),
        ];
        for (folder, others) in forbidden {
            let mut found = Vec::new();
            sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(folder), &mut found);
            assert!(!found.is_empty(), "src/{folder} is empty");
            // Tests may look across.
            found.retain(|(file, _)| !file.contains("/tests/"));
            for (file, text) in found {
                let bad =
                    others.iter().find(|other| text.contains(&format!("{other}::")) || text.contains(&format!("use {other}")));
                assert!(bad.is_none(), "{file} imports {bad:?}");
            }
        }
    }
}
