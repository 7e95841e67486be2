use labels::{Label, uniqueness_weights};

fn label(index: usize, touch_index: usize) -> Label {
    let start = "2018-03-26T14:00:00Z".parse().unwrap();
    Label {
        index,
        start,
        target: 0.01,
        first_touch: start,
        touch_index,
        ret: 0.0,
        bin: 0,
    }
}

#[test]
fn labels_that_share_nothing_weigh_one() {
    // The second begins at the close of the bar that the first ends with.
    assert_eq!(
        uniqueness_weights(&[label(0, 3), label(3, 5)], 8),
        [1.0, 1.0]
    );
}

#[test]
fn shared_bars_count_for_their_part() {
    // Bars used: 1 to 4 by the first, 3 to 6 by the second; bars 3 and 4 by both.
    assert_eq!(
        uniqueness_weights(&[label(0, 4), label(2, 6)], 8),
        [0.75, 0.75]
    );
    // The same bars three times.
    for weight in uniqueness_weights(&[label(1, 5), label(1, 5), label(1, 5)], 6) {
        assert!((weight - 1.0 / 3.0).abs() < 1e-12);
    }
    assert!(uniqueness_weights(&[], 10).is_empty());
}
