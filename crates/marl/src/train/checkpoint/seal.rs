//! Bytes that know whether they are still what was written: the SHA-256 of a text behind it.

use sha2::{Digest, Sha256};

/// Length of the seal.
const SEAL: usize = 32;

/// `text` with its seal.
pub(super) fn seal(mut text: Vec<u8>) -> Vec<u8> {
    let seal = Sha256::digest(&text);
    text.extend_from_slice(&seal);
    text
}

/// The text of what [`seal`] made; none where a bit of it has changed.
pub(super) fn unseal(sealed: &[u8]) -> Option<&[u8]> {
    let (text, seal) = sealed.split_at(sealed.len().checked_sub(SEAL)?);
    (Sha256::digest(text).as_slice() == seal).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_changed_bit_is_noticed() {
        let sealed = seal(b"state".to_vec());
        assert_eq!(unseal(&sealed), Some(&b"state"[..]));
        for bit in 0..8 * sealed.len() {
            let mut changed = sealed.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(unseal(&changed), None, "bit {bit}");
        }
        assert_eq!(unseal(b"short"), None);
    }
}
