//! Distances between histories of any length.

/// Dynamic time warping: least sum of Euclidean distances between aligned elements, over all
/// alignments that keep the order. Histories are rows of `width` numbers.
///
/// # Panics
/// If a length is not a multiple of `width`, or only one history is empty.
#[must_use]
pub fn dtw(a: &[f32], b: &[f32], width: usize) -> f64 {
    assert!(width > 0 && a.len().is_multiple_of(width) && b.len().is_multiple_of(width));
    if a.is_empty() && b.is_empty() {
        return 0.0;
    }
    assert!(
        !a.is_empty() && !b.is_empty(),
        "nothing aligns with nothing"
    );
    let columns = b.len() / width;
    // Row of the cost matrix above the current one, with a border that nothing passes.
    let mut above = vec![f32::INFINITY; columns + 1];
    let mut row = above.clone();
    above[0] = 0.0;
    let mut total = 0.0_f64;
    for x in a.chunks_exact(width) {
        row[0] = f32::INFINITY;
        for (column, y) in b.chunks_exact(width).enumerate() {
            let squares: f32 = x.iter().zip(y).map(|(x, y)| (x - y) * (x - y)).sum();
            let best = above[column].min(above[column + 1]).min(row[column]);
            row[column + 1] = squares.sqrt() + best;
        }
        total = f64::from(row[columns]);
        std::mem::swap(&mut above, &mut row);
    }
    total
}

/// [`dtw`] per step of the longer history, over the largest distance `reach` between elements: 0
/// for equal, 1 for opposite histories. Two empty histories are equal; one empty is all different.
#[must_use]
pub fn dtw_distance(a: &[f32], b: &[f32], width: usize, reach: f64) -> f64 {
    let longer = a.len().max(b.len()) / width;
    if a.is_empty() || b.is_empty() {
        return if longer == 0 { 0.0 } else { 1.0 };
    }
    (dtw(a, b, width) / (longer as f64 * reach)).min(1.0)
}

/// Length of the longest common sub-sequence, gaps allowed, of tokens below `alphabet`.
///
/// Bit-parallel (Hyyrö 2004): one addition per word and token.
///
/// # Panics
/// If a token is not below `alphabet`.
#[must_use]
pub fn lcs_length(a: &[u16], b: &[u16], alphabet: usize) -> usize {
    let matches = Positions::new(a, alphabet);
    matches.lcs(b)
}

/// Where each token stands in a sequence, as bits; kept to compare one sequence with many.
pub(crate) struct Positions {
    words: usize,
    length: usize,
    bits: Vec<u64>,
}

impl Positions {
    pub(crate) fn new(sequence: &[u16], alphabet: usize) -> Self {
        let words = sequence.len().div_ceil(64);
        let mut bits = vec![0_u64; words * alphabet];
        for (at, token) in sequence.iter().enumerate() {
            bits[usize::from(*token) * words + at / 64] |= 1 << (at % 64);
        }
        Self {
            words,
            length: sequence.len(),
            bits,
        }
    }

    pub(crate) fn lcs(&self, other: &[u16]) -> usize {
        if self.words == 0 {
            return 0;
        }
        let mut row = vec![u64::MAX; self.words];
        for token in other {
            let start = usize::from(*token) * self.words;
            let matches = &self.bits[start..start + self.words];
            let mut carry = false;
            for (word, matched) in row.iter_mut().zip(matches) {
                let both = *word & matched;
                let (sum, first) = word.overflowing_add(both);
                let (sum, second) = sum.overflowing_add(u64::from(carry));
                carry = first || second;
                *word = sum | (*word & !matched);
            }
        }
        // A zero is a match. Bits beyond the sequence may be cleared by carries; only its own count.
        let mut zeros = 0;
        for (index, word) in row.iter().enumerate() {
            let used = (self.length - index * 64).min(64);
            let mask = u64::MAX >> (64 - used);
            zeros += (!word & mask).count_ones() as usize;
        }
        zeros
    }

    /// 1 − |LCS| / the longer length; two empty sequences are equal.
    pub(crate) fn distance(&self, other: &[u16]) -> f64 {
        let longer = self.length.max(other.len());
        if longer == 0 {
            return 0.0;
        }
        1.0 - self.lcs(other) as f64 / longer as f64
    }
}

/// 1 − |LCS| / the longer length: 0 for equal, 1 for disjoint sequences.
///
/// # Panics
/// If a token is not below `alphabet`.
#[must_use]
pub fn lcs_distance(a: &[u16], b: &[u16], alphabet: usize) -> f64 {
    Positions::new(a, alphabet).distance(b)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The textbook's table.
    fn lcs_by_table(a: &[u16], b: &[u16]) -> usize {
        let mut above = vec![0; b.len() + 1];
        for x in a {
            let mut row = vec![0];
            for (j, y) in b.iter().enumerate() {
                row.push(if x == y {
                    above[j] + 1
                } else {
                    above[j + 1].max(row[j])
                });
            }
            above = row;
        }
        above[b.len()]
    }

    #[test]
    fn dtw_has_the_paper_s_golden_values() {
        assert_eq!(dtw(&[0.0, 1.0, 2.0], &[0.0, 0.0, 1.0, 2.0], 1), 0.0);
        assert_eq!(dtw(&[0.0; 3], &[1.0; 3], 1), 3.0);
        assert_eq!(dtw(&[0.0, 0.0], &[3.0, 4.0], 2), 5.0);
        assert_eq!(dtw(&[], &[], 1), 0.0);
        assert_eq!(dtw_distance(&[], &[1.0], 1, 6.0), 1.0);
        assert_eq!(dtw_distance(&[-3.0; 4], &[3.0; 4], 1, 6.0), 1.0);
    }

    #[test]
    fn lcs_distances_have_their_golden_values() {
        assert_eq!(lcs_distance(&[0, 1], &[2, 3], 4), 1.0);
        assert_eq!(lcs_distance(&[0, 1, 2, 3], &[3, 2, 1, 0], 4), 0.75);
        assert_eq!(lcs_distance(&[0, 1, 2], &[0, 1, 2], 4), 0.0);
        assert_eq!(lcs_distance(&[], &[], 4), 0.0);
        assert_eq!(lcs_distance(&[], &[1], 4), 1.0);
        assert_eq!(lcs_distance(&[1], &[], 4), 1.0);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn bits_count_what_the_table_counts(
            a in prop::collection::vec(0_u16..4, 0..200),
            b in prop::collection::vec(0_u16..4, 0..200),
        ) {
            prop_assert_eq!(lcs_length(&a, &b, 4), lcs_by_table(&a, &b));
            prop_assert_eq!(lcs_length(&b, &a, 4), lcs_by_table(&a, &b));
        }

        #[test]
        fn dtw_is_symmetric_and_at_most_the_straight_alignment(
            a in prop::collection::vec(-3.0_f32..3.0, 8),
            b in prop::collection::vec(-3.0_f32..3.0, 8),
        ) {
            let straight: f32 = a.chunks(2).zip(b.chunks(2))
                .map(|(x, y)| (x[0] - y[0]).hypot(x[1] - y[1])).sum();
            let warped = dtw(&a, &b, 2);
            prop_assert!(warped <= f64::from(straight) + 1e-4);
            prop_assert!((warped - dtw(&b, &a, 2)).abs() < 1e-4);
            prop_assert_eq!(dtw(&a, &a, 2), 0.0);
        }
    }
}
