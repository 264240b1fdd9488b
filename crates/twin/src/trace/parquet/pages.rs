//! Columns as pages of a Parquet file.
//!
//! A column chunk is one data page, behind a dictionary where few distinct values come up. What
//! runs once per value is here, where it is optimized, and not in a dependency, which is not.

use polars_parquet::parquet::{
    CowBuffer,
    compression::{self, CompressionOptions},
    encoding::{Encoding, hybrid_rle},
    error::ParquetResult,
    metadata::Descriptor,
    page::{CompressedPage, DataPage, DataPageHeader, DataPageHeaderV1, DictPage, Page},
    write::compress,
};

use crate::trace::Texts;

/// Distinct values of a dictionary, at most; more are written one by one.
const DISTINCT: usize = 1024;

/// Bits of a hash: four places for every distinct value.
const HASH_BITS: u32 = (4 * DISTINCT).ilog2();

/// How pages are compressed that shrink by it.
const SMALLER: CompressionOptions = CompressionOptions::Snappy;

/// How pages are kept that do not.
const AS_IT_IS: CompressionOptions = CompressionOptions::Uncompressed;

/// Bytes of a page that tell whether it shrinks.
const SAMPLE: usize = 1 << 14;

/// One row group of one column.
pub(super) struct Chunk<'a> {
    /// Type and levels.
    pub(super) descriptor: &'a Descriptor,
    /// Rows.
    pub(super) rows: usize,
}

/// The pages of one row group of one column, the dictionary first.
pub(super) type Pages = Vec<CompressedPage>;

impl Chunk<'_> {
    /// Nothing but nulls.
    pub(super) fn nulls(&self) -> ParquetResult<Pages> {
        let mut data = Vec::new();
        levels(&mut data, std::iter::repeat_n(false, self.rows))?;
        self.plain(data)
    }

    /// Values of `N` bytes each: all of them where `present` is `None`, which is for columns that
    /// know no null.
    pub(super) fn values<const N: usize>(
        &self,
        values: impl Iterator<Item = [u8; N]> + Clone,
        present: Option<&[bool]>,
    ) -> ParquetResult<Pages> {
        let mut data = Vec::new();
        if let Some(present) = present {
            levels(&mut data, present.iter().copied())?;
        }
        if let Some((distinct, codes)) = dictionary(values.clone(), self.rows) {
            return self.coded(data, distinct.concat(), distinct.len(), &codes);
        }
        data.reserve(self.rows * N);
        for value in values {
            data.extend_from_slice(&value);
        }
        self.plain(data)
    }

    /// Rows of a column of texts, from row `first`.
    pub(super) fn texts(&self, texts: &Texts, first: usize) -> ParquetResult<Pages> {
        let all = texts.distinct();
        let codes = &texts.codes()[first..first + self.rows];
        let mut data = Vec::new();
        levels(&mut data, codes.iter().map(|code| *code != Texts::NULL))?;
        // A dictionary of this chunk alone, in order of first appearance.
        let mut renamed = vec![u32::MAX; all.len()];
        let (mut distinct, mut bytes) = (0, Vec::new());
        let mut written = Vec::with_capacity(codes.len());
        for &code in codes {
            let Some(renamed) = renamed.get_mut(code as usize) else {
                continue;
            };
            if *renamed == u32::MAX {
                *renamed = distinct;
                distinct += 1;
                let text = &all[code as usize];
                bytes.extend_from_slice(&(text.len() as u32).to_le_bytes());
                bytes.extend_from_slice(text.as_bytes());
            }
            written.push(*renamed);
        }
        self.coded(data, bytes, distinct as usize, &written)
    }

    /// A dictionary of `distinct` values, `data` followed by the places of the values in it.
    fn coded(
        &self,
        mut data: Vec<u8>,
        dictionary: Vec<u8>,
        distinct: usize,
        codes: &[u32],
    ) -> ParquetResult<Pages> {
        if distinct == 0 {
            return self.plain(data);
        }
        let width = usize::BITS - distinct.saturating_sub(1).leading_zeros();
        data.push(width as u8);
        hybrid_rle::encode(&mut data, codes.iter().copied(), width)?;
        let dictionary = DictPage::new(CowBuffer::Owned(dictionary), distinct, false);
        let data = self.data(data, Encoding::RleDictionary);
        Ok(vec![
            compress(Page::Dict(dictionary), Vec::new(), SMALLER)?,
            compress(data, Vec::new(), SMALLER)?,
        ])
    }

    /// A page of values one after the other.
    fn plain(&self, data: Vec<u8>) -> ParquetResult<Pages> {
        let compression = if shrinks(&data)? { SMALLER } else { AS_IT_IS };
        let data = self.data(data, Encoding::Plain);
        Ok(vec![compress(data, Vec::new(), compression)?])
    }

    fn data(&self, data: Vec<u8>, encoding: Encoding) -> Page {
        let header = DataPageHeader::V1(DataPageHeaderV1 {
            num_values: self.rows as i32,
            encoding: encoding.into(),
            definition_level_encoding: Encoding::Rle.into(),
            repetition_level_encoding: Encoding::Rle.into(),
            statistics: None,
        });
        let data = CowBuffer::Owned(data);
        Page::Data(DataPage::new(
            header,
            data,
            self.descriptor.clone(),
            self.rows,
        ))
    }
}

/// Whether compression takes at least a third away, as a sample from the end of `page` tells.
/// Measured values mostly lose less, and would take longer to compress than all else.
fn shrinks(page: &[u8]) -> ParquetResult<bool> {
    let sample = &page[page.len().saturating_sub(SAMPLE)..];
    let mut compressed = Vec::new();
    compression::compress(SMALLER, sample, &mut compressed)?;
    Ok(compressed.len() <= sample.len() / 3 * 2)
}

/// Appends which rows are present: the length in bytes, then runs.
fn levels(data: &mut Vec<u8>, present: impl Iterator<Item = bool>) -> ParquetResult<()> {
    let mut runs = Vec::new();
    hybrid_rle::encode(&mut runs, present, 1)?;
    data.extend_from_slice(&(runs.len() as u32).to_le_bytes());
    data.append(&mut runs);
    Ok(())
}

/// Distinct values in order of first appearance, and for every value its place among them; `None`
/// where they are too many to be worth it.
fn dictionary<const N: usize>(
    values: impl Iterator<Item = [u8; N]>,
    rows: usize,
) -> Option<(Vec<[u8; N]>, Vec<u32>)> {
    const EMPTY: u32 = u32::MAX;
    const SLOTS: usize = 1 << HASH_BITS;
    let most = DISTINCT.min(rows / 2);
    let mut slots = [EMPTY; SLOTS];
    let mut distinct: Vec<[u8; N]> = Vec::new();
    let mut codes = Vec::with_capacity(rows);
    let mut last = None;
    for value in values {
        let code = match last {
            Some((before, code)) if before == value => code,
            _ => {
                let mut slot = hash(value);
                while slots[slot] != EMPTY && distinct[slots[slot] as usize] != value {
                    slot = (slot + 1) % SLOTS;
                }
                if slots[slot] == EMPTY {
                    if distinct.len() == most {
                        return None;
                    }
                    slots[slot] = distinct.len() as u32;
                    distinct.push(value);
                }
                slots[slot]
            }
        };
        last = Some((value, code));
        codes.push(code);
    }
    Some((distinct, codes))
}

/// The highest bits of a product, into which all bits of the value went: those of small whole
/// numbers as doubles are the highest alone.
fn hash<const N: usize>(value: [u8; N]) -> usize {
    let mut wide = [0; 8];
    wide[..N].copy_from_slice(&value);
    let product = u64::from_le_bytes(wide).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (product >> (u64::BITS - HASH_BITS)) as usize
}
