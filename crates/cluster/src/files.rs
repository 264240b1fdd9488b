//! Writing files whole or not at all, the one way in which this workspace writes a file, and
//! reading what somebody else wrote, which may be a device, a pipe, or without end.

use std::{
    fs::{self, File, Metadata},
    io::{self, ErrorKind, Read},
    path::{Path, PathBuf},
};

/// Ending of files that are being written; what carries it is not yet, or no longer, of use.
pub const PARTIAL: &str = "partial";

/// Most bytes of a file that people write: a scenario, an organization, a search space.
pub const MOST_TEXT: u64 = 16 << 20;

/// Most bytes of a file that programs write: recorded rates, cases of an autoscaler.
pub const MOST_DATA: u64 = 256 << 20;

/// Opens the file at `path`, unless it is a device, a pipe or a socket: those may have no end, or
/// wait for somebody who never comes.
///
/// # Errors
/// [`ErrorKind::InvalidData`] where something special lies at `path`; else what the system said.
pub fn open(path: &Path) -> io::Result<File> {
    if is_special(&fs::metadata(path)?) {
        let why = "it is a device, a pipe or a socket, where a file should be";
        return Err(io::Error::new(ErrorKind::InvalidData, why));
    }
    File::open(path)
}

/// Reads the file at `path`, of at most `most` bytes.
///
/// # Errors
/// As [`open`], and [`ErrorKind::FileTooLarge`].
pub fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    to_end(open(path)?, most)
}

/// As [`read`], of a text.
///
/// # Errors
/// As [`read`], and [`ErrorKind::InvalidData`] where it is none.
pub fn read_text(path: &Path, most: u64) -> io::Result<String> {
    text(read(path, most)?)
}

/// As [`read_text`], of a file that nobody reads again: standard input and what a shell makes of
/// `<(…)` will do.
///
/// # Errors
/// As [`read_text`].
pub fn read_text_once(path: &Path, most: u64) -> io::Result<String> {
    if is_stream(path) {
        text(to_end(File::open(path)?, most)?)
    } else {
        read_text(path, most)
    }
}

fn to_end(file: File, most: u64) -> io::Result<Vec<u8>> {
    let known = file.metadata()?.len().min(most);
    let mut bytes = Vec::with_capacity(usize::try_from(known).unwrap_or(0) + 1);
    file.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        let why = format!("it is larger than {} MiB", most >> 20);
        return Err(io::Error::new(ErrorKind::FileTooLarge, why));
    }
    Ok(bytes)
}

fn text(bytes: Vec<u8>) -> io::Result<String> {
    let no_text = |_| io::Error::new(ErrorKind::InvalidData, "it is no text in UTF-8");
    String::from_utf8(bytes).map_err(no_text)
}

/// Replaces `path` by what `write` writes: a reader sees the old file or the new one, whole.
/// Folders above it are made.
///
/// The content goes to a temporary name in the same folder, is synchronized, and renamed. Upon an
/// error `path` is as it was. What is no regular file, such as a device or a pipe, is not replaced.
///
/// # Errors
/// [`ErrorKind::AlreadyExists`] where something special lies at `path`; else what the system said.
pub fn replace(path: &Path, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    let partial = partial(path);
    if is_stream(path) || fs::metadata(path).is_ok_and(|found| is_special(&found)) {
        let why = "it is a device, a pipe or a socket, which a file would take the place of";
        return Err(io::Error::new(ErrorKind::AlreadyExists, why));
    }
    let work = || {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        // A new one: what a link or a pipe of that name leads to is not written to.
        match fs::remove_file(&partial) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        File::create_new(&partial)
    };
    let done = work().and_then(|mut file| {
        write(&mut file)?;
        file.sync_all()?;
        fs::rename(&partial, path)
    });
    // Best effort: the error that matters is the one being told.
    done.inspect_err(|_| drop(fs::remove_file(&partial)))
}

/// Whether `found` is neither a file nor a folder.
fn is_special(found: &Metadata) -> bool {
    !found.is_file() && !found.is_dir()
}

/// Whether `path` names an open file of this process rather than one on disk: standard input and
/// output, and what a shell makes of `<(…)`.
fn is_stream(path: &Path) -> bool {
    let link = fs::read_link(path).unwrap_or_default();
    [path, &link]
        .iter()
        .any(|path| path.starts_with("/dev/fd") || path.starts_with("/proc/self/fd"))
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

    #[cfg(unix)]
    #[test]
    fn what_is_no_regular_file_is_neither_read_nor_replaced() -> io::Result<()> {
        use std::os::unix::{fs::symlink, net::UnixListener};

        let folder = folder("special");
        fs::create_dir_all(&folder)?;
        let (socket, link, file) = (folder.join("s"), folder.join("l"), folder.join("f"));
        let _listener = UnixListener::bind(&socket)?;
        symlink(&socket, &link)?;
        for path in [&socket, &link] {
            let refused = replace(path, |file| file.write_all(b"new")).map_err(|e| e.kind());
            assert_eq!(refused, Err(ErrorKind::AlreadyExists));
            assert!(is_special(&fs::metadata(path)?) && !partial(path).exists());
            let refused = read(path, 9).map_err(|e| e.kind());
            assert_eq!(refused, Err(ErrorKind::InvalidData));
        }
        // A link to a file gives way to a file, and its target stays.
        fs::remove_file(&link)?;
        fs::write(&file, "old")?;
        symlink(&file, &link)?;
        replace(&link, |file| file.write_all(b"new"))?;
        assert_eq!(fs::read_to_string(&link)?, "new");
        assert_eq!(fs::read_to_string(&file)?, "old");
        fs::remove_dir_all(folder)
    }

    #[test]
    fn what_is_too_large_or_no_text_is_not_read() -> io::Result<()> {
        let path = folder("read").join("file");
        replace(&path, |file| file.write_all(b"four"))?;
        assert_eq!(read_text(&path, 4)?, "four");
        let refused = read(&path, 3).map_err(|e| e.kind());
        assert_eq!(refused, Err(ErrorKind::FileTooLarge));
        replace(&path, |file| file.write_all(b"\xff"))?;
        let refused = read_text(&path, 4).map_err(|e| e.kind());
        assert_eq!(refused, Err(ErrorKind::InvalidData));
        fs::remove_dir_all(folder("read"))
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
