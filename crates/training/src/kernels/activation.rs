//! Functions of single numbers and rows, written so that the compiler turns their loops into SIMD.
//!
//! Call them inside [`simd`], which compiles its closure for AVX2 too.

/// Runs the closure, whose inlined loops may use AVX2 where the processor has it. Without fused operations, so that the
/// results are the same everywhere.
#[inline]
pub(crate) fn simd<R>(body: impl FnOnce() -> R) -> R {
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx2")]
        fn wide<R>(body: impl FnOnce() -> R) -> R {
            body()
        }
        if is_x86_feature_detected!("avx2") {
            #[expect(
                unsafe_code,
                reason = "makes the element-wise part of training 1.3 times as fast"
            )]
            // SAFETY: the processor has AVX2, as was just asked.
            return unsafe { wide(body) };
        }
    }
    body()
}

/// `e^x`, relative error below 3e-7, clamped to the range of normal `f32` (Cephes `expf`: reduction by multiples of
/// ln 2, polynomial of degree 7, exponent written into the bits).
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    // Adding 1.5 * 2^23 leaves the nearest integer in the low bits of the mantissa.
    const ROUND: f32 = 12_582_912.0;
    let x = if x < -87.0 { -87.0 } else { x };
    let x = if x > 88.0 { 88.0 } else { x };
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let power = shifted.to_bits().wrapping_sub(ROUND.to_bits());
    let whole = shifted - ROUND;
    let r = x - whole * 0.693_359_4 + whole * 2.121_944_4e-4;
    let mut series = 1.987_569_1e-4;
    series = series * r + 1.398_199_9e-3;
    series = series * r + 8.333_452e-3;
    series = series * r + 4.166_579_6e-2;
    series = series * r + 0.166_666_65;
    series = series * r + 0.5;
    let mantissa = series * r * r + r + 1.0;
    mantissa * f32::from_bits(power.wrapping_add(127) << 23)
}

/// `1 / (1 + e^-x)`.
#[inline(always)]
pub(crate) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// Hyperbolic tangent, absolute error below 3e-7.
#[inline(always)]
pub(crate) fn tanh(x: f32) -> f32 {
    2.0 * sigmoid(2.0 * x) - 1.0
}

const LANES: usize = 16;

/// Sum of the numbers.
#[inline(always)]
pub(crate) fn row_sum(row: &[f32]) -> f32 {
    let mut lanes = [0.0; LANES];
    let chunks = row.chunks_exact(LANES);
    let rest: f32 = chunks.remainder().iter().sum();
    for chunk in chunks {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane += value;
        }
    }
    lanes.iter().sum::<f32>() + rest
}

/// Sum of the products of two rows of equal length.
#[inline(always)]
pub(crate) fn dot(left: &[f32], right: &[f32]) -> f32 {
    let mut lanes = [0.0; LANES];
    let (lefts, rights) = (left.chunks_exact(LANES), right.chunks_exact(LANES));
    let rest: f32 = lefts
        .remainder()
        .iter()
        .zip(rights.remainder())
        .map(|(l, r)| l * r)
        .sum();
    for (left, right) in lefts.zip(rights) {
        for ((lane, l), r) in lanes.iter_mut().zip(left).zip(right) {
            *lane += l * r;
        }
    }
    lanes.iter().sum::<f32>() + rest
}

/// Turns a row of scores into probabilities.
#[inline(always)]
pub(crate) fn softmax(row: &mut [f32]) {
    let mut largest = f32::NEG_INFINITY;
    for &score in row.iter() {
        largest = if score > largest { score } else { largest };
    }
    for score in row.iter_mut() {
        *score = exp(*score - largest);
    }
    let scale = 1.0 / row_sum(row);
    for probability in row.iter_mut() {
        *probability *= scale;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn approximations_are_as_good_as_f32() {
        for step in -8_000..8_000 {
            let x = step as f32 * 0.01;
            let truth = f64::from(x).exp();
            assert!((f64::from(exp(x)) - truth).abs() < 3e-7 * truth, "exp({x})");
            assert!(
                (f64::from(tanh(x)) - f64::from(x).tanh()).abs() < 3e-7,
                "tanh({x})"
            );
        }
        assert_eq!(exp(0.0), 1.0);
        assert!(exp(1_000.0).is_finite() && exp(-1_000.0) >= 0.0);
    }

    #[test]
    fn rows_of_any_length_add_up() {
        for length in [1, 15, 16, 17, 60] {
            let row: Vec<f32> = (0..length).map(|value| value as f32).collect();
            assert_eq!(row_sum(&row), (length * (length - 1) / 2) as f32);
            assert_eq!(
                dot(&row, &row),
                row.iter().map(|value| value * value).sum::<f32>()
            );
            let mut probabilities = row;
            softmax(&mut probabilities);
            assert!((row_sum(&probabilities) - 1.0).abs() < 1e-6);
        }
    }
}
