/// Standard error of a ratio of two sums over blocks, such as whole days: of what a block sums to, and of what that is
/// divided by. Linearised about the ratio (Cochran, 1977, chapter 6), with the blocks as the trials, so that whatever
/// depends on each other within a block counts once. NaN for fewer than two blocks, or where the divisors sum to 0.
pub fn ratio_standard_error(blocks: &[(f64, f64)]) -> f64 {
    let sum = |part: fn(&(f64, f64)) -> f64| blocks.iter().map(part).sum::<f64>();
    let (numerator, divisor) = (sum(|block| block.0), sum(|block| block.1));
    let ratio = numerator / divisor;
    let squares: f64 = blocks
        .iter()
        .map(|(numerator, divisor)| (numerator - ratio * divisor).powi(2))
        .sum();
    let count = blocks.len() as f64;
    (squares * count / (count - 1.0)).sqrt() / divisor
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_divisors_give_the_standard_error_of_a_mean() {
        // Means 1, 2, 3 and 6 over four cases each: their standard deviation over the root of four.
        let blocks = [1.0, 2.0, 3.0, 6.0].map(|mean| (4.0 * mean, 4.0));
        let expected = (14.0_f64 / 3.0 / 4.0).sqrt();
        assert!((ratio_standard_error(&blocks) - expected).abs() < 1e-12);
    }

    #[test]
    fn too_few_blocks_say_nothing() {
        assert!(ratio_standard_error(&[]).is_nan());
        assert!(ratio_standard_error(&[(1.0, 1.0)]).is_nan());
        assert!(ratio_standard_error(&[(0.0, 0.0), (0.0, 0.0)]).is_nan());
    }
}
