use storage::DriftState;

/// The state after a look. `measured` is what the looks found, the newest first.
///
/// It becomes worse when the last `worsen_after` looks all were worse, and no worse than the least of them; better when
/// the last `improve_after` all were better, and no better than the worst of them. A single look changes nothing.
pub(crate) fn next_state(
    before: DriftState,
    measured: &[DriftState],
    worsen_after: usize,
    improve_after: usize,
) -> DriftState {
    let last = |count: usize| measured.get(..count).unwrap_or_default().iter().copied();
    let worse = last(worsen_after).min().filter(|state| *state > before);
    let better = last(improve_after).max().filter(|state| *state < before);
    worse.or(better).unwrap_or(before)
}

#[cfg(test)]
mod tests {
    use DriftState::{Critical, Degraded, Healthy};

    use super::*;

    /// States after each of the looks, from a healthy beginning.
    fn states(looks: &[DriftState]) -> Vec<DriftState> {
        let mut state = Healthy;
        let mut newest_first = Vec::new();
        looks
            .iter()
            .map(|look| {
                newest_first.insert(0, *look);
                state = next_state(state, &newest_first, 2, 3);
                state
            })
            .collect()
    }

    #[test]
    fn one_look_changes_nothing() {
        assert_eq!(
            states(&[Healthy, Critical, Healthy, Critical]),
            [Healthy; 4]
        );
    }

    #[test]
    fn becomes_worse_by_what_persists() {
        assert_eq!(
            states(&[Critical, Degraded, Critical, Critical]),
            [Healthy, Degraded, Degraded, Critical]
        );
    }

    #[test]
    fn becomes_better_more_slowly() {
        let looks = [
            Critical, Critical, Healthy, Degraded, Healthy, Healthy, Healthy,
        ];
        assert_eq!(
            states(&looks),
            [
                Healthy, Critical, Critical, Critical, Degraded, Degraded, Healthy
            ]
        );
    }
}
