//! Writing files whole or not at all; the one way in which this workspace writes a file.
//!
//! Nothing in the other modules calls this: who holds a path is a shell, or was handed it by one.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

/// Ending of files that are being written; what carries it is not yet, or no longer, of use.
pub const PARTIAL: &str = "partial";

/// Replaces `path` by what `write` writes: a reader sees the old file or the new one, whole.
/// Folders above it are made.
///
/// The content goes to a temporary name in the same folder, is synchronized, and renamed. Upon an
/// error `path` is as it was.
///
/// # Errors
/// What the system said.
pub fn replace(path: &Path, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    let partial = partial(path);
    let work = || {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        File::create(&partial)
    };
    let done = work().and_then(|mut file| {
        write(&mut file)?;
        file.sync_all()?;
        fs::rename(&partial, path)
    });
    // Best effort: the error that matters is the one being told.
    done.inspect_err(|_| drop(fs::remove_file(&partial)))
}

fn partial(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".");
    name.push(PARTIAL);
    path.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn folder(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("karma-files-{name}-{}", std::process::id()))
    }

    #[test]
    fn a_file_is_replaced_and_its_folder_made() -> io::Result<()> {
        let path = folder("made").join("below/file");
        for text in ["old", "new"] {
            replace(&path, |file| file.write_all(text.as_bytes()))?;
            assert_eq!(fs::read_to_string(&path)?, text);
        }
        fs::remove_dir_all(folder("made"))
    }

    #[test]
    fn a_failed_write_leaves_the_old_file_and_nothing_else() -> io::Result<()> {
        let path = folder("failed").join("file");
        replace(&path, |file| file.write_all(b"old"))?;
        let failed = replace(&path, |file| {
            file.write_all(b"ne")?;
            Err(io::ErrorKind::StorageFull.into())
        });
        assert!(failed.is_err());
        assert_eq!(fs::read_to_string(&path)?, "old");
        assert!(!partial(&path).exists());
        fs::remove_dir_all(folder("failed"))
    }
}
