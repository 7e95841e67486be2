use domain::Bar;
use features::FeatureSchema;
use proptest::prelude::*;

use crate::market::{Market, altered, fold};

/// Features are single precision numbers of size one.
const TOLERANCE: f32 = 1e-5;

fn equal_features(left: &[Bar], right: &[Bar]) -> Result<(), TestCaseError> {
    let (left, right) = (fold(left), fold(right));
    prop_assert!(left.iter().flatten().count() > 500);
    for (left, right) in left.iter().zip(&right) {
        prop_assert_eq!(left.is_some(), right.is_some());
        let (Some(left), Some(right)) = (left, right) else {
            continue;
        };
        for (name, (left, right)) in FeatureSchema::current()
            .names
            .iter()
            .zip(left.iter().zip(right))
        {
            prop_assert!(
                (left - right).abs() <= TOLERANCE,
                "{}: {} and {}",
                name,
                left,
                right
            );
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn price_level_does_not_matter(seed in any::<u64>(), power in -6.0..6.0_f64) {
        let bars = Market { seed, sessions: 9, missing: 0.02, silent: 0.02 }.bars();
        let scaled: Vec<Bar> = bars.iter().map(|bar| altered(bar, 10_f64.powf(power), 1)).collect();
        equal_features(&bars, &scaled)?;
    }

    #[test]
    fn volume_level_does_not_matter(seed in any::<u64>(), factor in 2_u64..1_000_000) {
        let bars = Market { seed, sessions: 9, missing: 0.02, silent: 0.02 }.bars();
        let scaled: Vec<Bar> = bars.iter().map(|bar| altered(bar, 1.0, factor)).collect();
        equal_features(&bars, &scaled)?;
    }
}
