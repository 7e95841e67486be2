//! Champion against challenger on the same decisions, with baselines beside.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, NaiveDate, Utc};
use domain::{AdaptiveThresholds, Class, ModelId, Ticker};
use serde::{Deserialize, Serialize};

use crate::{
    Coverage, DailyMean, DeflatedSharpe, Reliability, ScoreError, Scores, Signal, SignalScores,
    covered_in_service, daily_mean, deflated_sharpe, most_probable, reliability, score,
    score_signals, scores::surprise,
};

/// One decision that neither network has seen, what both said and what came of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    /// Stock.
    pub ticker: Ticker,
    /// Session, New York date.
    pub session: NaiveDate,
    /// Start of the bar at whose close the decision is made, UTC.
    pub bar_start: DateTime<Utc>,
    /// Which barrier the price touched first.
    pub truth: Class,
    /// Return from the first price that could be had to that touch, as a fraction; above zero when the price rose.
    pub gross_return: f64,
    /// The champion's probabilities in the order of [`Class::ALL`].
    pub champion: [f64; 3],
    /// The challenger's.
    pub challenger: [f64; 3],
}

impl Case {
    /// What one of the two said.
    pub const fn said(&self, side: Side) -> &[f64; 3] {
        match side {
            Side::Champion => &self.champion,
            Side::Challenger => &self.challenger,
        }
    }
}

/// One of the two that are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// The network in service.
    Champion,
    /// The one that wants its place.
    Challenger,
}

impl Side {
    /// The lower-case name used in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Champion => "champion",
            Self::Challenger => "challenger",
        }
    }
}

/// A network and what it has seen.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Network {
    /// Its artifact.
    pub id: ModelId,
    /// Seed of its training.
    pub seed: u64,
    /// What its data were used for, with the dates.
    pub ranges: Vec<NamedRange>,
    /// Its conformal sets as they start in service, where it has some.
    pub sets: Option<AdaptiveThresholds>,
}

/// A stretch of data.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NamedRange {
    /// What it was used for, such as "training".
    pub name: String,
    /// First bar's start, UTC.
    pub start: DateTime<Utc>,
    /// End, UTC; not included.
    pub end: DateTime<Utc>,
}

/// Something simple that has learned from the same data and answers the same cases, in their order.
#[derive(Clone, Debug, PartialEq)]
pub struct Baseline {
    /// Name, such as "class prior".
    pub name: String,
    /// Probabilities of shape `[cases, 3]`.
    pub probabilities: Vec<[f64; 3]>,
    /// The class that its rule chooses, where that is not the most probable one.
    pub chosen: Option<Vec<Class>>,
}

/// How a comparison is made.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ComparisonSettings {
    /// What the challenger must at least gain, nats of log loss a case.
    pub margin: f64,
    /// Probability with which a bound holds, such as 0.95.
    pub level: f64,
    /// Draws of the bootstrap over whole days.
    pub resamples: usize,
    /// Seed of these draws.
    pub seed: u64,
    /// Spread and fees of entering and leaving, basis points.
    pub round_trip_cost_bps: f64,
    /// Models that were tried on these data so far, this challenger included: what the Sharpe ratios are deflated by.
    pub trials: usize,
}

/// Two networks cannot be compared.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum CompareError {
    /// A setting that would let anything win, or nothing.
    #[error("setting {field} is {value}: expected {expected}")]
    Setting {
        /// Which one.
        field: &'static str,
        /// Its value.
        value: f64,
        /// What is possible.
        expected: &'static str,
    },
    /// A decision that counts twice.
    #[error("{ticker} at {bar_start} occurs twice among the cases")]
    Twice {
        /// Stock.
        ticker: Ticker,
        /// Start of its bar, UTC.
        bar_start: DateTime<Utc>,
    },
    /// A return that is no number.
    #[error("the return of {ticker} at {bar_start} is not a finite number")]
    Return {
        /// Stock.
        ticker: Ticker,
        /// Start of its bar, UTC.
        bar_start: DateTime<Utc>,
    },
    /// What somebody said cannot be scored.
    #[error("failed to score the {name}")]
    Score {
        /// Champion, challenger or baseline.
        name: String,
        /// Why.
        #[source]
        source: ScoreError,
    },
}

/// A figure, or why there is none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Figure<T> {
    /// The figure.
    Known(T),
    /// Why there is none.
    Unknown(String),
}

impl<T> Figure<T> {
    /// The figure, if there is one.
    pub const fn known(&self) -> Option<&T> {
        match self {
            Self::Known(figure) => Some(figure),
            Self::Unknown(_) => None,
        }
    }
}

impl<T, E: std::error::Error> From<Result<T, E>> for Figure<T> {
    fn from(result: Result<T, E>) -> Self {
        result.map_or_else(|error| Self::Unknown(error.to_string()), Self::Known)
    }
}

/// A mean difference between two on the same cases, and how sure it is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// Mean over all cases.
    pub mean: f64,
    /// Its bounds, from resampling whole days.
    pub bounds: Figure<DailyMean>,
    /// The mean of each session, in order.
    pub sessions: Vec<SessionMean>,
}

/// The mean difference of one session.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct SessionMean {
    /// New York date.
    pub session: NaiveDate,
    /// Mean over its cases.
    pub mean: f64,
    /// Number of its cases.
    pub cases: usize,
}

/// Whether the challenger takes the champion's place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum Verdict {
    /// The lower bound of its gain clears the margin.
    Wins,
    /// Its gain itself does not.
    DoesNotWin {
        /// A clause that says what was found, such as "its log loss is higher by 0.00123".
        reason: String,
    },
    /// Its gain does, but so may luck.
    CannotTell {
        /// A clause that says what is missing.
        reason: String,
    },
}

/// How one network or baseline did.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Judged {
    /// "champion", "challenger" or the baseline's name.
    pub name: String,
    /// Its scores.
    pub scores: Scores,
    /// Its reliability diagram.
    pub reliability: Reliability,
    /// How often its conformal sets held what happened, where it has some.
    pub coverage: Option<SetCoverage>,
    /// What its signals were worth; absent for baselines, which make none.
    pub confirmed: Option<Confirmed>,
}

/// How often conformal sets held what happened, beside what was asked of them.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct SetCoverage {
    /// Probability asked for.
    pub asked: f64,
    /// What was found.
    pub found: Coverage,
}

/// What the confirmed recommendations were worth.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Confirmed {
    /// Over all cases.
    pub signals: SignalScores,
    /// Each session, in order, those without a signal included.
    pub sessions: Vec<SessionReturn>,
    /// The Sharpe ratio of the sessions' net returns, deflated by the number of trials.
    pub sharpe: Figure<DeflatedSharpe>,
}

/// The signals of one session.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct SessionReturn {
    /// New York date.
    pub session: NaiveDate,
    /// Number of signals.
    pub signals: usize,
    /// Sum of their returns after costs, basis points of the stake, the same for each signal.
    pub net_return_bps: f64,
}

/// A network beside a baseline.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AgainstBaseline {
    /// Which network.
    pub network: Side,
    /// Name of the baseline.
    pub baseline: String,
    /// Log loss of the baseline less that of the network: above zero where the network is better.
    pub log_loss_gain: Difference,
    /// Whether the lower bound of the gain lies above zero.
    pub beats: bool,
    /// The same in a sentence.
    pub statement: String,
}

/// Champion and challenger on the same cases.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// How it was made.
    pub settings: ComparisonSettings,
    /// First bar's start, UTC.
    pub from: DateTime<Utc>,
    /// Last bar's start, UTC.
    pub to: DateTime<Utc>,
    /// Number of sessions.
    pub sessions: usize,
    /// Number of stocks.
    pub tickers: usize,
    /// Number of cases.
    pub cases: usize,
    /// Shares of what happened, in the order of [`Class::ALL`].
    pub class_shares: [f64; 3],
    /// The network in service.
    pub champion: Judged,
    /// The one that wants its place.
    pub challenger: Judged,
    /// What is simple.
    pub baselines: Vec<Judged>,
    /// Log loss of the champion less that of the challenger: above zero where the challenger is better.
    pub log_loss_gain: Difference,
    /// Net return of the challenger's signals less that of the champion's, basis points a case.
    pub net_return_gain_bps: Difference,
    /// Whether the challenger wins.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// Both networks beside each baseline.
    pub against_baselines: Vec<AgainstBaseline>,
}

/// Compares two networks on cases that neither has seen; the caller answers for that.
///
/// `rule` says in which direction a side's recommendation goes, [`None`] or [`Class::Neutral`] where it makes none: it
/// holds the policy, and whatever else that needs to know.
///
/// The challenger wins only if the lower bound of its gain in log loss exceeds the margin. Bounds come from resampling
/// whole days, see [`daily_mean`].
///
/// # Errors
/// [`CompareError`] for cases or settings that make no comparison. Too few days are no error but a verdict.
pub fn compare(
    cases: &[Case],
    champion: &Network,
    challenger: &Network,
    baselines: &[Baseline],
    settings: &ComparisonSettings,
    rule: impl Fn(&Case, Side) -> Option<Class>,
) -> Result<Comparison, CompareError> {
    settings.check()?;
    check(cases)?;
    let bench = Bench::new(cases, settings);
    let bar_starts: Vec<DateTime<Utc>> = cases.iter().map(|case| case.bar_start).collect();
    let side = |side: Side, network: &Network| -> Result<(Judged, Vec<f64>), CompareError> {
        let said: Vec<[f64; 3]> = cases.iter().map(|case| *case.said(side)).collect();
        let judged = bench.judge(side.name(), &said, None)?;
        let decisions: Vec<Option<Class>> = cases.iter().map(|case| rule(case, side)).collect();
        let (confirmed, net_returns_bps) = bench.confirmed(&decisions);
        let judged = Judged {
            coverage: network.sets.as_ref().map(|sets| SetCoverage {
                asked: sets.coverage,
                found: covered_in_service(sets, &bar_starts, &bench.truth, &said),
            }),
            confirmed: Some(confirmed),
            ..judged
        };
        Ok((judged, net_returns_bps))
    };
    let (champion, champion_returns) = side(Side::Champion, champion)?;
    let (challenger, challenger_returns) = side(Side::Challenger, challenger)?;
    let losses =
        |side: Side| bench.losses(&mut cases.iter().map(move |case| case.said(side).to_owned()));
    let [champion_losses, challenger_losses] = [Side::Champion, Side::Challenger].map(losses);
    let log_loss_gain = bench.difference(&champion_losses, &challenger_losses);

    let mut against_baselines = Vec::new();
    let mut judged_baselines = Vec::new();
    for baseline in baselines {
        let chosen = baseline.chosen.as_deref();
        judged_baselines.push(bench.judge(&baseline.name, &baseline.probabilities, chosen)?);
        let theirs = bench.losses(&mut baseline.probabilities.iter().copied());
        for (network, own) in [
            (Side::Champion, &champion_losses),
            (Side::Challenger, &challenger_losses),
        ] {
            against_baselines.push(AgainstBaseline::new(
                network,
                &baseline.name,
                bench.difference(&theirs, own),
            ));
        }
    }
    let starts = || cases.iter().map(|case| case.bar_start);
    Ok(Comparison {
        settings: *settings,
        from: starts().min().unwrap_or_default(),
        to: starts().max().unwrap_or_default(),
        sessions: log_loss_gain.sessions.len(),
        tickers: cases
            .iter()
            .map(|case| &case.ticker)
            .collect::<BTreeSet<_>>()
            .len(),
        cases: cases.len(),
        class_shares: champion
            .scores
            .classes
            .map(|class| class.support as f64 / cases.len() as f64),
        verdict: verdict(&log_loss_gain, settings.margin),
        net_return_gain_bps: bench.difference(&challenger_returns, &champion_returns),
        champion,
        challenger,
        baselines: judged_baselines,
        log_loss_gain,
        against_baselines,
    })
}

impl ComparisonSettings {
    /// Checks settings read from a file.
    ///
    /// # Errors
    /// [`CompareError::Setting`] names the first that is out of range.
    pub fn check(&self) -> Result<(), CompareError> {
        let field = |field, value: f64, valid: bool, expected| match valid {
            true => Ok(()),
            false => Err(CompareError::Setting {
                field,
                value,
                expected,
            }),
        };
        let (margin, level, cost) = (self.margin, self.level, self.round_trip_cost_bps);
        field(
            "margin",
            margin,
            (0.0..1.0).contains(&margin),
            "0 or more, below 1",
        )?;
        field(
            "level",
            level,
            level > 0.5 && level < 1.0,
            "above 0.5 and below 1",
        )?;
        field(
            "resamples",
            self.resamples as f64,
            self.resamples >= 100,
            "100 or more",
        )?;
        field(
            "round_trip_cost_bps",
            cost,
            cost >= 0.0 && cost.is_finite(),
            "0 or more",
        )?;
        field("trials", self.trials as f64, self.trials > 0, "1 or more")
    }
}

fn check(cases: &[Case]) -> Result<(), CompareError> {
    let mut known = BTreeSet::new();
    for case in cases {
        let (ticker, bar_start) = (case.ticker.clone(), case.bar_start);
        if !case.gross_return.is_finite() {
            return Err(CompareError::Return { ticker, bar_start });
        }
        if !known.insert((&case.ticker, bar_start)) {
            return Err(CompareError::Twice { ticker, bar_start });
        }
    }
    Ok(())
}

/// The cases that everybody is judged on.
struct Bench<'a> {
    cases: &'a [Case],
    truth: Vec<Class>,
    settings: &'a ComparisonSettings,
}

impl<'a> Bench<'a> {
    fn new(cases: &'a [Case], settings: &'a ComparisonSettings) -> Self {
        Self {
            cases,
            truth: cases.iter().map(|case| case.truth).collect(),
            settings,
        }
    }

    fn judge(
        &self,
        name: &str,
        said: &[[f64; 3]],
        chosen: Option<&[Class]>,
    ) -> Result<Judged, CompareError> {
        let failed = |source| CompareError::Score {
            name: name.to_owned(),
            source,
        };
        let most_probable = most_probable(said);
        Ok(Judged {
            name: name.to_owned(),
            scores: score(&self.truth, chosen.unwrap_or(&most_probable), said).map_err(failed)?,
            reliability: reliability(&self.truth, said).map_err(failed)?,
            coverage: None,
            confirmed: None,
        })
    }

    /// What each case adds to the log loss.
    fn losses(&self, said: &mut dyn Iterator<Item = [f64; 3]>) -> Vec<f64> {
        self.truth
            .iter()
            .zip(said)
            .map(|(truth, values)| surprise(&values, truth.index()))
            .collect()
    }

    /// Of `left` less `right`, a value for each case.
    fn difference(&self, left: &[f64], right: &[f64]) -> Difference {
        let pairs = || {
            let values = left.iter().zip(right).map(|(left, right)| left - right);
            self.cases.iter().map(|case| case.session).zip(values)
        };
        let mut sessions: BTreeMap<NaiveDate, (f64, usize)> = BTreeMap::new();
        for (session, value) in pairs() {
            let (sum, cases) = sessions.entry(session).or_default();
            *sum += value;
            *cases += 1;
        }
        let settings = self.settings;
        Difference {
            mean: sessions.values().map(|(sum, _)| sum).sum::<f64>() / self.cases.len() as f64,
            bounds: daily_mean(pairs(), settings.level, settings.resamples, settings.seed).into(),
            sessions: sessions
                .into_iter()
                .map(|(session, (sum, cases))| SessionMean {
                    session,
                    mean: sum / cases as f64,
                    cases,
                })
                .collect(),
        }
    }

    /// What the signals were worth, and the net return of each case in basis points, 0 without a signal.
    fn confirmed(&self, decisions: &[Option<Class>]) -> (Confirmed, Vec<f64>) {
        let cost = self.settings.round_trip_cost_bps;
        let mut signals = Vec::new();
        let mut net_returns = Vec::new();
        let mut sessions: BTreeMap<NaiveDate, (usize, f64)> = BTreeMap::new();
        for (case, decision) in self.cases.iter().zip(decisions) {
            let (count, sum) = sessions.entry(case.session).or_default();
            let Some(direction @ (Class::Up | Class::Down)) = *decision else {
                net_returns.push(0.0);
                continue;
            };
            let signal = Signal {
                direction,
                happened: case.truth,
                gross_return: case.gross_return,
            };
            let net_return = signal.directed_return() * 1e4 - cost;
            *count += 1;
            *sum += net_return;
            net_returns.push(net_return);
            signals.push(signal);
        }
        let sessions: Vec<SessionReturn> = sessions
            .into_iter()
            .map(|(session, (signals, net_return_bps))| SessionReturn {
                session,
                signals,
                net_return_bps,
            })
            .collect();
        let returns: Vec<f64> = sessions
            .iter()
            .map(|session| session.net_return_bps)
            .collect();
        let confirmed = Confirmed {
            signals: score_signals(&signals, self.cases.len(), cost),
            sharpe: deflated_sharpe(&returns, self.settings.trials).into(),
            sessions,
        };
        (confirmed, net_returns)
    }
}

fn verdict(gain: &Difference, margin: f64) -> Verdict {
    let bounds = match &gain.bounds {
        Figure::Known(bounds) => bounds,
        Figure::Unknown(reason) => {
            return Verdict::CannotTell {
                reason: reason.clone(),
            };
        }
    };
    if bounds.lower > margin {
        return Verdict::Wins;
    }
    let found = lower_by(bounds.mean);
    if bounds.mean <= 0.0 {
        Verdict::DoesNotWin {
            reason: format!("its log loss is {found}"),
        }
    } else if bounds.mean <= margin {
        Verdict::DoesNotWin {
            reason: format!(
                "its log loss is {found}, which does not clear the margin of {margin:.5}"
            ),
        }
    } else {
        Verdict::CannotTell {
            reason: format!(
                "its log loss is {found} on these {} days, but at {} certainty it may be {} on others, \
                 which does not clear the margin of {margin:.5}",
                bounds.days,
                percent(bounds.level),
                lower_by(bounds.lower),
            ),
        }
    }
}

impl AgainstBaseline {
    fn new(network: Side, baseline: &str, log_loss_gain: Difference) -> Self {
        let name = network.name();
        let found = lower_by(log_loss_gain.mean);
        let beats = log_loss_gain
            .bounds
            .known()
            .is_some_and(|bounds| bounds.lower > 0.0);
        let statement = match &log_loss_gain.bounds {
            Figure::Unknown(reason) => {
                format!("the {name} is not shown to beat the {baseline}: {reason}")
            }
            Figure::Known(bounds) => {
                let (level, days) = (percent(bounds.level), bounds.days);
                if beats {
                    format!(
                        "the {name} beats the {baseline}: its log loss is {found}, and {} at the least, \
                         at {level} certainty over {days} days",
                        lower_by(bounds.lower)
                    )
                } else if bounds.upper < 0.0 {
                    format!(
                        "the {name} does not beat the {baseline}: its log loss is {found}, and {} at the best, \
                         at {level} certainty over {days} days",
                        lower_by(bounds.upper)
                    )
                } else {
                    format!(
                        "the {name} does not beat the {baseline}: its log loss is {found} on these {days} days, \
                         and may be {} to {} on others, each at {level} certainty",
                        lower_by(bounds.lower),
                        lower_by(bounds.upper)
                    )
                }
            }
        };
        Self {
            network,
            baseline: baseline.to_owned(),
            log_loss_gain,
            beats,
            statement,
        }
    }
}

/// A gain in log loss in words: "lower by 0.00123", "higher by 0.00123" or "the same".
pub(crate) fn lower_by(gain: f64) -> String {
    let size = format!("{:.5}", gain.abs());
    match gain {
        _ if size == "0.00000" => "the same".into(),
        gain if gain > 0.0 => format!("lower by {size}"),
        _ => format!("higher by {size}"),
    }
}

/// "95 %", with two decimals at most.
pub(crate) fn percent(share: f64) -> String {
    format!("{} %", (share * 1e4).round() / 100.0)
}
