//! The page's drawings, as SVG that takes its colours from the page.

use std::fmt::{self, Display, Formatter};

use chrono::NaiveDate;

use crate::{ReliabilityBin, SessionMean, SessionReturn};

/// Side of a reliability diagram's square, in the drawing's units.
const SQUARE: f64 = 150.0;
/// Width of a chart over sessions.
const WIDTH: f64 = 510.0;
/// Height of a chart over sessions.
const HEIGHT: f64 = 210.0;
/// Room for figures left of a chart.
const LEFT: f64 = 62.0;
/// Room for the other margins.
const MARGIN: f64 = 12.0;
/// Room for dates or figures below a chart.
const BELOW: f64 = 24.0;
/// Dates below a chart at most.
const DATES: usize = 8;

/// Observed shares over predicted probabilities; dots by number of cases, the diagonal is perfect.
pub(super) struct ReliabilityDiagram<'a> {
    pub(super) bins: &'a [ReliabilityBin],
    /// Class of the page's style that colours it.
    pub(super) colour: &'a str,
    /// What it shows, for those who do not see it.
    pub(super) label: &'a str,
}

impl Display for ReliabilityDiagram<'_> {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let (left, top) = (34.0, 8.0);
        let (width, height) = (left + SQUARE + MARGIN, top + SQUARE + 34.0);
        let x = |share: f64| left + share * SQUARE;
        let y = |share: f64| top + (1.0 - share) * SQUARE;
        write!(
            out,
            r#"<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" aria-label="{}">"#,
            self.label
        )?;
        for (share, text) in [(0.0, "0"), (0.5, "50"), (1.0, "100")] {
            write!(
                out,
                r#"<path class="grid" d="M{x0:.1} {y:.1}H{x1:.1}M{x:.1} {y0:.1}V{y1:.1}"/>"#,
                x0 = x(0.0),
                x1 = x(1.0),
                y0 = y(0.0),
                y1 = y(1.0),
                x = x(share),
                y = y(share)
            )?;
            write!(
                out,
                r#"<text x="{:.1}" y="{:.1}" text-anchor="end">{text}</text>"#,
                left - 5.0,
                y(share) + 4.0
            )?;
            write!(
                out,
                r#"<text x="{:.1}" y="{:.1}" text-anchor="middle">{text}</text>"#,
                x(share),
                y(0.0) + 14.0
            )?;
        }
        write!(
            out,
            r#"<path class="dashed" d="M{:.1} {:.1}L{:.1} {:.1}"/>"#,
            x(0.0),
            y(0.0),
            x(1.0),
            y(1.0)
        )?;
        let most = self.bins.iter().map(|bin| bin.cases).max().unwrap_or(1);
        for bin in self.bins {
            // The area shows the number of cases; a bin of a few remains visible.
            let radius = 2.0 + 7.0 * (bin.cases as f64 / most as f64).sqrt();
            write!(
                out,
                r#"<circle class="dot {}" cx="{:.1}" cy="{:.1}" r="{radius:.1}"><title>given {:.2} %, happened {:.2} %, {} cases</title></circle>"#,
                self.colour,
                x(bin.predicted),
                y(bin.observed),
                bin.predicted * 100.0,
                bin.observed * 100.0,
                bin.cases
            )?;
        }
        write!(
            out,
            r#"<text x="{:.1}" y="{:.1}" text-anchor="middle">probability given, %</text></svg>"#,
            x(0.5),
            y(0.0) + 30.0
        )
    }
}

/// Sums of net returns from session to session, a line for each side.
pub(super) struct EquityCurves<'a> {
    /// Name, which is also the class of the page's style that colours it, and its sessions.
    pub(super) lines: &'a [(&'a str, &'a [SessionReturn])],
}

impl Display for EquityCurves<'_> {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let sums = |sessions: &[SessionReturn]| -> Vec<f64> {
            let sum = |sum: &mut f64, session: &SessionReturn| {
                *sum += session.net_return_bps;
                Some(*sum)
            };
            sessions.iter().scan(0.0, sum).collect()
        };
        let dates: Vec<NaiveDate> = match self.lines {
            [(_, sessions), ..] => sessions.iter().map(|session| session.session).collect(),
            [] => Vec::new(),
        };
        let values = self.lines.iter().flat_map(|(_, sessions)| sums(sessions));
        let frame = Frame::new(&dates, values);
        frame.open(out, "sum of net returns of confirmed signals by session")?;
        for (name, sessions) in self.lines {
            let sums = sums(sessions);
            write!(
                out,
                r#"<path class="path {name}" d="M{:.1} {:.1}"#,
                LEFT,
                frame.y(0.0)
            )?;
            for (position, sum) in sums.iter().enumerate() {
                write!(out, "L{:.1} {:.1}", frame.x(position), frame.y(*sum))?;
            }
            write!(out, r#""/>"#)?;
            for ((position, session), sum) in sessions.iter().enumerate().zip(&sums) {
                write!(
                    out,
                    r#"<circle class="{name}" cx="{:.1}" cy="{:.1}" r="3"><title>{name}, {}: {} signals, {:.2} bp net; {:.2} bp so far</title></circle>"#,
                    frame.x(position),
                    frame.y(*sum),
                    session.session,
                    session.signals,
                    session.net_return_bps,
                    sum
                )?;
            }
        }
        write!(out, "</svg>")
    }
}

/// A bar for each session: above zero where the challenger was better.
pub(super) struct SessionBars<'a> {
    pub(super) sessions: &'a [SessionMean],
    /// What a bar shows.
    pub(super) label: &'a str,
}

impl Display for SessionBars<'_> {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let dates: Vec<NaiveDate> = self
            .sessions
            .iter()
            .map(|session| session.session)
            .collect();
        let frame = Frame::new(&dates, self.sessions.iter().map(|session| session.mean));
        frame.open(out, self.label)?;
        let width = (frame.step() * 0.6).min(36.0);
        for (position, session) in self.sessions.iter().enumerate() {
            let (zero, end) = (frame.y(0.0), frame.y(session.mean));
            write!(
                out,
                r#"<rect class="{}" x="{:.1}" y="{:.1}" width="{width:.1}" height="{:.1}"><title>{}: {:.5} over {} cases</title></rect>"#,
                if session.mean > 0.0 { "good" } else { "bad" },
                frame.x(position) - width / 2.0,
                zero.min(end),
                (zero - end).abs().max(0.5),
                session.session,
                session.mean,
                session.cases
            )?;
        }
        write!(out, "</svg>")
    }
}

/// Axes of a chart over sessions: zero is always in it.
struct Frame<'a> {
    dates: &'a [NaiveDate],
    low: f64,
    high: f64,
    /// Distance of the horizontal lines.
    tick: f64,
}

impl<'a> Frame<'a> {
    fn new(dates: &'a [NaiveDate], values: impl Iterator<Item = f64>) -> Self {
        let (low, high) = values.fold((0.0_f64, 0.0_f64), |(low, high), value| {
            (low.min(value), high.max(value))
        });
        let span = if high > low { high - low } else { 1.0 };
        let tick = round_step(span / 4.0);
        Self {
            dates,
            low: (low / tick).floor() * tick,
            high: ((low + span).max(high) / tick).ceil() * tick,
            tick,
        }
    }

    /// Distance between two sessions.
    fn step(&self) -> f64 {
        (WIDTH - LEFT - MARGIN) / self.dates.len().max(1) as f64
    }

    fn x(&self, position: usize) -> f64 {
        LEFT + (position as f64 + 0.5) * self.step()
    }

    fn y(&self, value: f64) -> f64 {
        let height = HEIGHT - MARGIN - BELOW;
        MARGIN + height * (self.high - value) / (self.high - self.low)
    }

    fn open(&self, out: &mut Formatter<'_>, label: &str) -> fmt::Result {
        write!(
            out,
            r#"<svg viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" role="img" aria-label="{label}">"#
        )?;
        let decimals = (-self.tick.log10().floor()).max(0.0) as usize;
        let ticks = ((self.high - self.low) / self.tick).round() as i64;
        for number in 0..=ticks {
            let value = self.low + number as f64 * self.tick;
            // What rounding leaves of zero has no sign.
            let value = if value.abs() < self.tick / 2.0 {
                0.0
            } else {
                value
            };
            let class = if value == 0.0 { "axis" } else { "grid" };
            write!(
                out,
                r#"<path class="{class}" d="M{LEFT} {y:.1}H{:.1}"/><text x="{:.1}" y="{:.1}" text-anchor="end">{value:.decimals$}</text>"#,
                WIDTH - MARGIN,
                LEFT - 6.0,
                self.y(value) + 4.0,
                y = self.y(value)
            )?;
        }
        let every = self.dates.len().div_ceil(DATES).max(1);
        for (position, date) in self.dates.iter().enumerate().step_by(every) {
            write!(
                out,
                r#"<text x="{:.1}" y="{:.1}" text-anchor="middle">{}</text>"#,
                self.x(position),
                HEIGHT - 6.0,
                date.format("%m-%d")
            )?;
        }
        Ok(())
    }
}

/// The next of 1, 2 and 5 times a power of ten.
fn round_step(rough: f64) -> f64 {
    let power = 10.0_f64.powf(rough.log10().floor());
    [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|step| step * power)
        .find(|step| *step >= rough * (1.0 - 1e-9))
        .unwrap_or(10.0 * power)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_round() {
        for (rough, step) in [
            (0.3, 0.5),
            (1.0, 1.0),
            (1.2, 2.0),
            (7.0, 10.0),
            (0.000_21, 0.000_5),
        ] {
            assert!((round_step(rough) / step - 1.0).abs() < 1e-9, "{rough}");
        }
    }

    #[test]
    fn flat_and_empty_charts_are_drawn() {
        let empty = SessionBars {
            sessions: &[],
            label: "nothing",
        };
        assert!(!empty.to_string().contains("NaN"));
        let flat = [SessionReturn {
            session: NaiveDate::from_ymd_opt(2018, 3, 26).unwrap(),
            signals: 0,
            net_return_bps: 0.0,
        }];
        let curves = EquityCurves {
            lines: &[("champion", &flat)],
        };
        let drawn = curves.to_string();
        assert!(drawn.contains("03-26") && !drawn.contains("NaN"), "{drawn}");
    }
}
