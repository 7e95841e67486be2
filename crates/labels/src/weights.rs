use crate::Label;

/// Average uniqueness of each label, above 0 and at most 1 (Lopez de Prado 2018, section 4.4): a label that shares each
/// of its bars with `n - 1` others weighs `1 / n`.
///
/// A label rests on the bars after its own up to the touch, `index + 1..=touch_index`: one that begins where another
/// ends shares no return with it. `bar_count` is the number of bars that the labels were made of.
pub fn uniqueness_weights(labels: &[Label], bar_count: usize) -> Vec<f64> {
    // changes[bar]: labels that begin to use the bar, less those that no longer do.
    let mut changes = vec![0_i64; bar_count + 1];
    let mut change = |bar: usize, by: i64| {
        if let Some(slot) = changes.get_mut(bar) {
            *slot += by;
        }
    };
    for label in labels {
        change(label.index + 1, 1);
        change(label.touch_index + 1, -1);
    }
    // shares[bar]: sum of 1 / labels over all bars before it, so that a label's mean is one subtraction.
    let mut shares = Vec::with_capacity(bar_count + 1);
    let (mut concurrent, mut sum) = (0, 0.0);
    for change in changes {
        shares.push(sum);
        concurrent += change;
        if concurrent > 0 {
            sum += 1.0 / concurrent as f64;
        }
    }
    let until = |bar: usize| shares.get(bar).or(shares.last()).copied().unwrap_or(0.0);
    labels
        .iter()
        .map(|label| {
            let bars = label.touch_index.saturating_sub(label.index).max(1);
            (until(label.touch_index + 1) - until(label.index + 1)) / bars as f64
        })
        .collect()
}
