use std::collections::BTreeMap;

use calendar::Calendar;
use chrono::{DateTime, Datelike, NaiveDate, TimeDelta, Utc};
use domain::{Bar, Class, SettingsSection, Ticker};
use evaluation::{DriftReference, LastClose, TimesOfDay};
use features::{
    CONTEXT_FEATURES, Context, FEATURE_COUNT, FeatureSchema, FeatureStream, FeatureVector,
    NewsEvent, Scaler, TickerContext, WARM_UP_SESSIONS, WINDOW,
};
use labels::BarrierSettings;
use model_registry::{FeatureStatistics, Ranges, TimeRange};
use sha2::{Digest, Sha256};

use crate::{
    TrainingError, TrainingSettings,
    abstention::Worth,
    scaling,
    split::{Span, split},
    statistics,
};

/// Fewest sessions with labelled windows: two to train on, one for early stopping, one for calibration.
const FEWEST_SESSIONS: usize = 4;
/// Fewest labelled windows of the training part, and of each of the other two.
const FEWEST_SAMPLES: [usize; 2] = [500, 50];
/// Numbers of one window.
const WINDOW_LENGTH: usize = WINDOW * FEATURE_COUNT;

/// Labelled windows of many tickers, split by time and scaled; windows are cut out when a batch asks for them.
#[derive(Debug)]
pub struct Dataset {
    /// Per ticker the scaled features of its bars, `[bars, FEATURE_COUNT]`, oldest first.
    scaled: Vec<Vec<f32>>,
    training: Vec<Sample>,
    early_stopping: Vec<Sample>,
    calibration: Vec<Sample>,
    class_counts: [usize; 3],
    scaler: Scaler,
    statistics: Vec<FeatureStatistics>,
    times_of_day: Option<TimesOfDay>,
    closes: Vec<LastClose>,
    ranges: Ranges,
    fingerprint: String,
    barriers: BarrierSettings,
    left_out: Vec<(Ticker, TrainingError)>,
}

/// A labelled window: which ticker, which last row, and what came after.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Sample {
    ticker: usize,
    /// Row of the window's last bar.
    row: usize,
    pub(crate) class: Class,
    /// Uniqueness times class weight, 1 on average over the training part.
    pub(crate) weight: f32,
    pub(crate) worth: Worth,
    span: Span,
}

impl Sample {
    /// The session of the decision. A session's bars have the same date in UTC as in New York.
    pub(crate) fn session(&self) -> NaiveDate {
        self.span.decided_at.date_naive()
    }
}

/// One of the three stretches of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The weights are fitted here.
    Training,
    /// Training stops by these.
    EarlyStopping,
    /// The correction of the evidence is fitted here.
    Calibration,
}

/// One ticker's features and labels before any split.
#[derive(Clone, Debug)]
struct Series {
    rows: Vec<Row>,
    samples: Vec<RawSample>,
}

#[derive(Clone, Debug)]
struct Row {
    bar_start: DateTime<Utc>,
    features: FeatureVector,
}

#[derive(Clone, Copy, Debug)]
struct RawSample {
    row: usize,
    class: Class,
    /// Share of the label's bars that no other label uses, 0..=1.
    uniqueness: f64,
    worth: Worth,
    span: Span,
}

impl Dataset {
    /// Folds the bars and what was known beside them into features, labels them, splits them by time (purged, with an embargo), and fits the scaler,
    /// the class weights and the drift statistics on the training part.
    ///
    /// `bars` are ascending per ticker; those outside regular sessions are left out. The caller cuts the history at
    /// the time it wants to test after; events of `context` count by when they were available. A ticker whose bars give
    /// no features, or features that are not finite or stand still, is left out: see [`Self::left_out`].
    ///
    /// # Errors
    /// [`TrainingError`] when settings are out of range, when there is too little to learn from (saying how much is
    /// needed), when features of the bars are constant, or when no ticker is of use (why the first one is not).
    pub fn build(
        bars: &BTreeMap<Ticker, Vec<Bar>>,
        context: &Context,
        barriers: &BarrierSettings,
        settings: &TrainingSettings,
        calendar: &'static Calendar,
    ) -> Result<Self, TrainingError> {
        settings.check()?;
        barriers.check()?;
        let mut fingerprint = Sha256::new();
        let mut series = Vec::with_capacity(bars.len());
        let mut left_out = Vec::new();
        for (ticker, bars) in bars {
            let bars: Vec<Bar> = bars
                .iter()
                .filter(|bar| calendar.session_at(bar.start).is_some())
                .copied()
                .collect();
            let context = context.of(ticker);
            match Series::new(ticker, &bars, context, barriers, calendar) {
                Ok(usable) => {
                    add_to_fingerprint(&mut fingerprint, ticker, &bars, context.news);
                    series.push(usable);
                }
                Err(error) => left_out.push((ticker.clone(), error)),
            }
        }
        if series.is_empty() && !left_out.is_empty() {
            return Err(left_out.swap_remove(0).1);
        }
        for event in &context.economy {
            fingerprint.update(event.available_at.timestamp_micros().to_le_bytes());
            fingerprint.update(event.series.as_str());
            fingerprint.update([0]);
            fingerprint.update(event.period.num_days_from_ce().to_le_bytes());
            fingerprint.update(event.value.to_le_bytes());
        }
        let embargo = settings.embargo_bars.max(barriers.horizon);
        let (early_stopping, calibration) = boundaries(&series, settings, calendar)?;
        let dataset = Self::from_series(
            &series,
            [early_stopping, calibration],
            TimeDelta::minutes(embargo as i64),
            settings,
            hexadecimal(&fingerprint.finalize()),
            barriers.clone(),
        )?;
        Ok(Self {
            closes: statistics::last_closes(bars),
            left_out,
            ..dataset
        })
    }

    fn from_series(
        series: &[Series],
        [early_stopping, calibration]: [DateTime<Utc>; 2],
        embargo: TimeDelta,
        settings: &TrainingSettings,
        fingerprint: String,
        barriers: BarrierSettings,
    ) -> Result<Self, TrainingError> {
        let mut samples: Vec<(usize, RawSample)> = series
            .iter()
            .enumerate()
            .flat_map(|(ticker, series)| series.samples.iter().map(move |sample| (ticker, *sample)))
            .collect();
        samples.sort_by_key(|(ticker, sample)| (sample.span.decided_at, *ticker));
        let parts = split(
            samples.iter().map(|(_, sample)| sample.span),
            early_stopping,
            calibration,
            embargo,
        );
        for (part, found, needed) in [
            ("training", parts.training.len(), FEWEST_SAMPLES[0]),
            (
                "early stopping",
                parts.early_stopping.len(),
                FEWEST_SAMPLES[1],
            ),
            ("calibration", parts.calibration.len(), FEWEST_SAMPLES[1]),
        ] {
            if found < needed {
                return Err(TrainingError::TooFewSamples {
                    part,
                    found,
                    needed,
                });
            }
        }

        let training: Vec<RawSample> = parts
            .training
            .iter()
            .map(|index| samples[*index].1)
            .collect();
        let class_counts = count_classes(&training)?;
        let weights = class_weights(&training);
        let pick = |indices: &[usize]| -> Vec<Sample> {
            indices
                .iter()
                .map(|index| {
                    let (ticker, sample) = &samples[*index];
                    let weight = (sample.uniqueness * weights[sample.class.index()]) as f32;
                    let RawSample {
                        row,
                        class,
                        worth,
                        span,
                        ..
                    } = *sample;
                    Sample {
                        ticker: *ticker,
                        row,
                        class,
                        weight,
                        worth,
                        span,
                    }
                })
                .collect()
        };
        let (training, early, last) = (
            pick(&parts.training),
            pick(&parts.early_stopping),
            pick(&parts.calibration),
        );

        let rows = || {
            let rows = series.iter().flat_map(|series| &series.rows);
            rows.filter(|row| row.bar_start < early_stopping)
        };
        let shown =
            scaling::shown_features(rows().map(|row| (row.bar_start, &row.features)), settings);
        let known: Vec<&FeatureVector> = rows().map(|row| &row.features).collect();
        let scaler = scaling::fit_scaler(&known, &shown)?;
        let scaled = series.iter().map(|series| series.scaled(&scaler)).collect();
        Ok(Self {
            scaled,
            class_counts,
            statistics: scaling::statistics(&known),
            times_of_day: statistics::times_of_day(
                rows().map(|row| (row.bar_start, &row.features)),
                calendar::nyse(),
            ),
            closes: Vec::new(),
            ranges: Ranges {
                training: range(&training),
                early_stopping: range(&early),
                calibration: Some(range(&last)),
            },
            training,
            early_stopping: early,
            calibration: last,
            scaler,
            fingerprint,
            barriers,
            left_out: Vec::new(),
        })
    }

    /// Tickers whose bars are of no use, and why.
    pub fn left_out(&self) -> &[(Ticker, TrainingError)] {
        &self.left_out
    }

    /// The scaler, fitted on the training part.
    pub fn scaler(&self) -> &Scaler {
        &self.scaler
    }

    /// Unscaled features of the training part, for drift.
    pub fn statistics(&self) -> &[FeatureStatistics] {
        &self.statistics
    }

    /// What drift is measured against, with the probabilities that a network gives to its most probable class.
    pub(crate) fn drift_reference(&self, mut confidence: Vec<f32>) -> DriftReference {
        confidence.sort_by(f32::total_cmp);
        DriftReference {
            features: self.times_of_day.clone(),
            class_shares: self.prior(),
            confidence,
            closes: self.closes.clone(),
        }
    }

    /// Which stretch of time was used for what, UTC.
    pub fn ranges(&self) -> &Ranges {
        &self.ranges
    }

    /// SHA-256 over all tickers, bars and events used, 64 hexadecimal digits.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// How the labels were made.
    pub fn barriers(&self) -> &BarrierSettings {
        &self.barriers
    }

    /// Training windows per class in the order of [`Class::ALL`].
    pub fn class_counts(&self) -> [usize; 3] {
        self.class_counts
    }

    /// Labelled windows of a part.
    pub fn len(&self, part: Part) -> usize {
        self.samples(part).len()
    }

    /// Whether a part has no windows; never the case for a dataset that was built.
    pub fn is_empty(&self, part: Part) -> bool {
        self.samples(part).is_empty()
    }

    /// Up to `limit` windows of a part, evenly spread, as scaled numbers `[n, WINDOW, FEATURE_COUNT]` with their
    /// classes.
    pub fn windows(&self, part: Part, limit: usize) -> (Vec<f32>, Vec<Class>) {
        let samples = self.spread(part, limit);
        let classes = samples.iter().map(|sample| sample.class).collect();
        (self.gather(&samples), classes)
    }

    /// Up to `limit` samples of a part, evenly spread over it.
    pub(crate) fn spread(&self, part: Part, limit: usize) -> Vec<Sample> {
        let samples = self.samples(part);
        let count = samples.len().min(limit);
        (0..count)
            .map(|index| samples[index * samples.len() / count])
            .collect()
    }

    /// Their windows, scaled, `[n, WINDOW, FEATURE_COUNT]`.
    pub(crate) fn gather(&self, samples: &[Sample]) -> Vec<f32> {
        let mut windows = Vec::with_capacity(samples.len() * WINDOW_LENGTH);
        for sample in samples {
            let end = (sample.row + 1) * FEATURE_COUNT;
            windows.extend_from_slice(&self.scaled[sample.ticker][end - WINDOW_LENGTH..end]);
        }
        windows
    }

    pub(crate) fn samples(&self, part: Part) -> &[Sample] {
        match part {
            Part::Training => &self.training,
            Part::EarlyStopping => &self.early_stopping,
            Part::Calibration => &self.calibration,
        }
    }

    /// Class frequencies of the training part in the order of [`Class::ALL`].
    pub(crate) fn prior(&self) -> [f64; 3] {
        let total: usize = self.class_counts.iter().sum();
        self.class_counts.map(|count| count as f64 / total as f64)
    }
}

impl Series {
    fn new(
        ticker: &Ticker,
        bars: &[Bar],
        context: TickerContext<'_>,
        barriers: &BarrierSettings,
        calendar: &'static Calendar,
    ) -> Result<Self, TrainingError> {
        let mut stream = FeatureStream::new(calendar);
        stream.push_context(context);
        let mut rows: Vec<Row> = Vec::new();
        // First row of the history that the newest bar belongs to.
        let mut begin = 0;
        // Row of each bar that completes a window.
        let mut row_of_bar = vec![None; bars.len()];
        for (bar, row) in bars.iter().zip(&mut row_of_bar) {
            let bar_start = bar.start;
            let features = stream.push(bar).map_err(|source| TrainingError::Features {
                ticker: ticker.clone(),
                bar_start,
                source,
            })?;
            if stream.has_begun_anew() {
                begin = rows.len();
            }
            let Some(features) = features else { continue };
            check_finite(ticker, bar_start, &features)?;
            *row = (rows.len() + 1 >= begin + WINDOW).then_some(rows.len());
            rows.push(Row {
                bar_start,
                features,
            });
        }
        check_movement(ticker, &rows)?;
        let labels = labels::triple_barrier(bars, barriers, calendar);
        let uniqueness = labels::uniqueness_weights(&labels, bars.len());
        let samples = labels
            .iter()
            .zip(uniqueness)
            .filter_map(|(label, uniqueness)| {
                let row = row_of_bar[label.index]?;
                let (decided, next) = (&bars[label.index], bars.get(label.index + 1)?);
                // The first price that can be had, and the one at the touch.
                let (entry, exit) = (next.open.get(), decided.close.get() * (1.0 + label.ret));
                let span = Span {
                    decided_at: decided.close_time(),
                    resolved_at: bars[label.touch_index].close_time(),
                };
                Some(RawSample {
                    row,
                    class: label.class(),
                    uniqueness,
                    worth: Worth {
                        gross_return: exit / entry - 1.0,
                        volatility: features::realised_volatility(&rows[row].features),
                    },
                    span,
                })
            })
            .collect();
        Ok(Self { rows, samples })
    }

    fn scaled(&self, scaler: &Scaler) -> Vec<f32> {
        let mut scaled = vec![0.0; self.rows.len() * FEATURE_COUNT];
        for (row, out) in self.rows.iter().zip(scaled.chunks_exact_mut(FEATURE_COUNT)) {
            scaler.apply(&row.features, out);
        }
        scaled
    }
}

fn check_finite(
    ticker: &Ticker,
    bar_start: DateTime<Utc>,
    features: &FeatureVector,
) -> Result<(), TrainingError> {
    for (value, name) in features.iter().zip(FeatureSchema::current().names) {
        if !value.is_finite() {
            let ticker = ticker.clone();
            return Err(TrainingError::NotFinite {
                name,
                ticker,
                bar_start,
                value: *value,
            });
        }
    }
    Ok(())
}

/// A feed that stands still would teach that nothing ever happens.
fn check_movement(ticker: &Ticker, rows: &[Row]) -> Result<(), TrainingError> {
    let (Some(first), Some(last)) = (rows.first(), rows.last()) else {
        return Ok(());
    };
    // The gap before a session is the same for all of it. A session's bars share their date in UTC.
    if first.bar_start.date_naive() == last.bar_start.date_naive() {
        return Ok(());
    }
    let names = FeatureSchema::current().names.iter().enumerate();
    for (feature, name) in names.filter(|(feature, _)| !CONTEXT_FEATURES.contains(feature)) {
        let value = first.features[feature];
        if rows.iter().all(|row| row.features[feature] == value) {
            return Err(TrainingError::FrozenFeature {
                name,
                ticker: ticker.clone(),
                value,
                rows: rows.len(),
            });
        }
    }
    Ok(())
}

/// Opens of the first early-stopping and the first calibration session.
fn boundaries(
    series: &[Series],
    settings: &TrainingSettings,
    calendar: &'static Calendar,
) -> Result<(DateTime<Utc>, DateTime<Utc>), TrainingError> {
    let mut samples: BTreeMap<DateTime<Utc>, usize> = BTreeMap::new();
    for series in series {
        for sample in &series.samples {
            let bar_start = series.rows[sample.row].bar_start;
            if let Some(session) = calendar.session_at(bar_start) {
                *samples.entry(session.open).or_default() += 1;
            }
        }
    }
    // A session in progress is no part of its own: the embargo might take all of it. Its samples stay with the one before.
    let most = samples.values().copied().max().unwrap_or(0);
    let whole = samples.into_iter().filter(|(_, count)| 2 * count >= most);
    let opens: Vec<DateTime<Utc>> = whole.map(|(open, _)| open).collect();
    if opens.len() < FEWEST_SESSIONS {
        return Err(TrainingError::TooFewSessions {
            found: opens.len(),
            needed: FEWEST_SESSIONS,
            warm_up: WARM_UP_SESSIONS,
        });
    }
    #[expect(clippy::cast_sign_loss, reason = "a share of a length is not negative")]
    let wanted = (opens.len() as f64 * settings.validation_fraction).round() as usize;
    let validation = wanted.clamp(2, opens.len() / 2);
    Ok((
        opens[opens.len() - validation],
        opens[opens.len() - validation / 2],
    ))
}

fn count_classes(samples: &[RawSample]) -> Result<[usize; 3], TrainingError> {
    let mut counts = [0; 3];
    for sample in samples {
        counts[sample.class.index()] += 1;
    }
    let [down, neutral, up] = counts;
    match Class::ALL
        .into_iter()
        .find(|class| counts[class.index()] == 0)
    {
        Some(class) => Err(TrainingError::MissingClass {
            class,
            down,
            neutral,
            up,
        }),
        None => Ok(counts),
    }
}

/// Factors that make the uniqueness of every class add up to the same, and the mean weight of a sample 1. Labels that
/// ran into the vertical barrier overlap more, so counts alone would not balance the classes.
fn class_weights(samples: &[RawSample]) -> [f64; 3] {
    let mut sums = [0.0; 3];
    for sample in samples {
        sums[sample.class.index()] += sample.uniqueness;
    }
    sums.map(|sum| samples.len() as f64 / (3.0 * sum))
}

/// From the first window's last bar to the moment when the last label was known.
fn range(samples: &[Sample]) -> TimeRange {
    let spans = || samples.iter().map(|sample| sample.span);
    TimeRange {
        start: spans()
            .map(|span| span.decided_at)
            .min()
            .unwrap_or_default()
            - TimeDelta::seconds(domain::BAR_SECONDS),
        end: spans()
            .map(|span| span.resolved_at)
            .max()
            .unwrap_or_default(),
    }
}

fn add_to_fingerprint(fingerprint: &mut Sha256, ticker: &Ticker, bars: &[Bar], news: &[NewsEvent]) {
    fingerprint.update(ticker.as_str());
    fingerprint.update([0]);
    fingerprint.update((bars.len() as u64).to_le_bytes());
    for bar in bars {
        fingerprint.update(bar.start.timestamp().to_le_bytes());
        for price in [bar.open, bar.high, bar.low, bar.close] {
            fingerprint.update(price.get().to_le_bytes());
        }
        fingerprint.update(bar.volume.to_le_bytes());
    }
    fingerprint.update((news.len() as u64).to_le_bytes());
    for event in news {
        fingerprint.update(event.available_at.timestamp_micros().to_le_bytes());
        fingerprint.update(event.score.to_le_bytes());
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use chrono::TimeZone;

    use super::*;

    /// A ticker without bars: rows of noise a minute apart, the class of each given by `class` of the rows so far.
    pub(crate) fn synthetic(
        minutes: usize,
        class: impl Fn(usize, &[FeatureVector]) -> Class,
    ) -> Result<Dataset, TrainingError> {
        let mut random = crate::export::testing::Random::new(11);
        let at = |minute: usize| {
            Utc.with_ymd_and_hms(2018, 3, 26, 13, 30, 0).unwrap()
                + TimeDelta::minutes(minute as i64)
        };
        let features: Vec<FeatureVector> = (0..minutes)
            .map(|_| std::array::from_fn(|_| random.next(1.0)))
            .collect();
        let samples = (WINDOW..minutes)
            .map(|row| RawSample {
                row,
                class: class(row, &features[..=row]),
                uniqueness: 0.2 + (row % 7) as f64 / 10.0,
                worth: Worth {
                    gross_return: 0.0,
                    volatility: 0.001,
                },
                span: Span {
                    decided_at: at(row + 1),
                    resolved_at: at(row + 11),
                },
            })
            .collect();
        let rows = features.into_iter().enumerate();
        let rows = rows
            .map(|(row, features)| Row {
                bar_start: at(row),
                features,
            })
            .collect();
        let boundaries = [at(minutes * 6 / 10), at(minutes * 8 / 10)];
        // The noise of all features is to be learned from.
        let settings = TrainingSettings {
            news_sessions: 0,
            economy_sessions: 0,
            ..TrainingSettings::default()
        };
        let embargo = TimeDelta::minutes(30);
        Dataset::from_series(
            &[Series { rows, samples }],
            boundaries,
            embargo,
            &settings,
            String::new(),
            BarrierSettings::default(),
        )
    }

    /// Every fifth is down, two of five are neutral, two are up.
    fn by_fives(row: usize, _: &[FeatureVector]) -> Class {
        [
            Class::Down,
            Class::Neutral,
            Class::Neutral,
            Class::Up,
            Class::Up,
        ][row % 5]
    }

    #[test]
    fn classes_weigh_the_same_together() {
        let dataset = synthetic(2_000, by_fives).unwrap();
        let samples = dataset.samples(Part::Training);
        let sum = |class| -> f32 {
            samples
                .iter()
                .filter(|sample| sample.class == class)
                .map(|sample| sample.weight)
                .sum()
        };
        let third = samples.len() as f32 / 3.0;
        for class in Class::ALL {
            assert!(
                (sum(class) / third - 1.0).abs() < 1e-4,
                "{class} {}",
                sum(class)
            );
        }
        let [down, neutral, up] = dataset.prior();
        assert!(
            (down - 0.2).abs() < 0.01 && (neutral - 0.4).abs() < 0.01 && (up - 0.4).abs() < 0.01
        );
        // Uniqueness differs from row to row, and so do the weights.
        let weights = || {
            samples
                .iter()
                .filter(|sample| sample.class == Class::Up)
                .map(|sample| sample.weight)
        };
        assert!(weights().fold(0.0, f32::max) > 1.5 * weights().fold(f32::INFINITY, f32::min));
    }

    #[test]
    fn a_window_ends_at_its_row_and_is_scaled() {
        let dataset = synthetic(2_000, by_fives).unwrap();
        let sample = dataset.samples(Part::EarlyStopping)[3];
        let window = dataset.gather(&[sample]);
        assert_eq!(window.len(), WINDOW_LENGTH);
        let row = &dataset.scaled[0][sample.row * FEATURE_COUNT..][..FEATURE_COUNT];
        assert_eq!(&window[WINDOW_LENGTH - FEATURE_COUNT..], row);
        assert!(window.iter().all(|value| (-0.5..=1.5).contains(value)));
        assert!(window.iter().any(|value| *value < 0.1) && window.iter().any(|value| *value > 0.9));
    }

    #[test]
    fn the_scaler_knows_the_training_part_only() {
        // The same first part, another future.
        let short = synthetic(2_000, by_fives).unwrap();
        let start = short.ranges.training.start;
        assert_eq!(
            start,
            short.training[0].span.decided_at - TimeDelta::minutes(1)
        );
        assert!(
            short.ranges.training.end <= short.ranges.early_stopping.start - TimeDelta::minutes(29)
        );
        let early_stopping = short.ranges.early_stopping.end;
        assert!(early_stopping <= short.ranges.calibration.unwrap().start - TimeDelta::minutes(29));
        let rows = 2_000 * 6 / 10;
        let scaled = &short.scaled[0][..rows * FEATURE_COUNT];
        let inside = scaled
            .iter()
            .filter(|value| (0.0..=1.0).contains(*value))
            .count();
        // 0.5 % on each side were pulled in.
        let share = inside as f64 / scaled.len() as f64;
        assert!((share - 0.99).abs() < 0.003, "{share}");
    }

    #[test]
    fn a_feature_that_is_no_number_is_named() {
        let mut features = [0.5; FEATURE_COUNT];
        features[0] = f32::NAN;
        let ticker = Ticker::parse("AAPL").unwrap();
        let at = Utc.with_ymd_and_hms(2018, 3, 26, 13, 30, 0).unwrap();
        let error = check_finite(&ticker, at, &features).unwrap_err();
        let name = FeatureSchema::current().names[0];
        assert_eq!(
            error.to_string(),
            format!(
                "feature {name} of AAPL is NaN at 2018-03-26 13:30:00 UTC: check the bars, news and economic figures \
                 before it"
            )
        );
    }

    #[test]
    fn says_what_is_missing() {
        let error = synthetic(700, by_fives).unwrap_err().to_string();
        assert!(
            error.contains("labelled windows for training, 500 needed"),
            "{error}"
        );
        let error = synthetic(2_000, |_, _| Class::Up).unwrap_err().to_string();
        assert!(
            error.contains("no training window has the label down (down 0, neutral 0, up "),
            "{error}"
        );
    }
}
