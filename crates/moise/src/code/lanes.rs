//! Numbers of several games, side by side.
//!
//! A number of `L` games is an array of one lane per game, and what is computed of it is a loop over
//! the lanes without decisions, of which the compiler makes vector instructions. One game is
//! `L = 1`: there is one code, and lanes never meet, so that a game's bits do not depend on `L`.

/// All bits of a byte where a value is true, none where it is not.
pub(crate) fn masks<const L: usize>(values: &[f32; L]) -> [u8; L] {
    values.map(|value| if value != 0.0 { u8::MAX } else { 0 })
}

/// `of` applied to each lane of `a` and `b`.
#[inline(always)]
pub(crate) fn each<const L: usize>(
    a: &[f32; L],
    b: &[f32; L],
    of: impl Fn(f32, f32) -> f32,
) -> [f32; L] {
    let mut out = *a;
    for (out, b) in out.iter_mut().zip(b) {
        *out = of(*out, *b);
    }
    out
}

/// Both of two truths.
pub(crate) fn both<const L: usize>(a: &[f32; L], b: &[f32; L]) -> [f32; L] {
    each(a, b, |a, b| a * b)
}

/// One of two truths at least.
pub(crate) fn either<const L: usize>(a: &[f32; L], b: &[f32; L]) -> [f32; L] {
    each(a, b, f32::max)
}

/// Files of lanes: bits, one number after the other. NaN survives every file format so.
pub(crate) mod bits {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    /// Numbers of 32 bits.
    pub(crate) trait Bits: Copy {
        fn bits(self) -> u32;
        fn of(bits: u32) -> Self;
    }

    impl Bits for f32 {
        fn bits(self) -> u32 {
            self.to_bits()
        }

        fn of(bits: u32) -> Self {
            Self::from_bits(bits)
        }
    }

    impl Bits for u32 {
        fn bits(self) -> u32 {
            self
        }

        fn of(bits: u32) -> Self {
            bits
        }
    }

    pub(crate) fn serialize<T: Bits, S: Serializer, const L: usize>(
        values: &[[T; L]],
        out: S,
    ) -> Result<S::Ok, S::Error> {
        out.collect_seq(values.as_flattened().iter().map(|value| value.bits()))
    }

    pub(crate) fn deserialize<'de, T: Bits, D: Deserializer<'de>, const L: usize>(
        from: D,
    ) -> Result<Vec<[T; L]>, D::Error> {
        let bits = Vec::<u32>::deserialize(from)?;
        let (values, rest) = bits.as_chunks::<L>();
        if !rest.is_empty() {
            let reason = format!("{} numbers are not of {L} games", bits.len());
            return Err(D::Error::custom(reason));
        }
        Ok(values.iter().map(|lanes| lanes.map(T::of)).collect())
    }
}
