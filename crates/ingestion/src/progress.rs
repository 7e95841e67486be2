use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressStyle};

/// How far a long run of requests is: a bar on a terminal, log lines elsewhere.
pub(crate) struct Progress {
    bar: ProgressBar,
    total: usize,
    done: usize,
}

impl Progress {
    pub(crate) fn start(total: usize) -> Self {
        let bar = if total > 0 && std::io::stderr().is_terminal() {
            ProgressBar::new(total as u64)
        } else {
            ProgressBar::hidden()
        };
        let template = "fetching history {wide_bar} {pos}/{len} requests, {msg}, {eta} left";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        Self {
            bar,
            total,
            done: 0,
        }
    }

    pub(crate) fn advance(&mut self, requests: usize, bars_so_far: u64) {
        self.done += requests;
        self.bar.set_message(format!("{bars_so_far} bars"));
        self.bar.set_position(self.done as u64);
        if self.bar.is_hidden() && requests > 0 {
            tracing::info!(
                done = self.done,
                total = self.total,
                bars = bars_so_far,
                "fetching history: {} of {} requests, {bars_so_far} bars",
                self.done,
                self.total
            );
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
