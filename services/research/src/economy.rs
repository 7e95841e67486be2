//! Economic series from a file, with when each figure could be known.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use anyhow::{Context as _, anyhow, bail};
use bar_files::Lines;
use calendar::Calendar;
use chrono::{DateTime, Datelike, Days, Months, NaiveDate, TimeDelta, Utc};
use csv::{ReaderBuilder, StringRecord};
use domain::{MACRO_SERIES, MacroObservation, SeriesId};
use features::MacroEvent;
use ingestion::end_of_release_day;

/// From a session's open to 18:00 in New York, when the day's publications are out.
const EVENING: TimeDelta = TimeDelta::minutes(8 * 60 + 30);

/// Figures that government shutdowns delayed beyond what is usual: series, period and a day by which they were out.
const DELAYED: [(&str, &str, &str); 9] = [
    ("UNRATE", "2013-09-01", "2013-10-22"),
    ("CPIAUCSL", "2013-09-01", "2013-10-30"),
    ("GDP", "2013-07-01", "2013-11-07"),
    ("GDP", "2018-10-01", "2019-02-28"),
    ("UNRATE", "2025-09-01", "2025-11-20"),
    ("UNRATE", "2025-11-01", "2025-12-16"),
    ("CPIAUCSL", "2025-09-01", "2025-10-24"),
    ("GDP", "2025-07-01", "2025-12-23"),
    ("GDP", "2025-10-01", "2026-03-13"),
];

/// What a cell holds where there is no figure, in small letters: FRED's, the Federal Reserve's and spreadsheets' ways.
const NO_FIGURE: [&str; 11] = [
    "", ".", "-", "nan", "nd", "n/a", "na", "#n/a", "null", "none", "missing",
];

/// Names of the columns that say which series a row is of; as all names here without what is no letter or digit.
const SERIES: [&str; 2] = ["series", "seriesid"];
/// Names of the columns that say which period a figure describes, the surest first: beside another of them a `date` may
/// be any.
const PERIOD: [&str; 6] = [
    "observationdate",
    "referencedate",
    "referenceperiod",
    "periodstart",
    "date",
    "period",
];
/// Names of the columns that say since when a figure could be known. Of several in one file each may mean another thing
/// (the first release, this vintage): the latest counts.
const KNOWN: [&str; 28] = [
    "availableat",
    "availablefrom",
    "availabilitydate",
    "knownat",
    "knownsince",
    "knowledgedate",
    "knowledgetime",
    "released",
    "releasedat",
    "releasedate",
    "releaseday",
    "releasetime",
    "firstreleasedate",
    "realtimestart",
    "vintage",
    "vintagedate",
    "asof",
    "asofdate",
    "announced",
    "announcedat",
    "announcementdate",
    "publicationdate",
    "publishdate",
    "published",
    "publishedat",
    "datepublished",
    "firstseen",
    "firstseenat",
];

/// A column's name as it is compared: small letters and digits only.
fn plain(name: &str) -> String {
    let kept = name.chars().filter(|letter| letter.is_alphanumeric());
    kept.collect::<String>().to_lowercase()
}

/// What the columns of a file hold.
#[derive(Debug)]
struct Columns {
    series: Option<usize>,
    period: usize,
    known: Vec<usize>,
    figures: Vec<FigureColumn>,
    /// Those that are none of these.
    ignored: Vec<usize>,
}

/// A column of figures.
#[derive(Debug)]
struct FigureColumn {
    index: usize,
    /// Where its name says so, as in the graph download of FRED and the downloads of ALFRED.
    series: Option<SeriesId>,
    /// The day as of which its name says that these were the figures.
    vintage: Option<NaiveDate>,
}

/// What of the rows is used, and what is not.
#[derive(Debug, Default)]
struct Reading {
    observations: Vec<MacroObservation>,
    /// Those whose row does not say since when they were known, with the line they stand in.
    undated: Vec<(u64, MacroObservation)>,
    rows: usize,
    /// Of the file, with the reason.
    left_out: Vec<(u64, String)>,
    /// Series that no feature is made of.
    unused: BTreeSet<String>,
    /// Columns that are not read, as the file names them.
    ignored: Vec<String>,
}

/// The figures of the series that features are made of, each vintage with when it could be known: as the file says or,
/// where it does not, as late as its kind has ever been published.
///
/// Read are rows of series, date and value, tables with a column for each series (FRED's graph download), and tables
/// with a column for each vintage (`CPIAUCSL_20180214`, ALFRED's download). A release that names its day goes by the
/// day's end, as those that FRED answers with do, and one with time and zone by these. On standard error it says what
/// was left out.
pub(super) fn read(path: &Path) -> anyhow::Result<Vec<MacroEvent>> {
    let reading = read_observations(path)?;
    let name = path.display();
    if !reading.ignored.is_empty() {
        eprintln!("{name}: columns not read: {}", reading.ignored.join(", "));
    }
    if let Some((line, reason)) = reading.left_out.first() {
        eprintln!(
            "{name}: {} of {} rows left out (first: line {line}, {reason})",
            reading.left_out.len(),
            reading.rows
        );
    }
    if !reading.unused.is_empty() {
        let series: Vec<&str> = reading.unused.iter().map(String::as_str).collect();
        eprintln!("{name}: no feature is made of {}", series.join(", "));
    }
    let events: Vec<MacroEvent> = reading
        .observations
        .iter()
        .filter_map(MacroEvent::from_observation)
        .collect();
    if events.is_empty() {
        if let Some((line, reason)) = reading.left_out.first() {
            bail!("{name} holds no figure that can be used: line {line}, {reason}");
        }
        eprintln!(
            "{name} holds no figure of {}: features of the economy are 0",
            MACRO_SERIES.join(", ")
        );
    }
    Ok(events)
}

fn read_observations(path: &Path) -> anyhow::Result<Reading> {
    let text =
        bar_files::read_text(path).with_context(|| format!("failed to read {}", path.display()))?;
    let (separator, table) = bar_files::separator(&text);
    let mut lines = Lines::new(&text, table);
    let mut table = ReaderBuilder::new()
        .delimiter(separator)
        .flexible(true)
        .from_reader(table.as_bytes());
    let header: Vec<String> = table
        .headers()
        .with_context(|| format!("{} has no header", path.display()))?
        .iter()
        .map(|name| name.trim().to_owned())
        .collect();
    let names: Vec<String> = header.iter().map(|name| plain(name)).collect();
    let columns = Columns::of(&names).map_err(|fault| {
        anyhow!(
            "{} cannot be read as economic series: {fault}; found {}; expected the columns series, date, value and, if \
             known, available_at, or observation_date and a column for each series, or for each vintage such as \
             CPIAUCSL_20180214",
            path.display(),
            header.join(", ")
        )
    })?;
    let ignored = columns
        .ignored
        .iter()
        .filter_map(|index| header.get(*index));
    let mut reading = Reading {
        ignored: ignored.cloned().collect(),
        ..Reading::default()
    };
    for record in table.records() {
        let record = record.with_context(|| format!("{} cannot be read as CSV", path.display()))?;
        reading.rows += 1;
        let line = lines.at(record.position());
        // Spreadsheets leave empty cells behind a row.
        let mut spare = record.iter().skip(header.len());
        let fits = record.len() >= header.len() && spare.all(|cell| cell.trim().is_empty());
        let taken = if fits {
            columns.read(&record, line, &mut reading)
        } else {
            let (found, expected) = (record.len(), header.len());
            Err(format!("it has {found} cells and the header {expected}"))
        };
        if let Err(reason) = taken {
            reading.left_out.push((line, reason));
        }
    }
    reading.date_by_what_is_usual();
    if let Some(fault) = contradiction(&reading.observations) {
        bail!("{}: {fault}", path.display());
    }
    Ok(reading)
}

impl Reading {
    /// Keeps the figures whose row does not say since when they were known, unless another row of the same period does:
    /// then theirs may be a later one.
    fn date_by_what_is_usual(&mut self) {
        let dated = self.observations.iter();
        let dated: BTreeSet<(SeriesId, NaiveDate)> =
            dated.map(|row| (row.series.clone(), row.period)).collect();
        for (line, row) in std::mem::take(&mut self.undated) {
            if dated.contains(&(row.series.clone(), row.period)) {
                let (series, period) = (row.series, row.period);
                let reason =
                    format!("of {series} of {period} it is not said since when it was known");
                self.left_out.push((line, reason));
            } else {
                self.observations.push(row);
            }
        }
        self.left_out.sort();
        self.left_out.dedup_by_key(|(line, _)| *line);
    }
}

/// Two figures of one period that nothing tells apart, in words: nobody knows which of them was known when.
fn contradiction(observations: &[MacroObservation]) -> Option<String> {
    let mut figures = BTreeMap::new();
    observations.iter().find_map(|row| {
        let key = (&row.series, row.period, row.available_at);
        let other = *figures.entry(key).or_insert(row.value);
        let (one, other) = (row.value?, other?);
        (one != other).then(|| {
            format!(
                "{} of {} is {other} in one row and {one} in another, and nothing says which was known when: a column \
                 available_at, release_date or realtime_start tells them apart",
                row.series, row.period
            )
        })
    })
}

impl Columns {
    /// Tells what the columns hold by their [`plain`] names.
    fn of(header: &[String]) -> Result<Self, String> {
        let place = |names: &[&str]| {
            names
                .iter()
                .find_map(|name| header.iter().position(|column| column == name))
        };
        if let Some(twice) = header
            .iter()
            .enumerate()
            .find(|(index, name)| !name.is_empty() && header[..*index].contains(*name))
        {
            return Err(format!("it has two columns {}", twice.1));
        }
        let period = place(&PERIOD).ok_or("no column says which period a figure describes")?;
        let series = place(&SERIES);
        let known: Vec<usize> = KNOWN.iter().filter_map(|name| place(&[*name])).collect();
        let is_key =
            |index: &usize| *index == period || Some(*index) == series || known.contains(index);
        let mut figures: Vec<FigureColumn> = (0..header.len())
            .filter(|index| !is_key(index))
            .filter_map(|index| figure_column(index, header.get(index)?, series.is_some()))
            .collect();
        if figures.is_empty() {
            return Err("no column holds figures that features are made of".to_owned());
        }
        let is_read =
            |index: &usize| is_key(index) || figures.iter().any(|column| column.index == *index);
        let ignored = (0..header.len())
            .filter(|index| !is_read(index))
            // The index that pandas writes has no name.
            .filter(|index| header.get(*index).is_some_and(|name| !name.is_empty()))
            .collect();
        figures.sort_by_key(|column| column.vintage);
        Ok(Self {
            series,
            period,
            known,
            figures,
            ignored,
        })
    }

    /// Takes a row's figures. What is wrong with one of them is the row's fault, and the others are taken.
    fn read(&self, record: &StringRecord, line: u64, reading: &mut Reading) -> Result<(), String> {
        let cell = |index: usize| record.get(index).unwrap_or_default().trim();
        let of_row = self.series.map(|index| {
            SeriesId::parse(cell(index))
                .map_err(|_| format!("series is {:?}, expected such as CPIAUCSL", cell(index)))
        });
        let of_row = of_row.transpose()?;
        let date: NaiveDate = cell(self.period).parse().map_err(|_| {
            format!(
                "date is {:?}, expected such as 2018-02-15",
                cell(self.period)
            )
        })?;
        let stated = self.known.iter().map(|index| cell(*index));
        let stated = stated.filter(|text| !text.is_empty()).map(known_since);
        let stated = stated.collect::<Result<Vec<_>, _>>()?.into_iter().max();
        let mut fault = None;
        // Of the vintages of one row, oldest first, a figure that did not change is no new vintage.
        let mut before: Option<(&SeriesId, f64)> = None;
        for column in &self.figures {
            let Some(series) = column.series.as_ref().or(of_row.as_ref()) else {
                continue;
            };
            let value = match figure(cell(column.index)) {
                Ok(Some(value)) => value,
                Ok(None) => continue,
                Err(text) => {
                    fault = Some(format!("{series} is {text:?}, expected a number or \".\""));
                    continue;
                }
            };
            if !MACRO_SERIES.contains(&series.as_str()) {
                reading.unused.insert(series.to_string());
                continue;
            }
            let vintage = Some((series, value));
            if column.vintage.is_some() && before == vintage {
                continue;
            }
            before = vintage;
            let Some(period) = begin_of_period(series.as_str(), date) else {
                continue;
            };
            // Nothing is less than a time.
            let said = column.vintage.and_then(end_of_release_day).max(stated);
            let known = said.or_else(|| known_by(series.as_str(), period, ::calendar::nyse()));
            // A period that the calendar does not reach lies before all bars.
            let Some(available_at) = known else { continue };
            if end_of_period(series.as_str(), period).is_some_and(|end| available_at < end) {
                let time = available_at.format("%Y-%m-%d %H:%M UTC");
                fault = Some(format!(
                    "{series} of {period} is said to have been known at {time}, before its period was over"
                ));
                continue;
            }
            let observation = MacroObservation {
                series: series.clone(),
                period,
                available_at,
                value: Some(value),
            };
            if said.is_some() {
                reading.observations.push(observation);
            } else {
                reading.undated.push((line, observation));
            }
        }
        fault.map_or(Ok(()), Err)
    }
}

/// A cell's figure; nothing where there is none, and the text where it is no number.
fn figure(text: &str) -> Result<Option<f64>, &str> {
    if NO_FIGURE.contains(&text.to_ascii_lowercase().as_str()) {
        return Ok(None);
    }
    match text.parse() {
        Ok(value) if f64::is_finite(value) => Ok(Some(value)),
        _ => Err(text),
    }
}

/// What a column of another name than the keys holds: figures where it is called `value`, after a series or after a
/// vintage; else nothing that is needed.
fn figure_column(index: usize, name: &str, has_series: bool) -> Option<FigureColumn> {
    let (stem, vintage) = match vintage(name) {
        Some((stem, date)) => (stem, Some(date)),
        None => (name, None),
    };
    // Beside a column of series the name says no more than that these are figures.
    if has_series {
        let is_figure = vintage.is_some() || name == "value";
        return is_figure.then_some(FigureColumn {
            index,
            series: None,
            vintage,
        });
    }
    let series = SeriesId::parse(stem).ok()?;
    let is_used = MACRO_SERIES.contains(&series.as_str());
    is_used.then_some(FigureColumn {
        index,
        series: Some(series),
        vintage,
    })
}

/// The name and the day of a vintage's column: `cpiaucsl20180214`, `valueseen20180220`.
fn vintage(name: &str) -> Option<(&str, NaiveDate)> {
    let (stem, date) = name.split_at_checked(name.len().checked_sub(8)?)?;
    Some((stem, NaiveDate::parse_from_str(date, "%Y%m%d").ok()?))
}

/// The moment from which a figure could be known: a time with its zone, or the end of a day in New York.
fn known_since(text: &str) -> Result<DateTime<Utc>, String> {
    let day = || end_of_release_day(text.parse().ok()?);
    bar_files::parse_time(text).or_else(day).ok_or_else(|| {
        format!("it is known since {text:?}, expected a day such as 2018-03-13 or a time with its zone such as 2018-03-13T12:30:00Z")
    })
}

/// Months that a figure describes; nothing where it describes a day.
fn months(series: &str) -> Option<u32> {
    match series {
        "FEDFUNDS" | "UNRATE" | "CPIAUCSL" => Some(1),
        "GDP" => Some(3),
        _ => None,
    }
}

/// The first day of the period in which a date lies: some tables name a month or quarter by its last.
fn begin_of_period(series: &str, date: NaiveDate) -> Option<NaiveDate> {
    let Some(months) = months(series) else {
        return Some(date);
    };
    let first_month = date.month0() / months * months + 1;
    NaiveDate::from_ymd_opt(date.year(), first_month, 1)
}

/// The moment at which the period that begins on a day was over, before which nobody can have known its figure: the close
/// of a day of trading, the last midnight of a month or quarter in New York.
fn end_of_period(series: &str, begins: NaiveDate) -> Option<DateTime<Utc>> {
    let Some(months) = months(series) else {
        let session = ::calendar::nyse().session_on(begins);
        let midnight = || end_of_release_day(begins.pred_opt()?);
        return session.map(|session| session.close).or_else(midnight);
    };
    let next = begins.checked_add_months(Months::new(months))?;
    end_of_release_day(next.pred_opt()?)
}

/// A moment at which the first figure of a period was certainly out, for tables that do not say when it was: 18:00 in New
/// York of a session, later rather than too early. What no rule can mend: such tables hold the figures as revised since.
fn known_by(series: &str, period: NaiveDate, calendar: &Calendar) -> Option<DateTime<Utc>> {
    let delayed = DELAYED
        .iter()
        .find(|(name, start, _)| *name == series && period.to_string() == *start);
    let day_of_next_month = |day: u64| {
        let next = period.checked_add_months(Months::new(1))?;
        next.checked_add_days(Days::new(day - 1))
    };
    let date = match series {
        // H.15 and Cboe: published on the next business day.
        "DGS10" | "T10Y2Y" | "VIXCLS" => period.succ_opt()?,
        // The month's mean: published on the first business days of the next.
        "FEDFUNDS" => day_of_next_month(7)?,
        // The employment report: usually the first Friday, the 10th at the latest.
        "UNRATE" => day_of_next_month(12)?,
        // Between the 10th and the 18th.
        "CPIAUCSL" => day_of_next_month(20)?,
        // The advance estimate: in the last days of the month after the quarter.
        "GDP" => period
            .checked_add_months(Months::new(4))?
            .checked_add_days(Days::new(4))?,
        _ => return None,
    };
    let date = match delayed {
        Some((_, _, date)) => date.parse().ok()?,
        None => date,
    };
    let session = calendar
        .sessions(date, *calendar.coverage().end())
        .first()?;
    // Before the calendar's beginning the first session says nothing.
    (date >= *calendar.coverage().start()).then(|| session.open + EVENING)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_count_from_when_they_were_out_at_the_latest() {
        for (series, period, expected) in [
            // Friday's yield is out on Monday evening; after Good Friday likewise.
            ("DGS10", "2018-03-23", "2018-03-26T22:00:00Z"),
            ("VIXCLS", "2018-03-29", "2018-04-02T22:00:00Z"),
            // Really 2018-03-09 (jobs), 03-13 (prices) and 01-26 (output), each at 8:30.
            ("UNRATE", "2018-02-01", "2018-03-12T22:00:00Z"),
            ("CPIAUCSL", "2018-02-01", "2018-03-20T22:00:00Z"),
            ("GDP", "2017-10-01", "2018-02-05T23:00:00Z"),
            ("FEDFUNDS", "2018-02-01", "2018-03-07T23:00:00Z"),
            // A weekend, and a half day that ends at 13:00.
            ("CPIAUCSL", "2018-09-01", "2018-10-22T22:00:00Z"),
            ("DGS10", "2018-11-22", "2018-11-23T23:00:00Z"),
            ("UNRATE", "2025-09-01", "2025-11-20T23:00:00Z"),
        ] {
            assert_eq!(
                known_by(series, period.parse().unwrap(), calendar::nyse()),
                Some(expected.parse().unwrap()),
                "{series} {period}"
            );
        }
        let calendar = calendar::nyse();
        let early = NaiveDate::from_ymd_opt(1962, 1, 2).unwrap();
        assert_eq!(known_by("DGS10", early, calendar), None);
        assert_eq!(
            known_by("GDPC1", "2017-10-01".parse().unwrap(), calendar),
            None
        );
    }

    #[test]
    fn a_file_may_say_itself() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("economy.csv");
        std::fs::write(
            &path,
            "series,date,value,available_at\n\
             CPIAUCSL,2018-02-01,249.5,2018-03-13T12:30:00Z\n\
             CPIAUCSL,2018-03-01,.,2018-04-11T12:30:00Z\n\
             CPIAUCSL,2018-01-01,248.9,\n\
             SP500,2018-01-01,2700,2018-01-02T12:00:00Z\n",
        )
        .unwrap();
        let events = read(&path).unwrap();
        let found: Vec<_> = events
            .iter()
            .map(|event| (event.value, event.available_at.to_rfc3339()))
            .collect();
        assert_eq!(
            found,
            [
                (249.5, "2018-03-13T12:30:00+00:00".to_owned()),
                (248.9, "2018-02-20T23:00:00+00:00".to_owned())
            ]
        );
    }

    /// What of a file is known since when: series, period, time (UTC) and figure.
    fn found(text: &str) -> anyhow::Result<Vec<(String, String, String, f64)>> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("economy.csv");
        std::fs::write(&path, text)?;
        let row = |event: &MacroEvent| {
            let time = event
                .available_at
                .to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
            (
                event.series.to_string(),
                event.period.to_string(),
                time,
                event.value,
            )
        };
        Ok(read(&path)?.iter().map(row).collect())
    }

    fn row(series: &str, period: &str, time: &str, value: f64) -> (String, String, String, f64) {
        (series.to_owned(), period.to_owned(), time.to_owned(), value)
    }

    #[test]
    fn releases_count_from_the_end_of_their_day_under_any_usual_name_and_order() {
        let (first, later) = ("2018-02-15T05:00:00Z", "2018-03-14T04:00:00Z");
        let expected = [
            row("CPIAUCSL", "2018-01-01", first, 247.9),
            row("CPIAUCSL", "2018-01-01", later, 248.7),
        ];
        for text in [
            "series,date,value,realtime_start,realtime_end\n\
             CPIAUCSL,2018-01-01,247.9,2018-02-14,2018-03-12\nCPIAUCSL,2018-01-01,248.7,2018-03-13,9999-12-31\n",
            "realtime_start,realtime_end,date,value,series\n\
             2018-02-14,2018-03-12,2018-01-01,247.9,cpiaucsl\n2018-03-13,9999-12-31,2018-01-01,248.7,CPIAUCSL\n",
            "Value,Release_Date,Series_ID,Observation_Date\n\
             247.9,2018-02-14,CPIAUCSL,2018-01-01\n248.7,2018-03-13,CPIAUCSL,2018-01-01\n",
            "series,date,value,available_at\n\
             CPIAUCSL,2018-01-01,247.9,2018-02-14\nCPIAUCSL,2018-01-01,248.7,2018-03-13\n",
            // ALFRED's download: a column for each day on which a figure changed.
            "observation_date,CPIAUCSL_20180214,CPIAUCSL_20180220,CPIAUCSL_20180313\n\
             2018-01-01,247.9,247.9,248.7\n2018-02-01,,.,#N/A\n",
            "series,date,value_seen_2018_02_14,value_seen_2018_03_13\nCPIAUCSL,2018-01-01,247.9,248.7\n",
            "series,date,value seen 2018-02-14,value seen 2018-03-13\nCPIAUCSL,2018-01-01,247.9,248.7\n",
            "series,date,value,Release Date\n\
             CPIAUCSL,2018-01-01,247.9,2018-02-14\nCPIAUCSL,2018-01-01,248.7,2018-03-13,,\n",
            "series,date,value,Realtime-Start\n\
             CPIAUCSL,2018-01-01,247.9,2018-02-14\nCPIAUCSL,2018-01-01,248.7,2018-03-13\n",
            "series,date,value,as_of\n\
             CPIAUCSL,2018-01-01,247.9,2018-02-14\nCPIAUCSL,2018-01-01,248.7,2018-03-13\n",
            "series,date,value,knowledge_date\n\
             CPIAUCSL,2018-01-01,247.9,2018-02-14\nCPIAUCSL,2018-01-01,248.7,2018-03-13\n",
            "series,date,value,AsOf\n\
             CPIAUCSL,2018-01-01,247.9,2018-02-15 00:00:00-05:00\nCPIAUCSL,2018-01-01,248.7,2018-03-13\n",
            // The first release beside this vintage, which counts.
            "series,date,value,release_date,realtime_start\n\
             CPIAUCSL,2018-01-01,247.9,2018-02-14,2018-02-14\nCPIAUCSL,2018-01-01,248.7,2018-02-14,2018-03-13\n",
            "DATE,SP500_20180301,CPIAUCSL_20180214,CPIAUCSL_20180313\n2018-01-01,2700,247.9,248.7\n",
        ] {
            assert_eq!(found(text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn a_row_without_a_release_beside_one_with_it_is_left_out() {
        let first = row("CPIAUCSL", "2018-01-01", "2018-02-15T05:00:00Z", 247.9);
        let later = row("CPIAUCSL", "2018-01-01", "2018-03-14T04:00:00Z", 248.7);
        let usual = row("UNRATE", "2018-01-01", "2018-02-12T23:00:00Z", 4.1);
        for (rows, expected) in [
            // A revision would be seen three weeks early.
            (
                "CPIAUCSL,2018-01-01,247.9,2018-02-14\nCPIAUCSL,2018-01-01,248.7,\n",
                vec![first.clone()],
            ),
            (
                "CPIAUCSL,2018-01-31,248.7,\nCPIAUCSL,2018-01-01,247.9,2018-02-14\n",
                vec![first.clone()],
            ),
            (
                "CPIAUCSL,2018-01-01,247.9,\nCPIAUCSL,2018-01-01,248.7,2018-03-13\n",
                vec![later],
            ),
            (
                "UNRATE,2018-01-01,4.1,\nCPIAUCSL,2018-01-01,247.9,2018-02-14\n",
                vec![first, usual],
            ),
        ] {
            let text = format!("series,date,value,release_date\n{rows}");
            assert_eq!(found(&text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn a_month_or_quarter_may_be_named_by_its_last_day() {
        for (dated, series, begins) in [
            ("2018-01-31", "CPIAUCSL", "2018-01-01"),
            ("2018-02-28", "UNRATE", "2018-02-01"),
            ("2018-02-28", "FEDFUNDS", "2018-02-01"),
            ("2017-12-31", "GDP", "2017-10-01"),
            ("2025-09-30", "GDP", "2025-07-01"),
            ("2018-01-31", "DGS10", "2018-01-31"),
        ] {
            let file = |date| format!("series,date,value\n{series},{date},2.5\n");
            let by_last_day = found(&file(dated)).unwrap();
            assert_eq!(by_last_day, found(&file(begins)).unwrap());
            assert_eq!(by_last_day[0].1, begins, "{series}");
        }
        let released = "series,date,value,release_date\nGDP,2017-12-31,19700,2018-01-26\n";
        let known = [row("GDP", "2017-10-01", "2018-01-27T05:00:00Z", 19700.0)];
        assert_eq!(found(released).unwrap(), known);
    }

    #[test]
    fn a_column_for_each_series_is_dated_by_what_is_usual() {
        let expected = [
            row("VIXCLS", "2018-02-15", "2018-02-16T23:00:00Z", 19.1),
            row("DGS10", "2018-02-15", "2018-02-16T23:00:00Z", 2.9),
        ];
        for text in [
            "observation_date,VIXCLS,DGS10\n2018-02-15,19.1,2.9\n2018-02-16,,.\n",
            "\u{feff}DATE,vixcls,source,dgs10\n2018-02-15,19.1,FRED,2.9\n2018-02-16,ND,NaN,#N/A\n",
        ] {
            assert_eq!(found(text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_dated_or_read_is_left_out_and_the_rest_goes_on() {
        let text = "series,date,value,available_at\n\
            VIXCLS,2018-02-15,19.1,2018-02-16 08:00:00\n\
            VIXCLS,2/15/2018,19.2,\n\
            VIXCLS,2018-02-16,1.9.3,\n\
            VIXCLS,2018-02-20,19.4,2017-02-21\n\
            VIXCLS,2018-02-21,inf,\n\
            VIXCLS,2018-02-22\n\
            VIXCLS,2018-02-23,19.6,2018-02-23T00:00:00Z\n\
            CPIAUCSL,2018-01-01,247.9,2018-01-01\n\
            UNRATE,2018-01-01,4.1,2018-01-31T12:30:00Z\n\
            GDP,2018-01-01,20000,2018-03-01\n\
            VIXCLS,2018-02-15,19.1,2018-02-16T08:00:00-05:00\n";
        let known = [row("VIXCLS", "2018-02-15", "2018-02-16T13:00:00Z", 19.1)];
        assert_eq!(found(text).unwrap(), known);
        let refused = |text: &str| format!("{:#}", found(text).unwrap_err());
        for (text, reason) in [
            (
                "series,date,value\nDGS10,2018-02-01,2.9.1\n",
                "DGS10 is \"2.9.1\"",
            ),
            (
                "series,date,value\r\n\r\nVIXCLS,2/15/2018,19.1\r\n",
                "line 3, date is \"2/15/2018\"",
            ),
            (
                "name,date,value\nDGS10,2018-02-01,1\n",
                "expected the columns series, date",
            ),
            ("series,value\nDGS10,1\n", "which period"),
            (
                "series,date,value,value\nDGS10,2018-02-01,1,2\n",
                "two columns value",
            ),
            (
                "series,date,value,seen\nCPIAUCSL,2018-01-01,247.9,2018-02-14\nCPIAUCSL,2018-01-01,248.7,2018-03-13\n",
                "CPIAUCSL of 2018-01-01 is 247.9 in one row and 248.7 in another, and nothing says which was known when",
            ),
            (
                "series,date,value,as_of\nCPIAUCSL,2018-01-01,247.9,2018-01-20\n",
                "line 2, CPIAUCSL of 2018-01-01 is said to have been known at 2018-01-21 05:00 UTC, before its period was over",
            ),
            ("", "expected the columns series, date"),
        ] {
            let error = refused(text);
            assert!(error.contains(reason), "{error}");
        }
    }
}
