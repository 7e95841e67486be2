use std::fs::File;

use calendar::nyse;
use domain::Bar;
use flate2::read::GzDecoder;
use labels::{BarrierSettings, triple_barrier};

/// The file's numbers have twelve digits.
const TOLERANCE: f64 = 1e-11;

fn golden(name: &str) -> Option<csv::Reader<GzDecoder<File>>> {
    let path = test_support::shared(&format!("golden/{name}"))?;
    let file = File::open(path).unwrap();
    Some(csv::Reader::from_reader(GzDecoder::new(file)))
}

#[test]
fn close_path_equals_mlfinpy() {
    let Some(mut bars) = golden("indicators_talib.csv.gz") else {
        return;
    };
    let Some(mut expected) = golden("triple_barrier_mlfinpy.csv.gz") else {
        return;
    };
    // golden/README.md: the first 1,950 bars of AAPL, which the file begins with.
    let bars: Vec<Bar> = bars
        .records()
        .take(1_950)
        .map(|record| {
            let record = record.unwrap();
            assert_eq!(&record[0], "AAPL");
            let number = |column: usize| record[column].parse().unwrap();
            Bar::new(
                record[1].parse().unwrap(),
                number(2),
                number(3),
                number(4),
                number(5),
                number(6),
            )
            .unwrap()
        })
        .collect();
    let labels = triple_barrier(&bars, &BarrierSettings::closes_only(), nyse());

    let mut rows = 0;
    for (record, label) in expected.records().zip(&labels) {
        // ts, target, first_touch, ret, bin, ticker
        let record = record.unwrap();
        let number = |column: usize| record[column].parse::<f64>().unwrap();
        assert_eq!(
            label.start,
            record[0].parse::<chrono::DateTime<chrono::Utc>>().unwrap()
        );
        assert!(
            (label.target / number(1) - 1.0).abs() < TOLERANCE,
            "{label:?} {record:?}"
        );
        assert_eq!(
            label.first_touch,
            record[2].parse::<chrono::DateTime<chrono::Utc>>().unwrap(),
            "{record:?}"
        );
        assert!(
            (label.ret - number(3)).abs() < TOLERANCE,
            "{label:?} {record:?}"
        );
        assert_eq!(f64::from(label.bin), number(4), "{label:?}");
        assert_eq!(bars[label.index].start, label.start);
        assert_eq!(bars[label.touch_index].start, label.first_touch);
        rows += 1;
    }
    assert_eq!((rows, labels.len()), (1_860, 1_860));
}
