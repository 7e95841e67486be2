use domain::Bar;
use features::{
    FEATURE_COUNT, FeatureStream, FeatureVector, Scaler, StreamError, TickerContext, WINDOW, Window,
};

/// One ticker's features as its bars close and events become known, and the newest window of them.
///
/// The window is kept unscaled: each model has its own scaler.
#[derive(Clone, Debug)]
pub struct LiveTicker {
    stream: FeatureStream,
    window: Window,
    /// Realised volatility at the newest bar with features, a fraction of the price; NaN before the first.
    volatility: f64,
    /// Whether the newest bar gave features and completed a window.
    ready: bool,
}

impl Default for LiveTicker {
    fn default() -> Self {
        Self::new()
    }
}

impl LiveTicker {
    /// A ticker of the NYSE's calendar that has seen no bar.
    pub fn new() -> Self {
        Self {
            stream: FeatureStream::new(calendar::nyse()),
            window: Window::new(),
            volatility: f64::NAN,
            ready: false,
        }
    }

    /// Takes events, in any order: each bar pushed afterwards uses those that were available at its close.
    pub fn push_context(&mut self, context: TickerContext<'_>) {
        self.stream.push_context(context);
    }

    /// Forgets the events that no bar has used yet, for a caller who pushes them anew.
    pub fn forget_unused_events(&mut self) {
        self.stream.forget_unused_events();
    }

    /// Takes the next closed bar. True when there is a full window that ends with it, false while warming up.
    ///
    /// # Errors
    /// [`StreamError`] for bars outside regular trading hours and for bars not newer than the last; such a bar changes
    /// nothing.
    pub fn push(&mut self, bar: &Bar) -> Result<bool, StreamError> {
        let features = self.stream.push(bar)?;
        if self.stream.has_begun_anew() {
            self.window = Window::new();
        }
        if let Some(features) = &features {
            self.window.push(features);
            self.volatility = features::realised_volatility(features);
        }
        self.ready = features.is_some() && self.window.is_full();
        Ok(self.ready)
    }

    /// Whether there is a full window that ends with the newest bar.
    pub const fn is_ready(&self) -> bool {
        self.ready
    }

    /// The stock's realised volatility at the newest bar, a fraction of the price. Ask [`Self::is_ready`] before.
    pub const fn volatility(&self) -> f64 {
        self.volatility
    }

    /// Writes the window, scaled, into `out`: `[WINDOW, FEATURE_COUNT]`, oldest bar first. Ask [`Self::is_ready`]
    /// before.
    pub fn write_window(&self, scaler: &Scaler, out: &mut [f32]) {
        debug_assert_eq!(out.len(), WINDOW * FEATURE_COUNT);
        self.window.write_into(out);
        for row in out.chunks_exact_mut(FEATURE_COUNT) {
            let mut features: FeatureVector = [0.0; FEATURE_COUNT];
            features.copy_from_slice(row);
            scaler.apply(&features, row);
        }
    }
}
