//! A seal on a Parquet file: SHA-256 over all of its bytes, within the file.
//!
//! It lies between the last page and the footer, where no reader looks: a footer is found from the
//! end of a file, pages from its start. Parquet's own checksums cover pages alone, and our decoder does
//! not look at them.

use std::ops::Range;

use sha2::{Digest, Sha256};

/// What a seal begins with.
const MARK: &[u8; 8] = b"\x00KARMA\x01\xFF";

/// Bytes of the hash behind it.
const HASH: usize = 32;

/// Bytes behind a footer: its length and a magic word.
const TAIL: usize = 8;

/// Puts a seal into `file`.
///
/// # Panics
/// If `file` is no Parquet file.
pub(super) fn set(file: &mut Vec<u8>) {
    let tail: [u8; TAIL] = file.last_chunk().copied().unwrap_or_default();
    let [a, b, c, d, ref magic @ ..] = tail;
    let behind = u32::from_le_bytes([a, b, c, d]) as usize + TAIL;
    let is_parquet = magic == b"PAR1" && behind <= file.len();
    assert!(is_parquet, "a Parquet file ends with its footer");
    let place = file.len() - behind;
    let hash = Sha256::digest(&file);
    file.splice(place..place, MARK.iter().copied().chain(hash));
}

/// What the seal of a file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seal {
    /// The file is what it was when the seal was set.
    Whole,
    /// It is not.
    Broken,
    /// It has none: it is of another writer, or not whole.
    Absent,
}

impl Seal {
    /// Looks at the seal of `file`.
    pub(super) fn of(file: &[u8]) -> Self {
        let Some(Range { start, end }) = find(file) else {
            return Self::Absent;
        };
        let Some(hash) = file.get(end..end + HASH) else {
            return Self::Broken;
        };
        let mut digest = Sha256::new_with_prefix(&file[..start]);
        digest.update(&file[end + HASH..]);
        if digest.finalize().as_slice() == hash {
            Self::Whole
        } else {
            Self::Broken
        }
    }
}

/// The last mark in `file`, wherever a damaged footer may say that it begins.
fn find(file: &[u8]) -> Option<Range<usize>> {
    let start = file.windows(MARK.len()).rposition(|bytes| bytes == MARK)?;
    Some(start..start + MARK.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_changed_byte_breaks_the_seal_or_hides_it() {
        let mut file = b"PAR1 pages and a footer\x06\0\0\0PAR1".to_vec();
        let plain = file.clone();
        assert_eq!(Seal::of(&file), Seal::Absent);
        set(&mut file);
        assert_eq!(Seal::of(&file), Seal::Whole);
        let mark = file.len() - TAIL - b"footer".len() - MARK.len() - HASH;
        let sealed = mark..mark + MARK.len() + HASH;
        assert_eq!([&file[..mark], &file[sealed.end..]].concat(), plain);
        for at in 0..file.len() {
            let mut changed = file.clone();
            changed[at] ^= 1;
            let is_hidden = (mark..mark + MARK.len()).contains(&at);
            let expected = if is_hidden {
                Seal::Absent
            } else {
                Seal::Broken
            };
            assert_eq!(Seal::of(&changed), expected, "byte {at}");
        }
        let cut = &file[..mark + MARK.len()];
        assert_eq!(Seal::of(cut), Seal::Broken);
    }
}
