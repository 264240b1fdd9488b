//! Every file that `karma` itself writes, reads and hashes.

use std::{
    fs,
    io::{self, Read, Write},
    path::{Component, Path, PathBuf},
};

use anyhow::{Context, Result};
use karma_cluster::files;
use serde::{Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};

/// Replaces `path` by `bytes`, all or nothing; folders above it are made.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    files::replace(path, |file| file.write_all(bytes))
        .with_context(|| format!("cannot write {}", path.display()))
}

/// The one spelling of `path` as a place to write to: absolute, links above it followed, whether
/// it and what lies above it exist or not.
pub(crate) fn place(path: &Path) -> io::Result<PathBuf> {
    let mut place = PathBuf::new();
    for part in std::path::absolute(path)?.components() {
        // What was gone through so far is a folder; one that is absent is no link either.
        place = place.canonicalize().unwrap_or(place);
        match part {
            Component::ParentDir => drop(place.pop()),
            part => place.push(part),
        }
    }
    Ok(place)
}

/// Reads a text that this program wrote.
pub(crate) fn read(path: &Path) -> Result<String> {
    files::read_text(path, u64::MAX).with_context(|| format!("cannot read {}", path.display()))
}

/// Reads a text of at most `most` bytes that somebody else wrote.
pub(crate) fn read_given(path: &Path, most: u64) -> Result<String> {
    files::read_text_once(path, most).with_context(|| format!("cannot read {}", path.display()))
}

/// Reads a value written as JSON.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T> {
    serde_json::from_str(&read(path)?)
        .with_context(|| format!("{} is damaged or of another version", path.display()))
}

/// Replaces `path` by `value` as JSON.
pub(crate) fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let mut text = serde_json::to_string_pretty(value)?;
    text.push('\n');
    replace(path, text.as_bytes())
}

/// SHA-256 of `bytes` in hexadecimal.
pub(crate) fn hash(bytes: &[u8]) -> String {
    hex(Sha256::digest(bytes).as_slice())
}

/// SHA-256 of a file's content in hexadecimal.
pub(crate) fn hash_file(path: &Path) -> Result<String> {
    let read = || -> io::Result<String> {
        let mut file = files::open(path)?;
        let mut digest = Sha256::new();
        let mut block = vec![0; 1 << 16];
        loop {
            match file.read(&mut block)? {
                0 => return Ok(hex(digest.finalize().as_slice())),
                read => digest.update(&block[..read]),
            }
        }
    };
    read().with_context(|| format!("cannot read {}", path.display()))
}

fn hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Every whole file under `folder`, sorted, as paths relative to `base`; none where it is absent.
pub(crate) fn list(base: &Path, folder: &Path) -> Result<Vec<PathBuf>> {
    let (_, whole) = walk(folder)?;
    let relative = |path: PathBuf| path.strip_prefix(base).map(Path::to_owned).unwrap_or(path);
    let mut found: Vec<PathBuf> = whole.into_iter().map(relative).collect();
    found.sort();
    Ok(found)
}

/// Removes the files under `folder` that somebody was stopped while writing.
pub(crate) fn sweep(folder: &Path) -> Result<()> {
    if folder.is_dir() {
        let (partial, _) = walk(folder)?;
        partial.iter().try_for_each(|path| remove(path))?;
    }
    Ok(())
}

/// The files under `folder`, those that are being written and those that are whole. Links to folders
/// are passed over: what they lead to may contain them.
fn walk(folder: &Path) -> Result<(Vec<PathBuf>, Vec<PathBuf>)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => {
                return Err(error).with_context(|| format!("cannot list {}", folder.display()));
            }
        };
        for entry in entries {
            let entry = entry?;
            let path = entry.path();
            if entry.file_type()?.is_dir() {
                folders.push(path);
            } else if !path.is_dir() {
                found.push(path);
            }
        }
    }
    let is_partial = |path: &PathBuf| path.extension().is_some_and(|e| e == files::PARTIAL);
    Ok(found.into_iter().partition(is_partial))
}

/// Removes a file or folder; an absent one is no error.
pub(crate) fn remove(path: &Path) -> Result<()> {
    let removed = if path.is_dir() {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hash_is_sha_256() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(hash(b""), empty);
    }
}
