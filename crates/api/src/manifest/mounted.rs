//! Secrets as the kubelet mounts them: a folder for each Secret, a file for each key.
//!
//! The kubelet changes a mounted Secret as a whole: it writes the files into a new folder (`..2026_11_24_…`) and turns the link `..data` to it. All
//! keys of a Secret are read from one such folder, so that a user name and a password of two versions never meet.

use std::fs;
use std::io::{self, Read};
use std::path::Path;

use super::secrets::Secrets;

/// What an API server takes at most, for all keys of a Secret together.
const SIZE_LIMIT: u64 = 1 << 20;

/// The link to the present version.
const DATA: &str = "..data";

/// Reads all Secrets below a folder. A folder that is missing holds none.
///
/// # Errors
/// When something is there that cannot be read; the message names the file, never what it holds.
pub fn mounted_secrets(folder: &Path) -> Result<Secrets, String> {
    let mut secrets = Secrets::mounted();
    for (name, path) in entries(folder)? {
        if !path.is_dir() {
            continue;
        }
        // A version that is replaced at this very moment vanishes; the next one is there then.
        if read(&path, &name, &mut secrets).is_err() {
            read(&path, &name, &mut secrets)?;
        }
    }
    Ok(secrets)
}

fn read(folder: &Path, name: &str, secrets: &mut Secrets) -> Result<(), String> {
    let linked = folder.join(DATA);
    let version = match fs::canonicalize(&linked) {
        Ok(version) => version,
        Err(error) if error.kind() == io::ErrorKind::NotFound => folder.to_owned(),
        Err(error) => return Err(format!("{}: {error}", linked.display())),
    };
    secrets.add(name);
    for (key, path) in entries(&version)? {
        if path.is_file() {
            let value = contents(&path).map_err(|error| format!("{}: {error}", path.display()))?;
            secrets.insert(name, key, value);
        }
    }
    Ok(())
}

/// Names and paths in a folder, but for the kubelet's own (`..data`) and for names that no Secret and no key can have.
fn entries(folder: &Path) -> Result<Vec<(String, std::path::PathBuf)>, String> {
    let failed = |error: io::Error| format!("{}: {error}", folder.display());
    let listed = match fs::read_dir(folder) {
        Ok(listed) => listed,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut found = Vec::new();
    for entry in listed {
        let entry = entry.map_err(failed)?;
        if let Ok(name) = entry.file_name().into_string()
            && !name.starts_with("..")
        {
            found.push((name, entry.path()));
        }
    }
    Ok(found)
}

fn contents(path: &Path) -> io::Result<Vec<u8>> {
    let mut value = Vec::new();
    fs::File::open(path)?.take(SIZE_LIMIT).read_to_end(&mut value)?;
    Ok(value)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// As the kubelet lays it out.
    fn version(folder: &Path, number: u32, keys: &[(&str, &str)]) {
        let name = format!("..2026_11_24_{number}");
        fs::create_dir_all(folder.join(&name)).unwrap();
        for (key, value) in keys {
            fs::write(folder.join(&name).join(key), value).unwrap();
            let _ = symlink(format!("{DATA}/{key}"), folder.join(key));
        }
        let _ = fs::remove_file(folder.join(DATA));
        symlink(name, folder.join(DATA)).unwrap();
    }

    #[test]
    fn the_kubelets_layout() {
        let folder = tempfile::tempdir().unwrap();
        let login = folder.path().join("login");
        version(&login, 1, &[("username", "app"), ("password", "one\n")]);
        let secrets = mounted_secrets(folder.path()).unwrap();
        assert_eq!(secrets.names().collect::<Vec<_>>(), ["login"]);
        assert_eq!(secrets.keys("login").collect::<Vec<_>>(), ["password", "username"]);
        assert_eq!(secrets.get("login", "password"), Some(&b"one\n"[..]));
        version(&login, 2, &[("username", "app"), ("password", "two")]);
        assert_eq!(mounted_secrets(folder.path()).unwrap().get("login", "password"), Some(&b"two"[..]));
    }

    #[test]
    fn plain_files_and_nothing_at_all() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("empty")).unwrap();
        fs::create_dir(folder.path().join("login")).unwrap();
        fs::write(folder.path().join("login/host"), "db").unwrap();
        fs::write(folder.path().join("stray"), "x").unwrap();
        let secrets = mounted_secrets(folder.path()).unwrap();
        assert_eq!(secrets.names().collect::<Vec<_>>(), ["empty", "login"]);
        assert_eq!(secrets.get("login", "host"), Some(&b"db"[..]));
        assert_eq!(mounted_secrets(&folder.path().join("absent")).unwrap().names().count(), 0);
    }
}
