use crate::FEATURE_COUNT;

/// Bars per model input, sessions joined end to end.
pub const WINDOW: usize = 60;

/// The newest [`WINDOW`] feature vectors of one ticker.
#[derive(Clone, Debug)]
pub struct Window {
    /// `[WINDOW, FEATURE_COUNT]`, the row at `next` is the oldest.
    rows: Vec<f32>,
    next: usize,
    full: bool,
}

impl Default for Window {
    fn default() -> Self {
        Self::new()
    }
}

impl Window {
    /// An empty window.
    pub fn new() -> Self {
        Self {
            rows: vec![0.0; WINDOW * FEATURE_COUNT],
            next: 0,
            full: false,
        }
    }

    /// Adds the vector `[FEATURE_COUNT]` of the next bar; the oldest falls out.
    pub fn push(&mut self, vector: &[f32]) {
        debug_assert_eq!(vector.len(), FEATURE_COUNT);
        let row = self
            .rows
            .iter_mut()
            .skip(self.next * FEATURE_COUNT)
            .take(FEATURE_COUNT);
        row.zip(vector).for_each(|(slot, value)| *slot = *value);
        self.next += 1;
        if self.next == WINDOW {
            self.next = 0;
            self.full = true;
        }
    }

    /// Whether [`WINDOW`] vectors have been pushed.
    pub fn is_full(&self) -> bool {
        self.full
    }

    /// Writes the window into `out` `[WINDOW * FEATURE_COUNT]`, oldest bar first. Rows not pushed yet are 0 and come
    /// first: ask [`Window::is_full`] before.
    pub fn write_into(&self, out: &mut [f32]) {
        let (newer, older) = self.rows.split_at(self.next * FEATURE_COUNT);
        let ordered = older.iter().chain(newer);
        out.iter_mut()
            .zip(ordered)
            .for_each(|(slot, value)| *slot = *value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_written_oldest_first() {
        let mut window = Window::new();
        let mut out = vec![0.0; WINDOW * FEATURE_COUNT];
        for bar in 0..WINDOW + 7 {
            assert_eq!(window.is_full(), bar >= WINDOW);
            window.push(&[bar as f32; FEATURE_COUNT]);
        }
        window.write_into(&mut out);
        for (row, values) in out.chunks_exact(FEATURE_COUNT).enumerate() {
            assert_eq!(values, [(row + 7) as f32; FEATURE_COUNT]);
        }
    }
}
