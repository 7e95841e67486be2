//! What an operator wants to see, in Prometheus' text format.

use std::{
    fmt::Write as _,
    sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// All counters, gauges and histograms of the process.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    /// Newly closed bars, or other values of them, seen.
    pub(crate) bars: Counter,
    /// Prices inside a minute seen.
    pub(crate) forming_prices: Counter,
    /// Analyses published.
    pub(crate) analyses: Counter,
    /// Analyses of bars that the live path missed.
    pub(crate) analyses_late: Counter,
    /// Batches that the models failed on.
    pub(crate) inference_failures: Counter,
    /// Analyses stored.
    pub(crate) analyses_stored: Counter,
    /// Analyses that could not be stored and were given up.
    pub(crate) analyses_lost: Counter,
    /// Analyses waiting to be stored.
    pub(crate) analyses_waiting: Gauge,
    /// Champions taken into use.
    pub(crate) model_loads: Counter,
    /// Champions refused.
    pub(crate) model_load_failures: Counter,
    /// Times the database failed the live path.
    pub(crate) database_failures: Counter,
    /// 1 while the live path reads from the database, 0 while it fails.
    pub(crate) database_up: Gauge,
    /// Close of the newest bar, seconds since 1970.
    pub(crate) newest_bar_close: Gauge,
    /// Connected WebSocket clients.
    pub(crate) clients: Gauge,
    /// WebSocket messages sent.
    pub(crate) messages: Counter,
    /// WebSocket clients given up because they accepted or answered nothing.
    pub(crate) clients_timed_out: Counter,
    /// HTTP answers below 400.
    pub(crate) responses_ok: Counter,
    /// HTTP answers from 400 to 499.
    pub(crate) responses_refused: Counter,
    /// HTTP answers from 500.
    pub(crate) responses_failed: Counter,
    /// From the database's notice to the new bars in memory.
    pub(crate) wake: Histogram,
    /// Features of a batch.
    pub(crate) features: Histogram,
    /// Both models for a batch.
    pub(crate) inference: Histogram,
    /// From the database's notice to the publication.
    pub(crate) publication: Histogram,
    /// HTTP requests.
    pub(crate) requests: Histogram,
}

/// A number that only grows.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, count: usize) {
        self.0.fetch_add(count as u64, Relaxed);
    }
}

/// A number that goes up and down.
#[derive(Debug, Default)]
pub(crate) struct Gauge(AtomicI64);

impl Gauge {
    pub(crate) fn set(&self, value: i64) {
        self.0.store(value, Relaxed);
    }

    pub(crate) fn add(&self, value: i64) {
        self.0.fetch_add(value, Relaxed);
    }
}

/// Upper bounds of the buckets, seconds: the aims lie at 5 and 15 ms.
const BOUNDS: [f64; 14] = [
    0.0001, 0.00025, 0.0005, 0.001, 0.002, 0.004, 0.006, 0.008, 0.012, 0.02, 0.05, 0.1, 0.5, 2.0,
];

/// Counts durations.
#[derive(Debug, Default)]
pub(crate) struct Histogram {
    buckets: [AtomicU64; BOUNDS.len()],
    count: AtomicU64,
    sum_nanos: AtomicU64,
}

impl Histogram {
    pub(crate) fn observe(&self, duration: Duration) {
        let seconds = duration.as_secs_f64();
        for (bucket, bound) in self.buckets.iter().zip(BOUNDS) {
            if seconds <= bound {
                bucket.fetch_add(1, Relaxed);
            }
        }
        self.count.fetch_add(1, Relaxed);
        self.sum_nanos.fetch_add(
            u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX),
            Relaxed,
        );
    }
}

impl Metrics {
    /// Counts an HTTP answer.
    pub(crate) fn response(&self, status: u16, took: Duration) {
        match status {
            ..400 => self.responses_ok.add(1),
            400..500 => self.responses_refused.add(1),
            500.. => self.responses_failed.add(1),
        }
        self.requests.observe(took);
    }

    /// The text that Prometheus reads.
    pub(crate) fn render(&self) -> String {
        let mut text = String::with_capacity(8_192);
        for (name, help, counter) in [
            (
                "bars_total",
                "Newly closed bars, or other values of them, seen.",
                &self.bars,
            ),
            (
                "forming_prices_total",
                "Prices inside a minute seen.",
                &self.forming_prices,
            ),
            ("analyses_total", "Analyses published.", &self.analyses),
            (
                "analyses_late_total",
                "Analyses of bars that the live path missed.",
                &self.analyses_late,
            ),
            (
                "inference_failures_total",
                "Batches that the models failed on.",
                &self.inference_failures,
            ),
            (
                "analyses_stored_total",
                "Analyses stored.",
                &self.analyses_stored,
            ),
            (
                "analyses_lost_total",
                "Analyses that could not be stored and were given up.",
                &self.analyses_lost,
            ),
            (
                "model_loads_total",
                "Champions taken into use.",
                &self.model_loads,
            ),
            (
                "model_load_failures_total",
                "Champions refused.",
                &self.model_load_failures,
            ),
            (
                "database_failures_total",
                "Times the database failed the live path.",
                &self.database_failures,
            ),
            (
                "websocket_messages_total",
                "WebSocket messages sent.",
                &self.messages,
            ),
            (
                "websocket_timeouts_total",
                "WebSocket clients given up.",
                &self.clients_timed_out,
            ),
        ] {
            header(&mut text, name, help, "counter");
            let _ = writeln!(text, "tandem_api_{name} {}", counter.0.load(Relaxed));
        }
        for (name, help, gauge) in [
            (
                "analyses_waiting",
                "Analyses waiting to be stored.",
                &self.analyses_waiting,
            ),
            (
                "database_up",
                "1 while the live path reads from the database.",
                &self.database_up,
            ),
            (
                "newest_bar_close_seconds",
                "Close of the newest bar, market time.",
                &self.newest_bar_close,
            ),
            (
                "websocket_clients",
                "Connected WebSocket clients.",
                &self.clients,
            ),
        ] {
            header(&mut text, name, help, "gauge");
            let _ = writeln!(text, "tandem_api_{name} {}", gauge.0.load(Relaxed));
        }
        header(
            &mut text,
            "http_responses_total",
            "HTTP answers by class.",
            "counter",
        );
        for (class, counter) in [
            ("ok", &self.responses_ok),
            ("refused", &self.responses_refused),
            ("failed", &self.responses_failed),
        ] {
            let count = counter.0.load(Relaxed);
            let _ = writeln!(
                text,
                "tandem_api_http_responses_total{{class=\"{class}\"}} {count}"
            );
        }
        for (name, help, histogram) in [
            (
                "wake_seconds",
                "From the database's notice to the new bars in memory.",
                &self.wake,
            ),
            ("features_seconds", "Features of a batch.", &self.features),
            (
                "inference_seconds",
                "Both models for a batch.",
                &self.inference,
            ),
            (
                "publication_seconds",
                "From the database's notice to the publication.",
                &self.publication,
            ),
            ("http_request_seconds", "HTTP requests.", &self.requests),
        ] {
            header(&mut text, name, help, "histogram");
            render_histogram(&mut text, name, histogram);
        }
        text
    }
}

// Writing to a string cannot fail: results of `write!` are dropped throughout.

fn header(text: &mut String, name: &str, help: &str, kind: &str) {
    let _ = writeln!(
        text,
        "# HELP tandem_api_{name} {help}\n# TYPE tandem_api_{name} {kind}"
    );
}

fn render_histogram(text: &mut String, name: &str, histogram: &Histogram) {
    for (bucket, bound) in histogram.buckets.iter().zip(BOUNDS) {
        let _ = writeln!(
            text,
            "tandem_api_{name}_bucket{{le=\"{bound}\"}} {}",
            bucket.load(Relaxed)
        );
    }
    let count = histogram.count.load(Relaxed);
    let sum = Duration::from_nanos(histogram.sum_nanos.load(Relaxed)).as_secs_f64();
    let _ = writeln!(
        text,
        "tandem_api_{name}_bucket{{le=\"+Inf\"}} {count}\ntandem_api_{name}_sum {sum}\ntandem_api_{name}_count {count}"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_is_cumulative() {
        let metrics = Metrics::default();
        metrics.publication.observe(Duration::from_millis(5));
        metrics.publication.observe(Duration::from_secs(60));
        let text = metrics.render();
        for line in [
            "tandem_api_publication_seconds_bucket{le=\"0.004\"} 0",
            "tandem_api_publication_seconds_bucket{le=\"0.006\"} 1",
            "tandem_api_publication_seconds_bucket{le=\"2\"} 1",
            "tandem_api_publication_seconds_bucket{le=\"+Inf\"} 2",
            "tandem_api_publication_seconds_sum 60.005",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }

    #[test]
    fn responses_are_counted_by_class() {
        let metrics = Metrics::default();
        for status in [101, 200, 304, 404, 500] {
            metrics.response(status, Duration::ZERO);
        }
        assert!(
            metrics
                .render()
                .contains("http_responses_total{class=\"ok\"} 3")
        );
        assert!(
            metrics
                .render()
                .contains("http_responses_total{class=\"refused\"} 1")
        );
    }
}
