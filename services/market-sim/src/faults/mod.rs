//! Faults on demand: a script of rules decides, request by request, what goes wrong.
//!
//! Whether the nth request that meets a rule is hit depends on the script's seed, the rule's place, what is asked for
//! and n alone, so a run can be repeated whatever the order of requests for different stocks.

mod bars;
mod carry_out;

use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use chrono::{DateTime, Utc};
use rand::RngExt;
use serde::{Deserialize, Serialize};

use crate::{
    random,
    vendor::{Asked, Endpoint, Vendor},
};

pub(crate) use bars::spoil;
pub(crate) use carry_out::{HangUp, answer, carry_out};

/// What can go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// The vendor's own words for too many requests: 429, with Alpha Vantage an `Information` with status 200.
    TooManyRequests,
    /// The vendor's own words for a wrong session or key.
    Unauthorized,
    /// 503 with a page for people.
    ServerError,
    /// No answer for the rule's `seconds`, then the connection ends.
    Timeout,
    /// The connection ends in the middle of the answer, and in the middle of a stream.
    CutConnection,
    /// The answer ends in the middle, as if it were whole.
    Truncated,
    /// Status 200 and a page for people instead of the data.
    Html,
    /// A chart with status 200, without `timestamp` and columns.
    EmptyNoTimestamp,
    /// A chart with status 200 and empty lists.
    EmptyArrays,
    /// A chart with status 200 and times, all of whose cells are null.
    EmptyNulls,
    /// A chart of five times the interval asked for.
    CoarserInterval,
    /// A chart whose columns are of different lengths.
    Ragged,
    /// "Too Many Requests" with status 200 where the crumb should be; elsewhere what follows for a client that took it
    /// for one: 401, Invalid Crumb.
    PoisonedCrumb,
    /// A chart without the newest `minutes`.
    LateBars,
    /// A chart whose bars of the last `minutes` are not final: another close, less volume.
    RevisedBars,
    /// A chart with up to three impossible rows.
    BadTicks,
    /// The vendor is down: every connection ends without an answer.
    Unavailable,
}

/// When a fault happens. Without conditions: always.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultRule {
    /// What goes wrong.
    pub fault: Fault,
    /// With this vendor only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vendor: Option<Vendor>,
    /// With this question only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<Endpoint>,
    /// Only when one of these is asked for: tickers, FRED's series, NewsAPI's search words. Empty means all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tickers: Vec<String>,
    /// Share of the requests that it hits, 0 to 1.
    #[serde(default = "whole")]
    pub share: f64,
    /// From this market time on, UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<DateTime<Utc>>,
    /// Until before this market time, UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<DateTime<Utc>>,
    /// So many times at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u64>,
    /// How many minutes of bars are late or not final, market time.
    #[serde(default = "three")]
    pub minutes: u32,
    /// How long a timeout lasts, real seconds.
    #[serde(default = "minute")]
    pub seconds: f64,
}

const fn whole() -> f64 {
    1.0
}

const fn three() -> u32 {
    3
}

const fn minute() -> f64 {
    60.0
}

impl FaultRule {
    /// A fault that always happens where it can.
    pub const fn always(fault: Fault) -> Self {
        Self {
            fault,
            vendor: None,
            endpoint: None,
            tickers: Vec::new(),
            share: whole(),
            from: None,
            until: None,
            times: None,
            minutes: three(),
            seconds: minute(),
        }
    }

    fn matches(&self, asked: &Asked, now: DateTime<Utc>) -> bool {
        self.fault.concerns(asked.endpoint)
            && self.vendor.is_none_or(|vendor| vendor == asked.vendor)
            && self
                .endpoint
                .is_none_or(|endpoint| endpoint == asked.endpoint)
            && (self.tickers.is_empty()
                || self
                    .tickers
                    .iter()
                    .any(|ticker| ticker.eq_ignore_ascii_case(&asked.subject)))
            && self.from.is_none_or(|from| from <= now)
            && self.until.is_none_or(|until| now < until)
    }

    fn check(&self, number: usize) -> Result<(), FaultError> {
        let wrong = |what: String| Err(FaultError::Rule { number, what });
        if !(0.0..=1.0).contains(&self.share) {
            return wrong(format!("share is a part of 1, not {}", self.share));
        }
        if !(self.seconds.is_finite() && (0.0..=3600.0).contains(&self.seconds)) {
            return wrong(format!("seconds are 0 to 3600, not {}", self.seconds));
        }
        let vendors = self
            .vendor
            .map_or(Vendor::ALL.to_vec(), |vendor| vec![vendor]);
        let mut endpoints = vendors.iter().flat_map(|vendor| vendor.endpoints());
        let possible = endpoints.any(|&endpoint| {
            self.fault.concerns(endpoint) && self.endpoint.is_none_or(|only| only == endpoint)
        });
        if possible {
            Ok(())
        } else {
            wrong("this fault cannot happen with that vendor and endpoint".to_owned())
        }
    }
}

impl Fault {
    /// Whether it can happen with a question.
    fn concerns(self, endpoint: Endpoint) -> bool {
        match self {
            Self::EmptyNoTimestamp
            | Self::EmptyArrays
            | Self::EmptyNulls
            | Self::CoarserInterval
            | Self::Ragged
            | Self::LateBars
            | Self::RevisedBars
            | Self::BadTicks => endpoint == Endpoint::Chart,
            Self::PoisonedCrumb => matches!(
                endpoint,
                Endpoint::Crumb | Endpoint::Chart | Endpoint::Summary | Endpoint::Search
            ),
            Self::Truncated => !matches!(endpoint, Endpoint::Stream | Endpoint::Cookie),
            Self::TooManyRequests
            | Self::Unauthorized
            | Self::ServerError
            | Self::Timeout
            | Self::CutConnection
            | Self::Html
            | Self::Unavailable => true,
        }
    }
}

/// A seed and rules; of several rules that hit a request the first counts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FaultScript {
    /// Decides which requests of a share are hit.
    pub seed: u64,
    /// What goes wrong, in order of precedence.
    pub rules: Vec<FaultRule>,
}

impl Default for FaultScript {
    fn default() -> Self {
        Self {
            seed: 1,
            rules: Vec::new(),
        }
    }
}

/// A script of faults cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FaultError {
    /// The file cannot be read.
    #[error("failed to read the faults in {}", path.display())]
    Read {
        /// Path of the file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// It is no script.
    #[error(
        "no script of faults: expected {{\"seed\": 1, \"rules\": [{{\"fault\": \"too_many_requests\", \"share\": 0.3}}]}}"
    )]
    Parse(#[source] serde_json::Error),
    /// A rule contradicts itself.
    #[error("rule {number}: {what}")]
    Rule {
        /// Its place, from 0.
        number: usize,
        /// What is wrong with it.
        what: String,
    },
}

impl FaultScript {
    /// Reads a script from JSON.
    ///
    /// # Errors
    /// [`FaultError::Parse`] or [`FaultError::Rule`] when it is none.
    pub fn from_json(text: &[u8]) -> Result<Self, FaultError> {
        let script: Self = serde_json::from_slice(text).map_err(FaultError::Parse)?;
        script.checked()
    }

    /// Reads a script from a JSON file.
    ///
    /// # Errors
    /// [`FaultError`] when it cannot be read or is none.
    pub fn read(path: &Path) -> Result<Self, FaultError> {
        let text = std::fs::read(path).map_err(|source| FaultError::Read {
            path: path.to_owned(),
            source,
        })?;
        Self::from_json(&text)
    }

    /// Checks that every rule can happen.
    ///
    /// # Errors
    /// [`FaultError::Rule`] for the first that cannot.
    pub fn checked(self) -> Result<Self, FaultError> {
        for (number, rule) in self.rules.iter().enumerate() {
            rule.check(number)?;
        }
        Ok(self)
    }
}

/// The script in force, and what came of it.
#[derive(Debug, Default)]
pub struct Faults(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    script: FaultScript,
    /// How many scripts there were before.
    generation: u64,
    /// Per rule of the script.
    tallies: Vec<Tally>,
    requests: BTreeMap<Vendor, BTreeMap<Endpoint, u64>>,
    served: BTreeMap<Fault, u64>,
}

#[derive(Clone, Debug, Default)]
struct Tally {
    matched: u64,
    served: u64,
    /// Per vendor, endpoint and subject, how often the rule matched.
    drawn: HashMap<String, u64>,
}

/// A fault that is due for one request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Due {
    pub(crate) fault: Fault,
    pub(crate) minutes: u32,
    pub(crate) seconds: f64,
    /// Decides the fault's details.
    pub(crate) seed: u64,
    rule: usize,
    generation: u64,
}

/// What happened since the start.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FaultReport {
    /// The script's seed.
    pub seed: u64,
    /// The script's rules with their counts.
    pub rules: Vec<RuleReport>,
    /// Requests per vendor and endpoint, hit or not, since the simulator's start.
    pub requests: BTreeMap<Vendor, BTreeMap<Endpoint, u64>>,
    /// Faults that happened, since the simulator's start, whatever script asked for them.
    pub served: BTreeMap<Fault, u64>,
}

/// A rule and how often it came to pass since its script was set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RuleReport {
    /// The rule.
    pub rule: FaultRule,
    /// Requests that met its conditions.
    pub matched: u64,
    /// Requests that it spoilt. Fewer than drawn where an answer had nothing to spoil, such as an empty chart.
    pub served: u64,
}

impl Faults {
    /// Puts a script in force instead of the one before; its rules count from 0.
    pub fn set(&self, script: FaultScript) {
        let mut state = self.lock();
        state.tallies = vec![Tally::default(); script.rules.len()];
        state.script = script;
        state.generation += 1;
    }

    /// Counts so far.
    pub fn report(&self) -> FaultReport {
        let state = self.lock();
        let rules = state.script.rules.iter().zip(&state.tallies);
        FaultReport {
            seed: state.script.seed,
            rules: rules
                .map(|(rule, tally)| RuleReport {
                    rule: rule.clone(),
                    matched: tally.matched,
                    served: tally.served,
                })
                .collect(),
            requests: state.requests.clone(),
            served: state.served.clone(),
        }
    }

    /// Counts a request and says what goes wrong with it.
    pub(crate) fn draw(&self, asked: &Asked, now: DateTime<Utc>) -> Option<Due> {
        let mut state = self.lock();
        let count = state.requests.entry(asked.vendor).or_default();
        *count.entry(asked.endpoint).or_default() += 1;
        let State {
            script,
            generation,
            tallies,
            ..
        } = &mut *state;
        for (number, (rule, tally)) in script.rules.iter().zip(tallies).enumerate() {
            if !rule.matches(asked, now) || rule.times.is_some_and(|times| tally.served >= times) {
                continue;
            }
            tally.matched += 1;
            let subject = format!("{} {} {}", asked.vendor, asked.endpoint, asked.subject);
            let turn = tally.drawn.entry(subject.clone()).or_default();
            *turn += 1;
            let mut lot = random::stream(script.seed, &format!("{number} {subject} {turn}"), None);
            if lot.random::<f64>() < rule.share {
                return Some(Due {
                    fault: rule.fault,
                    minutes: rule.minutes,
                    seconds: rule.seconds,
                    seed: lot.random(),
                    rule: number,
                    generation: *generation,
                });
            }
        }
        None
    }

    /// Whether the vendor is down for everybody, so that what is connected is cut off too.
    pub(crate) fn is_down(&self, asked: &Asked, now: DateTime<Utc>) -> bool {
        let state = self.lock();
        let mut rules = state.script.rules.iter();
        rules.any(|rule| {
            rule.fault == Fault::Unavailable && rule.share >= 1.0 && rule.matches(asked, now)
        })
    }

    /// Counts a fault that happened.
    pub(crate) fn happened(&self, due: &Due) {
        let mut state = self.lock();
        *state.served.entry(due.fault).or_default() += 1;
        if state.generation == due.generation
            && let Some(tally) = state.tallies.get_mut(due.rule)
        {
            tally.served += 1;
        }
    }

    // Counters only: a panic while counting leaves nothing torn.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(ticker: &str) -> Asked {
        Asked {
            vendor: Vendor::Yahoo,
            endpoint: Endpoint::Chart,
            subject: ticker.to_owned(),
        }
    }

    fn faults(rules: &str) -> Faults {
        let json = format!("{{\"seed\": 7, \"rules\": {rules}}}");
        let faults = Faults::default();
        faults.set(FaultScript::from_json(json.as_bytes()).unwrap());
        faults
    }

    #[test]
    fn a_share_is_drawn_the_same_again_whatever_else_is_asked() {
        let rule = r#"[{"fault": "server_error", "share": 0.3}]"#;
        let now = Utc::now();
        let hits = |noise: bool| -> Vec<bool> {
            let faults = faults(rule);
            (0..1_000)
                .map(|_| {
                    if noise {
                        faults.draw(&chart("MSFT"), now);
                    }
                    faults.draw(&chart("AAPL"), now).is_some()
                })
                .collect()
        };
        let hit = hits(false);
        assert_eq!(hit, hits(true));
        let count = hit.iter().filter(|hit| **hit).count();
        assert!((250..350).contains(&count), "{count}");
    }

    #[test]
    fn rules_have_conditions() {
        let faults = faults(
            r#"[
                {"fault": "html", "vendor": "fred"},
                {"fault": "ragged", "tickers": ["aapl"], "from": "2026-03-09T14:00:00Z", "until": "2026-03-09T15:00:00Z"},
                {"fault": "timeout", "times": 1, "endpoint": "chart"}
            ]"#,
        );
        let at = |time: &str, ticker: &str| {
            let due = faults.draw(&chart(ticker), time.parse().unwrap())?;
            faults.happened(&due);
            Some(due.fault)
        };
        assert_eq!(at("2026-03-09T14:00:00Z", "AAPL"), Some(Fault::Ragged));
        assert_eq!(at("2026-03-09T14:59:59Z", "MSFT"), Some(Fault::Timeout));
        assert_eq!(at("2026-03-09T15:00:00Z", "AAPL"), None);
        let report = faults.report();
        assert_eq!(
            report
                .rules
                .iter()
                .map(|rule| rule.served)
                .collect::<Vec<_>>(),
            [0, 1, 1]
        );
        assert_eq!(report.requests[&Vendor::Yahoo][&Endpoint::Chart], 3);
        faults.set(FaultScript::default());
        assert_eq!(faults.report().served[&Fault::Ragged], 1, "remembered");
    }

    #[test]
    fn a_rule_that_cannot_happen_is_refused() {
        for (json, word) in [
            (
                r#"{"rules": [{"fault": "ragged", "vendor": "fred"}]}"#,
                "rule 0",
            ),
            (r#"{"rules": [{"fault": "html", "share": 2}]}"#, "share"),
            (r#"{"rules": [{"fault": "gremlins"}]}"#, "script"),
            (
                r#"{"rules": [{"fault": "html", "ticker": "AAPL"}]}"#,
                "script",
            ),
        ] {
            let error = FaultScript::from_json(json.as_bytes()).unwrap_err();
            assert!(error.to_string().contains(word), "{error}");
        }
    }
}
