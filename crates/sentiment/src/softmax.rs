/// Probabilities of the classes.
pub(crate) fn softmax(logits: [f32; 3]) -> [f32; 3] {
    let largest = logits.into_iter().fold(f32::NEG_INFINITY, f32::max);
    let powers = logits.map(|logit| (logit - largest).exp());
    let sum: f32 = powers.iter().sum();
    powers.map(|power| power / sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_logits_stay_finite() {
        assert_eq!(softmax([1000.0, 1000.0, -1000.0]), [0.5, 0.5, 0.0]);
    }
}
