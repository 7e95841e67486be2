use domain::Bar;
use features::{
    FeatureSchema, FeatureVector,
    indicators::{INDICATOR_NAMES, IndicatorSet},
};
use proptest::prelude::*;

use crate::market::{Market, fold};

fn feature(vector: &FeatureVector, name: &str) -> f32 {
    vector[FeatureSchema::current()
        .names
        .iter()
        .position(|other| *other == name)
        .unwrap()]
}

fn with_prices(bars: &[Bar], price: impl Fn(usize) -> f64) -> Vec<Bar> {
    bars.iter()
        .enumerate()
        .map(|(index, bar)| {
            let price = price(index);
            Bar::new(bar.start, price, price, price, price, bar.volume).unwrap()
        })
        .collect()
}

#[test]
fn flat_prices_and_no_volume_say_nothing_happens() {
    let bars = Market {
        seed: 4,
        sessions: 8,
        missing: 0.0,
        silent: 1.0,
    }
    .bars();
    let flat = with_prices(&bars, |_| 123.456);
    for vector in fold(&flat).iter().flatten() {
        for name in [
            "return_1",
            "return_30",
            "rsi_14",
            "relative_volume",
            "relative_volume_15",
            "overnight_gap",
        ] {
            assert_eq!(feature(vector, name), 0.0, "{name}");
        }
        for name in ["macd", "macd_hist", "ema_26_distance", "bollinger_position"] {
            assert!(feature(vector, name).abs() < 1e-6, "{name}");
        }
        assert!(vector.iter().all(|value| value.is_finite()));
    }
}

#[test]
fn a_jump_stays_within_the_bounds() {
    let bars = Market {
        seed: 4,
        sessions: 8,
        missing: 0.0,
        silent: 0.0,
    }
    .bars();
    // As far as a price may step without being another history.
    let jump = with_prices(&bars, |index| if index % 700 < 350 { 1.0 } else { 1.5 });
    let features = fold(&jump);
    assert!(features.iter().flatten().count() > 1_000);
    for vector in features.iter().flatten() {
        assert!(vector.iter().all(|value| value.abs() <= 16.0), "{vector:?}");
    }
}

#[test]
fn unusual_volume_shows_against_its_own_minute() {
    let mut bars = Market {
        seed: 9,
        sessions: 7,
        missing: 0.0,
        silent: 0.0,
    }
    .bars();
    let last = bars.len() - 200;
    for bar in &mut bars {
        bar.volume = 1_000.0;
    }
    bars[last].volume = 20_000.0;
    bars[last + 50].volume = 0.0;
    let features = fold(&bars);
    assert!((feature(&features[last].unwrap(), "relative_volume") - 20_f32.ln()).abs() < 1e-6);
    assert_eq!(
        feature(&features[last + 1].unwrap(), "relative_volume"),
        0.0
    );
    assert!(feature(&features[last + 1].unwrap(), "relative_volume_15") > 0.5);
    assert_eq!(
        feature(&features[last + 50].unwrap(), "relative_volume"),
        -4.0
    );
}

#[test]
fn the_clock_is_new_yorks_at_the_bars_close() {
    let bars = Market {
        seed: 9,
        sessions: 9,
        missing: 0.0,
        silent: 0.0,
    }
    .bars();
    let features = fold(&bars);
    let at = |start: &str| {
        let start: chrono::DateTime<chrono::Utc> = start.parse().unwrap();
        features[bars.iter().position(|bar| bar.start == start).unwrap()].unwrap()
    };
    // Monday 2018-11-19, 9:30 in New York.
    let monday = at("2018-11-19T14:30:00Z");
    assert_eq!(feature(&monday, "minutes_since_open"), (1.0 / 390.0) as f32);
    assert_eq!(feature(&monday, "minutes_to_close"), (389.0 / 390.0) as f32);
    assert_eq!(feature(&monday, "hour_of_day"), 9.0);
    assert_eq!(feature(&monday, "day_of_week_cos"), 1.0);
    assert!((feature(&monday, "minute_of_hour_cos") + 1.0).abs() < 1e-6);
    // The last minute of the half day after Thanksgiving.
    let friday = at("2018-11-23T17:59:00Z");
    assert_eq!(feature(&friday, "minutes_to_close"), 0.0);
    assert_eq!(feature(&friday, "hour_of_day"), 12.0);
}

#[test]
fn the_gap_is_the_nights_and_stays_through_the_session() {
    let bars = Market {
        seed: 21,
        sessions: 7,
        missing: 0.0,
        silent: 0.0,
    }
    .bars();
    let features = fold(&bars);
    let session = 6 * 390..7 * 390;
    let returns = bars[5 * 390 + 330..6 * 390]
        .windows(2)
        .map(|pair| (pair[1].close.get() / pair[0].close.get()).ln());
    let first = (bars[5 * 390 + 330].close.get() / bars[5 * 390 + 329].close.get()).ln();
    let volatility =
        ((returns.map(|value| value * value).sum::<f64>() + first * first) / 60.0 * 390.0).sqrt();
    let gap = (bars[session.start].open.get() / bars[session.start - 1].close.get()).ln();
    for vector in &features[session] {
        assert!(
            (feature(&vector.unwrap(), "overnight_gap")
                - (gap / volatility).clamp(-4.0, 4.0) as f32)
                .abs()
                < 1e-5
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn any_prices_give_finite_features(seed in any::<u64>(), largest in 0.0..0.5_f64) {
        // From single dollars to beyond any market, jumping at each bar.
        let bars = Market { seed, sessions: 7, missing: 0.1, silent: 0.2 }.bars();
        let mut random = crate::market::Random::new(seed);
        let mut price = 100.0;
        let jumps: Vec<f64> = bars
            .iter()
            .map(|_| {
                price *= 1.0 + largest * (2.0 * random.unit() - 1.0);
                price
            })
            .collect();
        let features = fold(&with_prices(&bars, |index| jumps[index]));
        prop_assert!(features.iter().flatten().count() > 300);
        for vector in features.iter().flatten() {
            prop_assert!(vector.iter().all(|value| value.is_finite() && value.abs() <= 16.0));
        }
    }

    #[test]
    fn indicators_stay_in_their_range(seed in any::<u64>(), spread in 0.0..40.0_f64, silent in 0.0..1.0_f64) {
        let bars = Market { seed, sessions: 1, missing: 0.0, silent }.bars();
        let mut random = crate::market::Random::new(seed);
        // Rising, falling and standing still, at any level.
        let level = (spread * random.normal()).exp();
        let bars = with_prices(&bars, |index| level * (1.0 + (index / 30) as f64 * (index % 7) as f64));
        let mut set = IndicatorSet::default();
        for bar in &bars {
            for (name, value) in INDICATOR_NAMES.into_iter().zip(set.next(bar)) {
                let Some(value) = value else { continue };
                let range = match name {
                    "rsi_14" | "adx_14" | "mfi_14" | "stoch_k" | "stoch_d" => 0.0..=100.0,
                    "willr_14" => -100.0..=0.0,
                    "atr_14" => 0.0..=f64::MAX,
                    _ => f64::MIN..=f64::MAX,
                };
                prop_assert!(range.contains(&value), "{name} is {value}");
            }
        }
    }
}
