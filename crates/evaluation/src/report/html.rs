//! The report as a page.

use std::{
    collections::BTreeMap,
    fmt::{self, Display, Formatter},
};

use chrono::{DateTime, NaiveDate, Utc};
use domain::{Class, DISCLAIMER, Ticker};

use super::{
    KindReport, LabelCounts, Outcome, ValidationReport,
    chart::{EquityCurves, ReliabilityDiagram, SessionBars},
    titles,
};
use crate::{
    Comparison, Confirmed, Difference, Figure, Judged, Network, Scores, Side, SignalScores,
    Verdict, compare::percent,
};

/// The whole page.
pub(super) struct Page<'a>(pub(super) &'a ValidationReport);

impl Display for Page<'_> {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let report = self.0;
        writeln!(
            out,
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <title>Validation of {}</title>\n<style>\n{}</style>\n</head>\n<body>",
            report.as_of.format("%Y-%m-%d"),
            include_str!("style.css")
        )?;
        writeln!(
            out,
            "<header><h1>Validation</h1><p class=\"muted\">{}{}{}</p></header>",
            time(report.as_of),
            report.run.as_ref().map_or_else(String::new, |run| format!(
                " · run <code>{}</code>",
                Escaped(run)
            )),
            if report.dry_run {
                " · dry run: nothing was changed"
            } else {
                ""
            }
        )?;
        summary(out, report)?;
        for (kind, title) in report.kinds.iter().zip(titles(&report.kinds)) {
            kind_section(out, kind, &title)?;
        }
        labels(out, &report.labels)?;
        writeln!(
            out,
            "<footer class=\"muted\"><p>{}</p></footer>\n</body>\n</html>",
            Escaped(DISCLAIMER)
        )
    }
}

fn summary(out: &mut Formatter<'_>, report: &ValidationReport) -> fmt::Result {
    writeln!(out, "<section class=\"card summary\">")?;
    // One sentence of verdict for each kind comes first, see `ValidationReport::new`.
    let (verdicts, details) = report
        .summary
        .split_at(report.kinds.len().min(report.summary.len()));
    for (sentence, kind) in verdicts.iter().zip(&report.kinds) {
        writeln!(
            out,
            "<p class=\"verdict\">{} {}</p>",
            badge(&kind.outcome),
            Escaped(sentence)
        )?;
    }
    writeln!(out, "<ul>")?;
    for sentence in details {
        writeln!(out, "<li>{}</li>", Escaped(sentence))?;
    }
    writeln!(
        out,
        "</ul>\n<p class=\"muted\">Neighbouring bars and related stocks share their outcomes: a whole day is the \
         smallest piece that counts as a trial, and a few days prove little, whatever the figures.</p>\n</section>"
    )
}

const fn badge(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::NotCompared { .. } => "<span class=\"badge open\">not compared</span>",
        Outcome::Compared(comparison) => match comparison.verdict {
            Verdict::Wins => "<span class=\"badge good\">challenger wins</span>",
            Verdict::DoesNotWin { .. } => {
                "<span class=\"badge muted\">challenger does not win</span>"
            }
            Verdict::CannotTell { .. } => "<span class=\"badge open\">undecided</span>",
        },
    }
}

fn kind_section(out: &mut Formatter<'_>, report: &KindReport, title: &str) -> fmt::Result {
    writeln!(out, "<section>\n<h2>{}</h2>", Escaped(title))?;
    match &report.outcome {
        Outcome::Compared(comparison) => compared(out, comparison)?,
        Outcome::NotCompared { reason } => writeln!(
            out,
            "<p>The two networks were not compared: {}.</p>",
            Escaped(reason)
        )?,
    }
    networks(out, report)?;
    writeln!(out, "</section>")
}

fn compared(out: &mut Formatter<'_>, comparison: &Comparison) -> fmt::Result {
    let [down, neutral, up] = comparison.class_shares;
    writeln!(
        out,
        "<p class=\"muted\">{} cases of {} stocks in {} sessions that neither network has seen, bars of {} to {}: \
         {} down, {} neutral, {} up.</p>",
        comparison.cases,
        comparison.tickers,
        comparison.sessions,
        time(comparison.from),
        time(comparison.to),
        share(down),
        share(neutral),
        share(up)
    )?;
    scores(out, comparison)?;
    differences(out, comparison)?;
    writeln!(
        out,
        "<h3>Beside the baselines</h3>\n<div class=\"card\"><ul>"
    )?;
    for against in &comparison.against_baselines {
        writeln!(
            out,
            "<li class=\"{}\">{}</li>",
            if against.beats { "good" } else { "bad" },
            Escaped(&against.statement)
        )?;
    }
    writeln!(out, "</ul></div>")?;
    baseline_differences(out, comparison)?;
    signals(out, comparison)?;
    coverage(out, comparison)?;

    writeln!(
        out,
        "<h3>Reliability and confusion</h3>\n<p class=\"muted\">A dot on the dashed line is a probability that kept \
         its word; its area shows the number of cases. In the tables, rows are what happened and columns what was \
         predicted.</p>"
    )?;
    for (side, judged) in sides(comparison) {
        calibration(out, judged, side.name())?;
    }
    writeln!(out, "<details><summary>The same of the baselines</summary>")?;
    for baseline in &comparison.baselines {
        calibration(out, baseline, "plain")?;
    }
    writeln!(out, "</details>")
}

fn sides(comparison: &Comparison) -> [(Side, &Judged); 2] {
    [
        (Side::Champion, &comparison.champion),
        (Side::Challenger, &comparison.challenger),
    ]
}

fn everybody(comparison: &Comparison) -> impl Iterator<Item = (&Judged, &'static str)> {
    let networks = sides(comparison).map(|(side, judged)| (judged, side.name()));
    let baselines = comparison.baselines.iter().map(|judged| (judged, "plain"));
    networks.into_iter().chain(baselines)
}

fn scores(out: &mut Formatter<'_>, comparison: &Comparison) -> fmt::Result {
    writeln!(
        out,
        "<div class=\"card scroll\"><table>\n<caption>Log loss in nats; lower is better for log loss, Brier and ECE. \
         Net return is of a confirmed signal, after costs.</caption>\n<thead><tr><th></th><th>log loss</th>\
         <th>Brier</th><th>macro F1</th><th>MCC</th><th>precision up</th><th>precision down</th><th>ECE</th>\
         <th>accuracy</th><th>signals</th><th>net return</th></tr></thead>\n<tbody>"
    )?;
    for (judged, colour) in everybody(comparison) {
        let scores = &judged.scores;
        let (signals, net_return) = judged.confirmed.as_ref().map_or_else(
            || ("–".to_owned(), "–".to_owned()),
            |confirmed| {
                let signals = &confirmed.signals;
                (
                    signals.signals.to_string(),
                    mean_return(signals, signals.mean_net_return_bps),
                )
            },
        );
        writeln!(
            out,
            "<tr class=\"{}\"><th class=\"{colour}\">{}</th><td>{:.4}</td><td>{:.4}</td><td>{:.4}</td><td>{:.4}</td>\
             <td>{}</td><td>{}</td><td>{:.4}</td><td>{}</td><td>{signals}</td><td>{net_return}</td></tr>",
            if colour == "plain" { "" } else { "network" },
            Escaped(&judged.name),
            scores.log_loss,
            scores.brier,
            scores.macro_f1,
            scores.mcc,
            precision(scores, Class::Up),
            precision(scores, Class::Down),
            scores.ece,
            share(scores.accuracy),
        )?;
    }
    writeln!(out, "</tbody></table></div>")
}

fn differences(out: &mut Formatter<'_>, comparison: &Comparison) -> fmt::Result {
    let settings = &comparison.settings;
    write!(
        out,
        "<h3>Challenger against champion</h3>\n<div class=\"card\">\n<div class=\"scroll\"><table>\n<caption>Above \
         zero where the challenger is better. Each bound holds with {} certainty, by {} draws of whole days (seed \
         {}); the challenger wins when the lower bound of the first row exceeds {:.5}.</caption>\n{DIFFERENCE_HEAD}",
        percent(settings.level),
        settings.resamples,
        settings.seed,
        settings.margin
    )?;
    difference_row(out, "log loss, nats a case", &comparison.log_loss_gain)?;
    difference_row(
        out,
        "net return, bp a case",
        &comparison.net_return_gain_bps,
    )?;
    writeln!(out, "</tbody></table></div>\n<div class=\"row\">")?;
    for (title, difference) in [
        (
            "Gain in log loss by session, nats",
            &comparison.log_loss_gain,
        ),
        (
            "Gain in net return by session, basis points a case",
            &comparison.net_return_gain_bps,
        ),
    ] {
        writeln!(
            out,
            "<figure><figcaption>{title}</figcaption>\n{}\n</figure>",
            SessionBars {
                sessions: &difference.sessions,
                label: title,
            }
        )?;
    }
    writeln!(out, "</div>\n</div>")
}

const DIFFERENCE_HEAD: &str = "<thead><tr><th></th><th>gain</th><th>lower bound</th><th>upper bound</th><th>days</th>\
                               <th>cases</th></tr></thead>\n<tbody>\n";

fn difference_row(out: &mut Formatter<'_>, name: &str, difference: &Difference) -> fmt::Result {
    write!(
        out,
        "<tr><th>{}</th><td>{:+.5}</td>",
        Escaped(name),
        difference.mean
    )?;
    match &difference.bounds {
        Figure::Known(bounds) => writeln!(
            out,
            "<td>{:+.5}</td><td>{:+.5}</td><td>{}</td><td>{}</td></tr>",
            bounds.lower, bounds.upper, bounds.days, bounds.cases
        ),
        Figure::Unknown(reason) => {
            writeln!(
                out,
                "<td colspan=\"4\" class=\"reason\">{}</td></tr>",
                Escaped(reason)
            )
        }
    }
}

fn baseline_differences(out: &mut Formatter<'_>, comparison: &Comparison) -> fmt::Result {
    write!(
        out,
        "<details><summary>The gains over each baseline, with bounds and by session</summary>\n\
         <div class=\"card scroll\"><table>\n<caption>Log loss of the baseline less that of the network, nats a \
         case.</caption>\n{DIFFERENCE_HEAD}"
    )?;
    for against in &comparison.against_baselines {
        let name = format!("{} over {}", against.network.name(), against.baseline);
        difference_row(out, &name, &against.log_loss_gain)?;
    }
    writeln!(out, "</tbody></table>\n<div class=\"row\">")?;
    for against in &comparison.against_baselines {
        let title = format!("{} over {}", against.network.name(), against.baseline);
        writeln!(
            out,
            "<figure><figcaption>{0}</figcaption>\n{1}\n</figure>",
            Escaped(&title),
            SessionBars {
                sessions: &against.log_loss_gain.sessions,
                label: &Escaped(&title).to_string(),
            }
        )?;
    }
    writeln!(out, "</div>\n</div></details>")
}

fn signals(out: &mut Formatter<'_>, comparison: &Comparison) -> fmt::Result {
    let confirmed: Vec<(Side, &Confirmed)> = sides(comparison)
        .into_iter()
        .filter_map(|(side, judged)| judged.confirmed.as_ref().map(|confirmed| (side, confirmed)))
        .collect();
    writeln!(
        out,
        "<h3>Confirmed signals</h3>\n<div class=\"card\">\n<div class=\"scroll\"><table>\n<caption>Returns of a \
         signal in its direction, with a cost of {:.2} bp for entering and leaving. Luck is the Sharpe ratio to be \
         expected of the best of {} trials without skill; both are per session.</caption>\n<thead><tr><th></th>\
         <th>signals</th><th>of cases</th><th>right</th><th>opposite</th><th>before costs</th><th>net</th>\
         <th>Sharpe</th><th>luck</th><th>P(above luck)</th><th>days</th></tr></thead>\n<tbody>",
        comparison.settings.round_trip_cost_bps, comparison.settings.trials
    )?;
    for (side, confirmed) in &confirmed {
        let signals = &confirmed.signals;
        let of_signals = |part: f64| share(if signals.signals > 0 { part } else { f64::NAN });
        write!(
            out,
            "<tr class=\"network\"><th class=\"{name}\">{name}</th><td>{}</td><td>{}</td><td>{}</td><td>{}</td>\
             <td>{}</td><td>{}</td>",
            signals.signals,
            share(signals.coverage),
            of_signals(signals.precision),
            of_signals(signals.opposite),
            mean_return(signals, signals.mean_return_bps),
            mean_return(signals, signals.mean_net_return_bps),
            name = side.name(),
        )?;
        match &confirmed.sharpe {
            Figure::Known(sharpe) => writeln!(
                out,
                "<td>{:+.3}</td><td>{:.3}</td><td>{:.3}</td><td>{}</td></tr>",
                sharpe.sharpe, sharpe.luck, sharpe.probability, sharpe.days
            )?,
            Figure::Unknown(reason) => {
                writeln!(
                    out,
                    "<td colspan=\"4\" class=\"reason\">{}</td></tr>",
                    Escaped(reason)
                )?;
            }
        }
    }
    let lines: Vec<(&str, &[crate::SessionReturn])> = confirmed
        .iter()
        .map(|(side, confirmed)| (side.name(), confirmed.sessions.as_slice()))
        .collect();
    writeln!(
        out,
        "</tbody></table></div>\n<figure><figcaption>Sum of net returns by session, basis points of the stake, the \
         same for each signal</figcaption>\n<div class=\"legend\"><span><i class=\"champion\"></i>champion</span>\
         <span><i class=\"challenger\"></i>challenger</span></div>\n{}\n</figure>\n</div>",
        EquityCurves { lines: &lines }
    )
}

fn coverage(out: &mut Formatter<'_>, comparison: &Comparison) -> fmt::Result {
    let covered: Vec<_> = sides(comparison)
        .into_iter()
        .filter_map(|(side, judged)| judged.coverage.map(|coverage| (side, coverage)))
        .collect();
    if covered.is_empty() {
        return Ok(());
    }
    writeln!(
        out,
        "<h3>Conformal sets</h3>\n<div class=\"card scroll\"><table>\n<caption>Share of cases whose set held what \
         happened, and how many classes the sets hold. The thresholds move with what comes of the decisions, as in \
         service.</caption>\n<thead><tr><th></th><th>asked</th><th>all</th>\
         <th>down</th><th>neutral</th><th>up</th><th>no class</th><th>one</th><th>two</th><th>three</th></tr></thead>\n\
         <tbody>"
    )?;
    for (side, coverage) in covered {
        write!(
            out,
            "<tr class=\"network\"><th class=\"{name}\">{name}</th><td>{}</td><td>{}</td>",
            share(coverage.asked),
            share(coverage.found.all),
            name = side.name()
        )?;
        for value in coverage.found.classes.iter().chain(&coverage.found.sizes) {
            write!(out, "<td>{}</td>", share(*value))?;
        }
        writeln!(out, "</tr>")?;
    }
    writeln!(out, "</tbody></table></div>")
}

fn calibration(out: &mut Formatter<'_>, judged: &Judged, colour: &str) -> fmt::Result {
    let (name, scores) = (Escaped(&judged.name), &judged.scores);
    writeln!(
        out,
        "<div class=\"card\">\n<p class=\"{colour}\"><strong>{name}</strong></p>\n<div class=\"row\">"
    )?;
    let [down, neutral, up] = &judged.reliability.classes;
    for (what, bins) in [
        ("most probable class", &judged.reliability.top),
        ("down", down),
        ("neutral", neutral),
        ("up", up),
    ] {
        let label = format!("{name}: reliability, {what}");
        writeln!(
            out,
            "<figure><figcaption>{what}</figcaption>\n{}\n</figure>",
            ReliabilityDiagram {
                bins,
                colour,
                label: &label,
            }
        )?;
    }
    writeln!(
        out,
        "<table>\n<caption>{} cases</caption>\n<thead><tr><th>happened \\ predicted</th><th>down</th>\
         <th>neutral</th><th>up</th><th>cases</th><th>recall</th></tr></thead>\n<tbody>",
        scores.samples
    )?;
    for (class, row) in Class::ALL.into_iter().zip(&scores.confusion) {
        write!(out, "<tr><th>{class}</th>")?;
        for (predicted, count) in Class::ALL.into_iter().zip(row) {
            let hit = if predicted == class {
                " class=\"hit\""
            } else {
                ""
            };
            write!(out, "<td{hit}>{count}</td>")?;
        }
        let own = scores.classes[class.index()];
        writeln!(
            out,
            "<td>{}</td><td>{}</td></tr>",
            own.support,
            share(own.recall)
        )?;
    }
    write!(out, "<tr><th>precision</th>")?;
    for class in Class::ALL {
        write!(out, "<td>{}</td>", precision(scores, class))?;
    }
    write!(out, "<td></td><td></td></tr>\n<tr><th>F1</th>")?;
    for class in &scores.classes {
        write!(out, "<td>{:.4}</td>", class.f1)?;
    }
    writeln!(
        out,
        "<td></td><td></td></tr>\n</tbody></table>\n</div>\n</div>"
    )
}

fn networks(out: &mut Formatter<'_>, report: &KindReport) -> fmt::Result {
    writeln!(
        out,
        "<h3>The networks and their data</h3>\n<div class=\"card scroll text\"><table>\n<thead><tr><th></th>\
         <th>model</th><th>seed</th><th>data</th></tr></thead>\n<tbody>"
    )?;
    let networks = [
        (Side::Champion, report.champion.as_ref()),
        (Side::Challenger, Some(&report.challenger)),
    ];
    for (side, network) in networks {
        let Some(network) = network else { continue };
        network_row(out, side, network)?;
    }
    writeln!(out, "</tbody></table></div>")
}

fn network_row(out: &mut Formatter<'_>, side: Side, network: &Network) -> fmt::Result {
    write!(
        out,
        "<tr class=\"network\"><th class=\"{name}\">{name}</th><td><code>{}</code></td><td>{}</td><td>",
        Escaped(network.id.as_str()),
        network.seed,
        name = side.name()
    )?;
    for range in &network.ranges {
        write!(
            out,
            "<div>{}: {} to {}</div>",
            Escaped(&range.name),
            time(range.start),
            time(range.end)
        )?;
    }
    if let Some(sets) = &network.sets {
        let [down, neutral, up] = sets.thresholds;
        write!(
            out,
            "<div>conformal sets for {}: at first a class belongs to the set from {down:.4} (down), {neutral:.4} (neutral) \
             and {up:.4} (up) on</div>",
            percent(sets.coverage)
        )?;
    }
    writeln!(out, "</td></tr>")
}

fn labels(out: &mut Formatter<'_>, labels: &[LabelCounts]) -> fmt::Result {
    if labels.is_empty() {
        return Ok(());
    }
    let mut rows: BTreeMap<&Ticker, BTreeMap<NaiveDate, [u64; 3]>> = BTreeMap::new();
    let mut totals: BTreeMap<NaiveDate, [u64; 3]> = BTreeMap::new();
    for label in labels {
        rows.entry(&label.ticker)
            .or_default()
            .insert(label.session, label.counts);
        let total = totals.entry(label.session).or_default();
        for (sum, count) in total.iter_mut().zip(label.counts) {
            *sum += count;
        }
    }
    write!(
        out,
        "<section>\n<h2>What happened</h2>\n<p class=\"muted\">Labels by stock and session, over training and unseen \
         days; the counts stand behind each bar.</p>\n<div class=\"legend\"><span><i class=\"down\"></i>down</span>\
         <span><i class=\"neutral\"></i>neutral</span><span><i class=\"up\"></i>up</span></div>\n\
         <div class=\"card scroll\"><table class=\"labels\">\n<thead><tr><th></th><th>labels</th>\
         <th>down</th><th>neutral</th><th>up</th>"
    )?;
    for session in totals.keys() {
        write!(out, "<th class=\"date\">{session}</th>")?;
    }
    writeln!(out, "</tr></thead>\n<tbody>")?;
    for (ticker, sessions) in &rows {
        label_row(out, ticker.as_str(), sessions, totals.keys())?;
    }
    label_row(out, "all", &totals, totals.keys())?;
    writeln!(out, "</tbody></table></div>\n</section>")
}

fn label_row<'a>(
    out: &mut Formatter<'_>,
    name: &str,
    sessions: &BTreeMap<NaiveDate, [u64; 3]>,
    all: impl Iterator<Item = &'a NaiveDate>,
) -> fmt::Result {
    write!(out, "<tr><th>{}</th>", Escaped(name))?;
    let sum = |class: Class| -> u64 { sessions.values().map(|counts| counts[class.index()]).sum() };
    let sums = Class::ALL.map(sum);
    let cases: u64 = sums.iter().sum();
    write!(out, "<td>{cases}</td>")?;
    for sum in sums {
        write!(out, "<td>{}</td>", share(sum as f64 / cases.max(1) as f64))?;
    }
    for session in all {
        let Some(counts) = sessions.get(session) else {
            write!(out, "<td></td>")?;
            continue;
        };
        let [down, neutral, up] = counts;
        write!(
            out,
            "<td title=\"{} {session}: {down} down, {neutral} neutral, {up} up\"><div class=\"shares\">",
            Escaped(name)
        )?;
        let cases: u64 = counts.iter().sum();
        for (class, count) in Class::ALL.into_iter().zip(counts) {
            write!(
                out,
                "<i class=\"{class}\" style=\"width:{:.1}%\"></i>",
                *count as f64 / cases.max(1) as f64 * 100.0
            )?;
        }
        write!(out, "</div></td>")?;
    }
    writeln!(out, "</tr>")
}

/// The precision of a class, or a dash where it was never predicted.
fn precision(scores: &Scores, class: Class) -> String {
    let predicted = scores.confusion.iter().any(|row| row[class.index()] > 0);
    share(if predicted {
        scores.classes[class.index()].precision
    } else {
        f64::NAN
    })
}

/// A mean return in basis points, or a dash without a signal.
fn mean_return(signals: &SignalScores, bps: f64) -> String {
    if signals.signals > 0 {
        format!("{bps:+.2} bp")
    } else {
        "–".to_owned()
    }
}

/// A share in percent, or a dash where it is not defined.
fn share(share: f64) -> String {
    if share.is_finite() {
        format!("{:.2} %", share * 100.0)
    } else {
        "–".to_owned()
    }
}

fn time(time: DateTime<Utc>) -> impl Display {
    time.format("%Y-%m-%d %H:%M UTC")
}

/// Text that stays text, between tags and within quoted attributes.
#[derive(Clone, Copy)]
struct Escaped<'a>(&'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '&' => out.write_str("&amp;")?,
                '<' => out.write_str("&lt;")?,
                '>' => out.write_str("&gt;")?,
                '"' => out.write_str("&quot;")?,
                '\'' => out.write_str("&#39;")?,
                other => write!(out, "{other}")?,
            }
        }
        Ok(())
    }
}
