use std::{collections::BTreeMap, env, fs::File, path::PathBuf};

use domain::Bar;
use features::indicators::{INDICATOR_NAMES, IndicatorSet};
use flate2::read::GzDecoder;

const TOLERANCE: f64 = 1e-8;

#[test]
fn indicators_equal_ta_lib_from_their_first_value_on() {
    let shared = env::var_os("TANDEM_SHARED_DIR").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared"),
        PathBuf::from,
    );
    let path = shared.join("golden/indicators_talib.csv.gz");
    let Ok(file) = File::open(&path) else {
        eprintln!("skipped: {} is not there", path.display());
        return;
    };
    let mut reader = csv::Reader::from_reader(GzDecoder::new(file));
    let headers = reader.headers().unwrap().clone();
    let columns =
        INDICATOR_NAMES.map(|name| headers.iter().position(|header| header == name).unwrap());

    let mut tickers = BTreeMap::<String, IndicatorSet>::new();
    let mut compared = BTreeMap::<&str, usize>::new();
    for record in reader.records() {
        let record = record.unwrap();
        let number = |column: usize| record[column].parse::<f64>().unwrap();
        let bar = Bar::new(
            record[1].parse().unwrap(),
            number(2),
            number(3),
            number(4),
            number(5),
            number(6),
        )
        .unwrap();
        let set = tickers.entry(record[0].to_owned()).or_default();
        let actual = set.next(&bar);
        for ((name, column), actual) in INDICATOR_NAMES.into_iter().zip(columns).zip(actual) {
            let place = format!("{name} of {} at {}", &record[0], &record[1]);
            assert_eq!(
                actual.is_none(),
                record[column].is_empty(),
                "warm-up of {place}"
            );
            let Some(actual) = actual else { continue };
            let expected = number(column);
            let error = (actual - expected).abs();
            assert!(
                error <= TOLERANCE * expected.abs() + least_scale(name),
                "{place}: {actual}, expected {expected}"
            );
            *compared.entry(name).or_default() += 1;
        }
    }
    assert_eq!(tickers.len(), 3);
    for name in INDICATOR_NAMES {
        assert!(
            compared[name] > 10_000,
            "{name} compared {} times",
            compared[name]
        );
    }
}

/// Where an indicator crosses zero no relative error can be met: both sides are differences of rounded numbers, and
/// the file has twelve digits. Absolute: 1e-12 of the oscillators' range of 100, of prices (about 100 to 350), percents.
fn least_scale(name: &str) -> f64 {
    match name {
        "cci_20" => 1e-8, // a difference of prices over a much smaller one
        "mfi_14" | "rsi_14" | "adx_14" | "stoch_k" | "stoch_d" | "willr_14" => 1e-10,
        "macd" | "macd_signal" | "macd_hist" | "roc_5" => 1e-12,
        _ => 0.0,
    }
}
