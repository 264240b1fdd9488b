//! The intrinsics of the two x86-64 back ends.

#![expect(
    unsafe_code,
    reason = "vector intrinsics; SAFETY of every block: the types are private to `kernel`, whose \
              dispatch names them only inside functions that enable the features they need, after \
              the processor was asked for them; loads and stores go through references to 64-byte \
              aligned lines"
)]

use core::arch::x86_64::*;

use super::{LANES, Line, Simd, Sums};

/// Two 256-bit registers to a line; needs AVX2 and FMA.
#[derive(Clone, Copy)]
pub(in crate::kernel) struct Avx2;

macro_rules! pairwise {
    ($($name:ident => $intrinsic:ident),* $(,)?) => {
        $(#[inline(always)]
        fn $name(a: Self::V, b: Self::V) -> Self::V {
            // SAFETY: see the module.
            unsafe { [$intrinsic(a[0], b[0]), $intrinsic(a[1], b[1])] }
        })*
    };
}

/// At most eight numbers, and zeros.
#[inline(always)]
fn first(values: &[f32]) -> __m256 {
    assert!(values.len() <= 8);
    // SAFETY: see the module; masked lanes are not read.
    unsafe {
        let lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
        let mask = _mm256_cmpgt_epi32(_mm256_set1_epi32(values.len() as i32), lanes);
        _mm256_maskload_ps(values.as_ptr(), mask)
    }
}

#[inline(always)]
fn exp2(n: __m256) -> __m256 {
    // SAFETY: see the module.
    unsafe {
        let biased = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
        _mm256_castsi256_ps(_mm256_slli_epi32::<23>(biased))
    }
}

#[inline(always)]
fn split(a: __m256) -> (__m256, __m256) {
    // SAFETY: see the module.
    unsafe {
        let bits = _mm256_castps_si256(a);
        let mantissa = _mm256_or_si256(
            _mm256_and_si256(bits, _mm256_set1_epi32(0x007f_ffff)),
            _mm256_set1_epi32(0x3f80_0000),
        );
        let biased = _mm256_srli_epi32::<23>(bits);
        let exponent = _mm256_cvtepi32_ps(_mm256_sub_epi32(biased, _mm256_set1_epi32(127)));
        (_mm256_castsi256_ps(mantissa), exponent)
    }
}

#[inline(always)]
fn positive(a: __m256) -> __m256 {
    // SAFETY: see the module.
    unsafe {
        let above = _mm256_cmp_ps::<_CMP_GT_OQ>(a, _mm256_setzero_ps());
        _mm256_and_ps(above, _mm256_set1_ps(1.0))
    }
}

/// Rows and columns of an eighth of eight lines change places: pairs, fours, then halves.
#[inline(always)]
fn transpose_eight(rows: [__m256; 8]) -> [__m256; 8] {
    let [a, b, c, d, e, f, g, h] = rows;
    // SAFETY: see the module.
    unsafe {
        let pairs = |a, b| (_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b));
        let fours = |(low, high), (low_of, high_of)| {
            [
                _mm256_shuffle_ps::<0x44>(low, low_of),
                _mm256_shuffle_ps::<0xee>(low, low_of),
                _mm256_shuffle_ps::<0x44>(high, high_of),
                _mm256_shuffle_ps::<0xee>(high, high_of),
            ]
        };
        let upper = fours(pairs(a, b), pairs(c, d));
        let lower = fours(pairs(e, f), pairs(g, h));
        let mut columns = [a; 8];
        for i in 0..4 {
            columns[i] = _mm256_permute2f128_ps::<0x20>(upper[i], lower[i]);
            columns[i + 4] = _mm256_permute2f128_ps::<0x31>(upper[i], lower[i]);
        }
        columns
    }
}

impl Sums for Avx2 {
    type V = [__m256; 2];

    pairwise! { add => _mm256_add_ps }

    #[inline(always)]
    fn splat(value: f32) -> Self::V {
        // SAFETY: see the module.
        unsafe { [_mm256_set1_ps(value); 2] }
    }
    #[inline(always)]
    fn load(line: &Line) -> Self::V {
        let at = line.0.as_ptr();
        // SAFETY: see the module; a line holds sixteen aligned numbers.
        unsafe { [_mm256_load_ps(at), _mm256_load_ps(at.add(8))] }
    }
    #[inline(always)]
    fn store(value: Self::V, line: &mut Line) {
        let at = line.0.as_mut_ptr();
        // SAFETY: see the module; a line holds sixteen aligned numbers.
        unsafe {
            _mm256_store_ps(at, value[0]);
            _mm256_store_ps(at.add(8), value[1]);
        }
    }
    #[inline(always)]
    fn fma(a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        // SAFETY: see the module.
        unsafe {
            [
                _mm256_fmadd_ps(a[0], b[0], c[0]),
                _mm256_fmadd_ps(a[1], b[1], c[1]),
            ]
        }
    }
}

impl Simd for Avx2 {
    const ROWS: usize = 6;
    const LINES: usize = 1;
    const NARROW: usize = 8;
    type Narrow = Half;

    pairwise! {
        sub => _mm256_sub_ps, mul => _mm256_mul_ps, div => _mm256_div_ps,
        min => _mm256_min_ps, max => _mm256_max_ps,
    }

    #[inline(always)]
    fn load_first(values: &[f32]) -> Self::V {
        let (low, high) = values.split_at(values.len().min(8));
        [first(low), first(high)]
    }
    #[inline(always)]
    fn sqrt(a: Self::V) -> Self::V {
        // SAFETY: see the module.
        unsafe { [_mm256_sqrt_ps(a[0]), _mm256_sqrt_ps(a[1])] }
    }
    #[inline(always)]
    fn round(a: Self::V) -> Self::V {
        const NEAREST: i32 = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
        // SAFETY: see the module.
        unsafe {
            [
                _mm256_round_ps::<NEAREST>(a[0]),
                _mm256_round_ps::<NEAREST>(a[1]),
            ]
        }
    }
    #[inline(always)]
    fn exp2(n: Self::V) -> Self::V {
        [exp2(n[0]), exp2(n[1])]
    }
    #[inline(always)]
    fn split(a: Self::V) -> (Self::V, Self::V) {
        let (low, high) = (split(a[0]), split(a[1]));
        ([low.0, high.0], [low.1, high.1])
    }
    #[inline(always)]
    fn positive(a: Self::V) -> Self::V {
        [positive(a[0]), positive(a[1])]
    }
    #[inline(always)]
    fn transpose(from: &[Line; LANES], into: &mut [Line; LANES]) {
        for top in [0, 8] {
            for left in [0, 8] {
                let mut rows = [Self::splat(0.0)[0]; 8];
                for i in 0..8 {
                    rows[i] = Self::load(&from[top + i])[left / 8];
                }
                let columns = transpose_eight(rows);
                for i in 0..8 {
                    let at = into[left + i].0[top..top + 8].as_mut_ptr();
                    // SAFETY: see the module; half a line holds eight aligned numbers.
                    unsafe { _mm256_store_ps(at, columns[i]) };
                }
            }
        }
    }
}

/// The first register of a line of [`Avx2`].
#[derive(Clone, Copy)]
pub(in crate::kernel) struct Half;

impl Sums for Half {
    type V = __m256;

    #[inline(always)]
    fn splat(value: f32) -> Self::V {
        Avx2::splat(value)[0]
    }
    #[inline(always)]
    fn load(line: &Line) -> Self::V {
        // SAFETY: see the module; a line holds sixteen aligned numbers.
        unsafe { _mm256_load_ps(line.0.as_ptr()) }
    }
    #[inline(always)]
    fn store(value: Self::V, line: &mut Line) {
        Avx2::store([value, Self::splat(0.0)], line);
    }
    #[inline(always)]
    fn add(a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: see the module.
        unsafe { _mm256_add_ps(a, b) }
    }
    #[inline(always)]
    fn fma(a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        // SAFETY: see the module.
        unsafe { _mm256_fmadd_ps(a, b, c) }
    }
}

/// One 512-bit register to a line; needs AVX-512F.
#[derive(Clone, Copy)]
pub(in crate::kernel) struct Avx512;

macro_rules! single {
    ($($name:ident => $intrinsic:ident),* $(,)?) => {
        $(#[inline(always)]
        fn $name(a: Self::V, b: Self::V) -> Self::V {
            // SAFETY: see the module.
            unsafe { $intrinsic(a, b) }
        })*
    };
}

impl Sums for Avx512 {
    type V = __m512;

    single! { add => _mm512_add_ps }

    #[inline(always)]
    fn splat(value: f32) -> Self::V {
        // SAFETY: see the module.
        unsafe { _mm512_set1_ps(value) }
    }
    #[inline(always)]
    fn load(line: &Line) -> Self::V {
        // SAFETY: see the module; a line holds sixteen aligned numbers.
        unsafe { _mm512_load_ps(line.0.as_ptr()) }
    }
    #[inline(always)]
    fn store(value: Self::V, line: &mut Line) {
        // SAFETY: see the module; a line holds sixteen aligned numbers.
        unsafe { _mm512_store_ps(line.0.as_mut_ptr(), value) }
    }
    #[inline(always)]
    fn fma(a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        // SAFETY: see the module.
        unsafe { _mm512_fmadd_ps(a, b, c) }
    }
}

impl Simd for Avx512 {
    const ROWS: usize = 12;
    const LINES: usize = 4;
    const NARROW: usize = 0;
    type Narrow = Self;

    single! {
        sub => _mm512_sub_ps, mul => _mm512_mul_ps, div => _mm512_div_ps,
        min => _mm512_min_ps, max => _mm512_max_ps,
    }

    #[inline(always)]
    fn load_first(values: &[f32]) -> Self::V {
        assert!(values.len() <= 16);
        let lanes = ((1_u32 << values.len()) - 1) as u16;
        // SAFETY: see the module; masked lanes are not read.
        unsafe { _mm512_maskz_loadu_ps(lanes, values.as_ptr()) }
    }
    #[inline(always)]
    fn sqrt(a: Self::V) -> Self::V {
        // SAFETY: see the module.
        unsafe { _mm512_sqrt_ps(a) }
    }
    #[inline(always)]
    fn round(a: Self::V) -> Self::V {
        // SAFETY: see the module.
        unsafe { _mm512_roundscale_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(a) }
    }
    #[inline(always)]
    fn exp2(n: Self::V) -> Self::V {
        // SAFETY: see the module.
        unsafe {
            let biased = _mm512_add_epi32(_mm512_cvtps_epi32(n), _mm512_set1_epi32(127));
            _mm512_castsi512_ps(_mm512_slli_epi32::<23>(biased))
        }
    }
    #[inline(always)]
    fn split(a: Self::V) -> (Self::V, Self::V) {
        // SAFETY: see the module.
        unsafe {
            let bits = _mm512_castps_si512(a);
            let mantissa = _mm512_or_si512(
                _mm512_and_si512(bits, _mm512_set1_epi32(0x007f_ffff)),
                _mm512_set1_epi32(0x3f80_0000),
            );
            let biased = _mm512_srli_epi32::<23>(bits);
            let exponent = _mm512_cvtepi32_ps(_mm512_sub_epi32(biased, _mm512_set1_epi32(127)));
            (_mm512_castsi512_ps(mantissa), exponent)
        }
    }
    #[inline(always)]
    fn positive(a: Self::V) -> Self::V {
        // SAFETY: see the module.
        unsafe {
            let above = _mm512_cmp_ps_mask::<_CMP_GT_OQ>(a, _mm512_setzero_ps());
            _mm512_maskz_mov_ps(above, _mm512_set1_ps(1.0))
        }
    }
    #[inline(always)]
    fn transpose(from: &[Line; LANES], into: &mut [Line; LANES]) {
        // Whoever has AVX-512F has AVX2.
        Avx2::transpose(from, into);
    }
}
