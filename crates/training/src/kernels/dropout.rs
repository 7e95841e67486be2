//! Dropout masks that are computed from a seed and a position instead of drawn: cheap, never stored, and the same in
//! the forward and the backward pass.

use super::activation::simd;

/// Dropout of one place in a network at one training step.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dropout {
    seed: u64,
    /// Of 256 random values, those below this one drop the number.
    threshold: u8,
    /// Multiplies what is kept, so that the expectation stays.
    scale: f32,
}

impl Dropout {
    /// `rate` of 0 to 0.9, applied in steps of 1/256. `None` when nothing would be dropped.
    pub(crate) fn new(rate: f64, seed: u64) -> Option<Self> {
        #[expect(clippy::cast_sign_loss, reason = "clamped to 0..=230")]
        let threshold = (rate * 256.0).round().clamp(0.0, 230.0) as u8;
        let scale = 256.0 / (256.0 - f32::from(threshold));
        (threshold > 0).then_some(Self {
            seed: mix(seed),
            threshold,
            scale,
        })
    }

    /// An independent mask for another place of the same step.
    pub(crate) fn at(self, place: u64) -> Self {
        Self {
            seed: mix(self.seed ^ place),
            ..self
        }
    }

    /// Multiplies `values` by the mask; `offset` is the place of the first one in the whole tensor, a multiple of 8.
    pub(crate) fn apply(self, values: &mut [f32], offset: usize) {
        let first = (offset / 8) as u64;
        simd(
            #[inline(always)]
            || {
                for (block, values) in values.chunks_mut(8).enumerate() {
                    let bytes = mix(self.seed.wrapping_add(first + block as u64)).to_le_bytes();
                    for (value, byte) in values.iter_mut().zip(bytes) {
                        let factor = if byte < self.threshold {
                            0.0
                        } else {
                            self.scale
                        };
                        *value *= factor;
                    }
                }
            },
        );
    }
}

/// SplitMix64 (Steele, Lea and Flood, 2014): every bit of the result depends on every bit of the input.
#[inline(always)]
pub(crate) fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drops_the_asked_share_and_keeps_the_mean() {
        let mut values = vec![1.0; 80_000];
        Dropout::new(0.2, 7).unwrap().apply(&mut values, 0);
        let dropped = values.iter().filter(|value| **value == 0.0).count() as f32 / 80_000.0;
        assert!((dropped - 0.2).abs() < 0.01, "{dropped}");
        assert!((values.iter().sum::<f32>() / 80_000.0 - 1.0).abs() < 0.01);
        assert!(Dropout::new(0.0, 7).is_none());
    }

    #[test]
    fn a_part_gets_the_same_mask_as_the_whole() {
        let dropout = Dropout::new(0.5, 7).unwrap();
        let (mut whole, mut part) = (vec![1.0; 64], vec![1.0; 24]);
        dropout.apply(&mut whole, 0);
        dropout.apply(&mut part, 40);
        assert_eq!(part, whole[40..]);
        let mut elsewhere = vec![1.0; 64];
        dropout.at(1).apply(&mut elsewhere, 0);
        assert_ne!(elsewhere, whole);
    }
}
