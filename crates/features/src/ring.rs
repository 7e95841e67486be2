/// The newest `N` numbers. Statistics are computed over all of them anew: exact, without the drift of running sums,
/// and independent of what was before.
#[derive(Clone, Debug)]
pub(crate) struct Ring<const N: usize> {
    values: [f64; N],
    next: usize,
    full: bool,
}

impl<const N: usize> Ring<N> {
    pub(crate) fn new() -> Self {
        Self {
            values: [0.0; N],
            next: 0,
            full: false,
        }
    }

    #[inline]
    pub(crate) fn push(&mut self, value: f64) {
        self.values[self.next] = value;
        self.next += 1;
        if self.next == N {
            self.next = 0;
            self.full = true;
        }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.full
    }

    /// The value pushed `ago` pushes before the newest; `ago < N`. Zero where nothing was pushed yet.
    #[inline]
    pub(crate) fn back(&self, ago: usize) -> f64 {
        // next is at most N - 1, so the sum stays within two rounds.
        let index = self.next + N - 1 - ago;
        self.values[if index >= N { index - N } else { index }]
    }

    /// Sum of `term` over all values, in four lanes: one chain of additions would wait for itself.
    #[inline]
    pub(crate) fn sum(&self, term: impl Fn(f64) -> f64) -> f64 {
        let mut lanes = [0.0; 4];
        let mut quads = self.values.chunks_exact(4);
        for quad in &mut quads {
            for (lane, value) in lanes.iter_mut().zip(quad) {
                *lane += term(*value);
            }
        }
        let rest: f64 = quads.remainder().iter().map(|value| term(*value)).sum();
        (lanes[0] + lanes[1]) + (lanes[2] + lanes[3]) + rest
    }

    #[inline]
    pub(crate) fn mean(&self) -> f64 {
        self.sum(|value| value) / N as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_newest() {
        let mut ring = Ring::<6>::new();
        for value in 1..=8 {
            ring.push(f64::from(value));
        }
        assert!(ring.is_full());
        assert_eq!(
            (0..6).map(|ago| ring.back(ago)).collect::<Vec<_>>(),
            [8.0, 7.0, 6.0, 5.0, 4.0, 3.0]
        );
        assert_eq!(ring.sum(|value| value * value), 199.0);
        assert_eq!(ring.mean(), 5.5);
    }
}
