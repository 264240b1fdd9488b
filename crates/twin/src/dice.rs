//! Cheap repeatable randomness for games: one 64-bit counter per game.

use std::sync::OnceLock;

use karma_cluster::seed;
use rand_distr::{Distribution, StandardNormal};

/// A counter-based stream (`SplitMix64`). Its whole state is one number, so a snapshot of thousands
/// of games stays small.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Dice(pub(crate) u64);

/// Normal numbers are looked up, not computed: a game-window needs dozens.
const NORMALS: usize = 1 << 13;

fn normals() -> &'static [f32; NORMALS] {
    static TABLE: OnceLock<Box<[f32; NORMALS]>> = OnceLock::new();
    TABLE.get_or_init(|| {
        let mut stream = seed::derive(0, "normal table", 0);
        let mut table = Box::new([0.0; NORMALS]);
        // Pairs of opposite sign: the table's mean is exactly 0.
        for pair in table.chunks_exact_mut(2) {
            let z: f64 = StandardNormal.sample(&mut stream);
            pair[0] = z as f32;
            pair[1] = -z as f32;
        }
        let variance = table.iter().map(|z| f64::from(*z).powi(2)).sum::<f64>() / NORMALS as f64;
        for z in table.iter_mut() {
            *z /= variance.sqrt() as f32;
        }
        table
    })
}

impl Dice {
    /// The next 64 random bits.
    #[inline]
    pub(crate) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mix = self.0;
        mix = (mix ^ (mix >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mix = (mix ^ (mix >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mix ^ (mix >> 31)
    }

    /// Uniform in [0, 1).
    #[inline]
    pub(crate) fn uniform(&mut self) -> f32 {
        (self.bits() >> 40) as f32 * (1.0 / 16_777_216.0)
    }

    /// Fills `out` with standard normal numbers, four from each draw of bits.
    #[inline]
    pub(crate) fn normal(&mut self, out: &mut [f32]) {
        let table = normals();
        for four in out.chunks_mut(4) {
            let mut bits = self.bits();
            for z in four {
                *z = table[bits as usize % NORMALS];
                bits >>= 16;
            }
        }
    }

    /// How many of `count` happen with probability `p` each.
    #[inline]
    pub(crate) fn binomial(&mut self, count: f32, p: f32) -> f32 {
        let mut happened = 0.0;
        for _ in 0..count as u32 {
            happened += f32::from(u8::from(self.uniform() < p));
        }
        happened
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dice_are_fair() {
        let mut dice = Dice(7);
        let mut z = [0.0; 52];
        let (mut sum, mut squares, mut uniform) = (0.0, 0.0, 0.0);
        for _ in 0..2000 {
            dice.normal(&mut z);
            sum += z.iter().sum::<f32>();
            squares += z.iter().map(|z| z * z).sum::<f32>();
            uniform += dice.uniform();
        }
        assert!((sum / 104_000.0).abs() < 0.015);
        assert!((squares / 104_000.0 - 1.0).abs() < 0.02);
        assert!((uniform / 2000.0 - 0.5).abs() < 0.03);
        let hits: f32 = (0..1000).map(|_| dice.binomial(5.0, 0.3)).sum();
        assert!((hits / 5000.0 - 0.3).abs() < 0.03);
    }
}
