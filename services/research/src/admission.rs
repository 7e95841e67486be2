//! What of a file's bars is used: what a vendor's answer would bring in, by the same check of steps.

use std::{collections::BTreeMap, fmt};

use chrono::{DateTime, Utc};
use domain::{Bar, Continuity, Joint, Ticker};
use ingestion::{PriceBreak, Step};

/// Findings of a kind that are shown one by one.
const SHOWN: usize = 5;

/// The bars that pass, and what was found on the way. Displays as one line a finding.
#[derive(Debug, Default)]
pub(crate) struct Admission {
    /// Ascending and unique; tickers without any are left out.
    pub(crate) bars: BTreeMap<Ticker, Vec<Bar>>,
    /// Bad ticks.
    pub(crate) refused: Vec<(Ticker, Bar, Step)>,
    breaks: Vec<(Ticker, PriceBreak)>,
    holes: Vec<Hole>,
}

/// Trading that is not there.
#[derive(Debug)]
struct Hole {
    ticker: Ticker,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
    minutes: u32,
}

impl Admission {
    /// Judges one ticker's bars, ascending and unique, of regular sessions. `basis` brings a bar to the share basis of all
    /// others and of the bar `before` them, where one is known.
    pub(crate) fn add(
        &mut self,
        ticker: &Ticker,
        before: Option<&Bar>,
        mut bars: Vec<Bar>,
        basis: impl Fn(&Bar) -> Bar,
    ) {
        let judged = ingestion::admit(before, bars.iter().map(basis).collect());
        self.find_holes(ticker, &judged.accepted);
        let breaks = judged.breaks.into_iter();
        self.breaks
            .extend(breaks.map(|found| (ticker.clone(), found)));
        let mut steps = judged.refused.into_iter().peekable();
        bars.retain(
            |bar| match steps.next_if(|(refused, _)| refused.start == bar.start) {
                Some((_, step)) => {
                    self.refused.push((ticker.clone(), *bar, step));
                    false
                }
                None => true,
            },
        );
        if !bars.is_empty() {
            self.bars.insert(ticker.clone(), bars);
        }
    }

    fn find_holes(&mut self, ticker: &Ticker, bars: &[Bar]) {
        for (bar, from, joint) in joints(bars) {
            if joint == Joint::Hole {
                self.holes.push(Hole {
                    ticker: ticker.clone(),
                    from,
                    to: bar.start,
                    minutes: ::calendar::nyse().trading_minutes(from, bar.start),
                });
            }
        }
    }
}

/// How each bar of one ticker joins the one before it, and when that one closed.
pub(crate) fn joints(bars: &[Bar]) -> impl Iterator<Item = (&Bar, DateTime<Utc>, Joint)> {
    let mut continuity = Continuity::default();
    let mut last: Option<DateTime<Utc>> = None;
    bars.iter().map(move |bar| {
        let from = last.replace(bar.close_time()).unwrap_or(bar.start);
        let missing = ::calendar::nyse().trading_minutes(from, bar.start);
        (bar, from, continuity.next(bar, missing))
    })
}

impl fmt::Display for Admission {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = |time: DateTime<Utc>| time.format("%Y-%m-%d %H:%M UTC");
        list(
            formatter,
            &self.refused,
            "bars left out",
            |(ticker, bar, step)| {
                format!(
                    "{ticker} {}: the price {step} ({} after {}): left out as a bad tick",
                    time(bar.start),
                    bar.close,
                    step.from
                )
            },
        )?;
        list(
            formatter,
            &self.breaks,
            "steps of the price",
            |(ticker, found)| {
                format!(
                    "{ticker} {}: the price goes on at {} after {}, and nobody told of a split: another company under this \
                 ticker, or prices as they were traded; what follows is a history of its own",
                    time(found.at),
                    found.to,
                    found.from
                )
            },
        )?;
        list(formatter, &self.holes, "holes", |hole| {
            format!(
                "{}: {} minutes of trading are missing from {} to {}: no label and no feature reaches across",
                hole.ticker,
                hole.minutes,
                time(hole.from),
                time(hole.to)
            )
        })
    }
}

/// A line for each of the first findings, and how many more there are.
fn list<T>(
    formatter: &mut fmt::Formatter<'_>,
    findings: &[T],
    what: &str,
    line: impl Fn(&T) -> String,
) -> fmt::Result {
    for finding in findings.iter().take(SHOWN) {
        writeln!(formatter, "{}", line(finding))?;
    }
    match findings.len().saturating_sub(SHOWN) {
        0 => Ok(()),
        more => writeln!(formatter, "and {more} more {what} like these"),
    }
}

/// Says why a command has nothing to write: what it needs, and what there is of it.
pub(crate) fn nothing_came(needed: &str, bars: &BTreeMap<Ticker, Vec<Bar>>) -> String {
    const MOST: usize = 3;
    if bars.values().all(Vec::is_empty) {
        return format!("no rows: there is no bar of a regular session ({needed})");
    }
    let there = bars.iter().take(MOST).map(|(ticker, bars)| {
        let mut dates: Vec<_> = bars.iter().map(|bar| bar.start.date_naive()).collect();
        dates.dedup();
        format!(
            "{ticker} has {} bars of {} sessions",
            bars.len(),
            dates.len()
        )
    });
    let mut there = there.collect::<Vec<_>>().join(", ");
    if bars.len() > MOST {
        there += &format!(", and so on for {} more", bars.len() - MOST);
    }
    format!("no rows: {needed}; {there}")
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    /// Minutes of one session from its open on, each at a price.
    fn bars(closes: impl IntoIterator<Item = f64>) -> Vec<Bar> {
        let open: DateTime<Utc> = "2018-02-20T14:30:00Z".parse().unwrap();
        let bar = |(minute, close)| {
            let start = open + TimeDelta::minutes(minute);
            Bar::new(start, close, close, close, close, 100.0).unwrap()
        };
        (0..).zip(closes).map(bar).collect()
    }

    fn admitted(bars: Vec<Bar>) -> Admission {
        let mut admission = Admission::default();
        admission.add(&Ticker::parse("AAPL").unwrap(), None, bars, |bar| *bar);
        admission
    }

    #[test]
    fn every_finding_is_named() {
        let mut all = bars((0..200).map(|minute| match minute {
            50 => 9_939.0,
            0..150 => 100.0,
            _ => 700.0,
        }));
        all.drain(100..120);
        let found = admitted(all);
        assert_eq!(
            found.to_string(),
            "AAPL 2018-02-20 15:20 UTC: the price steps by more than half without a split (9939 after 100): left out as a bad \
             tick\n\
             AAPL 2018-02-20 17:00 UTC: the price goes on at 700 after 100, and nobody told of a split: another company \
             under this ticker, or prices as they were traded; what follows is a history of its own\n\
             AAPL: 20 minutes of trading are missing from 2018-02-20 16:10 UTC to 2018-02-20 16:30 UTC: no label and no \
             feature reaches across\n"
        );
        assert_eq!(found.bars.values().map(Vec::len).sum::<usize>(), 179);
        assert_eq!(admitted(bars([100.0; 60])).to_string(), "");
        let many = admitted(bars(
            (0..60).map(|minute| if minute % 9 == 8 { 1.0 } else { 100.0 }),
        ));
        assert!(
            many.to_string()
                .ends_with("and 1 more bars left out like these\n"),
            "{many}"
        );
    }

    #[test]
    fn bars_are_judged_on_one_share_basis_and_stay_on_their_own() {
        let all = bars((0..60).map(|minute| if minute < 30 { 400.0 } else { 100.0 }));
        let split = all[30].start;
        let mut admission = Admission::default();
        admission.add(&Ticker::parse("AAPL").unwrap(), None, all.clone(), |bar| {
            let factor = if bar.start < split { 4.0 } else { 1.0 };
            let price = |price: domain::Price| price.get() / factor;
            let close = price(bar.close);
            Bar::new(bar.start, close, close, close, close, 100.0).unwrap()
        });
        assert_eq!(admission.to_string(), "");
        assert_eq!(admission.bars.into_values().next(), Some(all));
    }
}
