//! Whether the models' inputs are distributed as in training at the same time of day.

use chrono::NaiveDate;
use evaluation::{Effect, HALF_HOURS, Observation, TimesOfDay, draw};
use features::{CLOCK_FEATURES, CONTEXT_FEATURES, FEATURE_COUNT, FeatureSchema, Scaler};
use serde::Serialize;
use storage::DriftState;

use crate::{
    DriftSettings,
    findings::{Cause, Findings, state_of},
    market::{Market, Place},
};

/// Bars of each half hour that are compared: always as many, since the measures grow with the noise of few.
const BARS: usize = 30;

/// Fewest bars in all that are compared.
const FEWEST_BARS: usize = HALF_HOURS * BARS / 2;

/// Sessions that say what the volatility was before.
const SESSIONS_BEFORE: usize = 5;

/// Fewest of them.
const FEWEST_SESSIONS_BEFORE: usize = 3;

/// Smallest limits of a feature, whatever was usual: below them a difference is small by the usual readings, and sessions
/// of a calm training may hardly have differed.
const LEAST: Effect = Effect {
    psi: 0.25,
    ks: 0.2,
    wasserstein: 0.5,
    z_of_mean: 0.5,
};

/// How many limits a feature of the clock may differ: it follows from the time alone, so what moves it is a fault.
const FARTHEST_CLOCK: f64 = 3.0;

/// Not compared: sessions differ in their day of the week and, before holidays, in their length.
const DIFFERS_BY_DAY: [&str; 3] = ["minutes_to_close", "day_of_week_sin", "day_of_week_cos"];

/// Scaled, how far the mean of a feature of news or economy may lie outside of what training saw (0 to 1).
const BEYOND: f32 = 0.25;

/// Which bars are compared: of each half hour those of its newest session, so that there is always a whole day.
pub(crate) struct Sample {
    /// The newest session of each half hour.
    sources: Vec<(NaiveDate, usize)>,
    bars: Vec<SampleBar>,
}

struct SampleBar {
    place: Place,
    session: NaiveDate,
    half_hour: usize,
}

/// All figures about the inputs.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct InputFigures {
    /// How many bars were compared.
    pub(crate) bars: usize,
    pub(crate) features: Vec<FeatureFigures>,
    /// Root mean square difference of the correlations to those of the training.
    pub(crate) correlation: f64,
    /// The same in units of what was usual among sessions of the training.
    pub(crate) correlation_excess: f64,
    /// Volatility over that of the training, at the same time of day.
    pub(crate) volatility_of_training: Option<f64>,
    /// Volatility over that of the five sessions before, at the same time of day.
    pub(crate) volatility: Option<f64>,
}

/// How one feature differs from the training at the same time of day.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct FeatureFigures {
    pub(crate) name: &'static str,
    #[serde(flatten)]
    pub(crate) effect: Effect,
    /// The middle of the four measures, each over the limit that what was usual in training sets: above 1 the feature has
    /// moved.
    pub(crate) excess: f64,
    /// Whether it counts.
    pub(crate) judged: bool,
}

impl Sample {
    pub(crate) fn of(market: &Market) -> Self {
        let sessions = market.sessions();
        let newest = |half_hour: usize| {
            let known = |session: &NaiveDate| !market.half_hour(*session, half_hour).is_empty();
            let session = sessions.iter().copied().find(known)?;
            Some((session, half_hour))
        };
        let sources: Vec<_> = (0..HALF_HOURS).filter_map(newest).collect();
        let mut bars = Vec::new();
        for (session, half_hour) in &sources {
            let places = market.half_hour(*session, *half_hour);
            for drawn in draw(places.len(), BARS, *half_hour as u64) {
                bars.extend(places.get(drawn).map(|place| SampleBar {
                    place: *place,
                    session: *session,
                    half_hour: *half_hour,
                }));
            }
        }
        Self { sources, bars }
    }

    /// Where the bars are.
    pub(crate) fn places(&self) -> impl Iterator<Item = Place> {
        self.bars.iter().map(|bar| bar.place)
    }
}

/// What the inputs say; `None` where there are too few bars.
pub(crate) fn check(
    market: &Market,
    sample: &Sample,
    reference: &TimesOfDay,
    scaler: &Scaler,
    settings: &DriftSettings,
    findings: &mut Findings,
) -> anyhow::Result<Option<InputFigures>> {
    let observations: Vec<Observation<'_>> = sample
        .bars
        .iter()
        .filter_map(|bar| {
            Some(Observation {
                session: bar.session,
                half_hour: bar.half_hour,
                values: market.features(bar.place)?,
            })
        })
        .collect();
    if observations.len() < FEWEST_BARS {
        return Ok(None);
    }
    let shift = reference.shift(&observations)?;
    let names = FeatureSchema::current().names;
    let features: Vec<FeatureFigures> = names
        .into_iter()
        .zip(shift.effects.iter().zip(&reference.usual.effects))
        .enumerate()
        .map(|(place, (name, (effect, usual)))| FeatureFigures {
            name,
            effect: *effect,
            excess: excess(effect, usual, settings.tolerance),
            judged: !CONTEXT_FEATURES.contains(&place) && !DIFFERS_BY_DAY.contains(&name),
        })
        .collect();
    let figures = InputFigures {
        bars: shift.bars,
        correlation: shift.correlation,
        // A calm training may have had sessions that hardly differed.
        correlation_excess: shift.correlation / reference.usual.correlation.max(0.12),
        volatility_of_training: volatility(market, sample, |_, half_hour| {
            reference.mean(volatility_feature()?, half_hour)
        }),
        volatility: volatility(market, sample, |session, half_hour| {
            log_volatility_before(market, session, half_hour)
        }),
        features,
    };
    judge(&figures, settings, findings);
    judge_context(&observations, scaler, findings);
    Ok(Some(figures))
}

fn judge(figures: &InputFigures, settings: &DriftSettings, findings: &mut Findings) {
    let judged = || figures.features.iter().filter(|feature| feature.judged);
    let moved: Vec<&str> = judged()
        .filter(|feature| feature.excess > 1.0)
        .map(|feature| feature.name)
        .collect();
    let share = moved.len() as f64 / judged().count().max(1) as f64;
    let state = state_of(
        share,
        settings.degraded_features,
        settings.critical_features,
    );
    findings.add("features", Cause::Inputs, state, || {
        format!(
            "{} of {} features differ from training at the same time of day more than its sessions from each other: {}",
            moved.len(),
            judged().count(),
            moved.join(", ")
        )
    });
    let clocks = FeatureSchema::current().names;
    let clocks = clocks.get(CLOCK_FEATURES).unwrap_or_default();
    let wrong =
        judged().find(|feature| clocks.contains(&feature.name) && feature.excess > FARTHEST_CLOCK);
    if let Some(feature) = wrong {
        findings.add("clock", Cause::Inputs, DriftState::Critical, || {
            format!(
                "{} follows from the time alone and is wrong: the features are mixed up",
                feature.name
            )
        });
    }
    let state = state_of(
        figures.correlation_excess,
        settings.degraded_correlation,
        settings.critical_correlation,
    );
    findings.add("correlation", Cause::Inputs, state, || {
        format!(
            "the features no longer go together as in training: their correlations differ {:.1} times as much as was usual",
            figures.correlation_excess
        )
    });
    let ratios = [
        (
            "volatility",
            figures.volatility,
            [settings.degraded_volatility, settings.critical_volatility],
            "that of the five sessions before",
        ),
        (
            "volatility_of_training",
            figures.volatility_of_training,
            [
                settings.degraded_volatility_of_training,
                settings.critical_volatility_of_training,
            ],
            "that of the training",
        ),
    ];
    for (check, ratio, [degraded, critical], what) in ratios {
        let Some(ratio) = ratio else { continue };
        let state = state_of(ratio.max(1.0 / ratio), degraded, critical);
        findings.add(check, Cause::Inputs, state, || {
            format!("the volatility is {ratio:.2} times {what}, at the same time of day")
        });
    }
}

/// News and economy are the same for many bars, so that their distribution on a day says nothing; but a level that
/// training never saw does.
fn judge_context(observations: &[Observation<'_>], scaler: &Scaler, findings: &mut Findings) {
    let names = FeatureSchema::current().names;
    let mut sums = [0.0_f32; FEATURE_COUNT];
    let mut scaled = [0.0; FEATURE_COUNT];
    for observation in observations {
        let Ok(features) = observation.values.try_into() else {
            continue;
        };
        scaler.apply(features, &mut scaled);
        for (sum, value) in sums.iter_mut().zip(scaled) {
            *sum += value;
        }
    }
    let count = observations.len().max(1) as f32;
    let beyond: Vec<&str> = CONTEXT_FEATURES
        .filter(|place| {
            let mean = sums.get(*place).map_or(0.0, |sum| sum / count);
            !(-BEYOND..=1.0 + BEYOND).contains(&mean)
        })
        .filter_map(|place| names.get(place).copied())
        .collect();
    if !beyond.is_empty() {
        findings.add("context", Cause::Inputs, DriftState::Degraded, || {
            format!("far outside of what training saw: {}", beyond.join(", "))
        });
    }
}

/// The middle of the four measures over their limits.
fn excess(effect: &Effect, usual: &Effect, tolerance: f64) -> f64 {
    let over = |value: f64, usual: f64, least: f64| value.abs() / (tolerance * usual.max(least));
    let mut ratios = [
        over(effect.psi, usual.psi, LEAST.psi),
        over(effect.ks, usual.ks, LEAST.ks),
        over(effect.wasserstein, usual.wasserstein, LEAST.wasserstein),
        over(effect.z_of_mean, usual.z_of_mean, LEAST.z_of_mean),
    ];
    ratios.sort_by(f64::total_cmp);
    let [_, low, high, _] = ratios;
    0.5 * (low + high)
}

/// Mean natural logarithm of the volatility in a half hour of a session.
fn log_volatility(market: &Market, session: NaiveDate, half_hour: usize) -> Option<f64> {
    let feature = volatility_feature()?;
    let places = market.half_hour(session, half_hour);
    let values = places
        .iter()
        .filter_map(|place| market.features(*place)?.get(feature));
    let sum: f64 = values.map(|value| f64::from(*value)).sum();
    (!places.is_empty()).then(|| sum / places.len() as f64)
}

/// Place of the feature that is the natural logarithm of the volatility.
fn volatility_feature() -> Option<usize> {
    let names = FeatureSchema::current().names;
    names.iter().position(|name| *name == "realised_volatility")
}

/// Volatility of the newest whole day over what `before` gives for a session's half hour (natural logarithms), as the
/// geometric mean over the half hours; `None` where nothing can be compared.
fn volatility(
    market: &Market,
    sample: &Sample,
    before: impl Fn(NaiveDate, usize) -> Option<f64>,
) -> Option<f64> {
    let steps: Vec<f64> = sample
        .sources
        .iter()
        .filter_map(|(session, half_hour)| {
            let now = log_volatility(market, *session, *half_hour)?;
            Some(now - before(*session, *half_hour)?)
        })
        .collect();
    (!steps.is_empty()).then(|| (steps.iter().sum::<f64>() / steps.len() as f64).exp())
}

/// Mean natural logarithm of the volatility at a half hour of the sessions before one; `None` for too few of them.
fn log_volatility_before(market: &Market, session: NaiveDate, half_hour: usize) -> Option<f64> {
    let known: Vec<f64> = market
        .sessions()
        .into_iter()
        .filter(|other| *other < session)
        .filter_map(|other| log_volatility(market, other, half_hour))
        .take(SESSIONS_BEFORE)
        .collect();
    (known.len() >= FEWEST_SESSIONS_BEFORE).then(|| known.iter().sum::<f64>() / known.len() as f64)
}
