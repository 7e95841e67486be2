use std::cmp::Reverse;

/// Events that no bar has used yet. They are handed out in order of time, whatever order they came in.
#[derive(Clone, Debug)]
pub(crate) struct Pending<E> {
    /// Microseconds since 1970 and the event. Once sorted the latest is first, so that the next one is at the end.
    events: Vec<(i64, E)>,
    sorted: bool,
}

impl<E> Pending<E> {
    pub(crate) fn new() -> Self {
        Self {
            events: Vec::new(),
            sorted: true,
        }
    }

    pub(crate) fn push(&mut self, available_at: i64, event: E) {
        // A whole history may be pushed at once: sorted when the next bar asks, not at each event.
        self.sorted = self.events.is_empty();
        self.events.push((available_at, event));
    }

    pub(crate) fn clear(&mut self) {
        self.events.clear();
        self.sorted = true;
    }

    /// The next event that could be known by `now`, with its time.
    #[inline]
    pub(crate) fn due(&mut self, now: i64) -> Option<(i64, E)> {
        if !self.sorted {
            self.events
                .sort_by_key(|(available_at, _)| Reverse(*available_at));
            self.sorted = true;
        }
        self.events.pop_if(|(available_at, _)| *available_at <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hands_out_in_order_of_time_what_is_due() {
        let mut pending = Pending::new();
        for at in [5, 1, 9, 3] {
            pending.push(at, at);
        }
        let due = |pending: &mut Pending<i64>, now| {
            std::iter::from_fn(|| pending.due(now))
                .map(|(at, _)| at)
                .collect::<Vec<_>>()
        };
        assert_eq!(due(&mut pending, 0), []);
        assert_eq!(due(&mut pending, 5), [1, 3, 5]);
        // Late for the bar before, in time for the next.
        pending.push(2, 2);
        assert_eq!(due(&mut pending, 9), [2, 9]);
        pending.push(10, 10);
        pending.clear();
        assert_eq!(due(&mut pending, i64::MAX), []);
    }
}
