//! Hashes of inputs.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

use super::{Number, Text, Trace};

/// Bytes in lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

impl Trace {
    /// SHA-256 of everything that the rows say, in their order; independent of the file format.
    #[must_use]
    pub fn sha256(&self) -> String {
        let mut hash = Sha256::new();
        for ts in self.ts_ms() {
            hash.update(ts.to_le_bytes());
        }
        for flags in self.quality() {
            hash.update(flags.to_le_bytes());
        }
        for &field in Number::ALL {
            let Some(column) = self.numbers(field) else {
                continue;
            };
            hash.update(field.name());
            let (values, present) = column.parts();
            for (value, present) in values.iter().zip(present) {
                hash.update([u8::from(*present)]);
                hash.update(value.to_le_bytes());
            }
        }
        for &field in Text::ALL {
            if self.texts(field).is_none() {
                continue;
            }
            hash.update(field.name());
            for row in 0..self.len() {
                let text = self.text(field, row).unwrap_or("\0");
                hash.update((text.len() as u64).to_le_bytes());
                hash.update(text);
            }
        }
        hex(&hash.finalize())
    }
}
