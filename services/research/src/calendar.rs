use anyhow::bail;
use chrono::NaiveDate;
use tables::{Column, Values, write_table};

use crate::cli::CalendarArguments;

/// `tandem calendar`: the sessions of a range of dates.
pub(crate) fn run(arguments: &CalendarArguments) -> anyhow::Result<()> {
    in_order(arguments.from, arguments.to)?;
    let calendar = ::calendar::nyse();
    let coverage = calendar.coverage();
    for date in [arguments.from, arguments.to] {
        if !coverage.contains(&date) {
            bail!(
                "the calendar covers {} to {}, not {date}",
                coverage.start(),
                coverage.end()
            );
        }
    }
    let sessions = calendar.sessions(arguments.from, arguments.to);
    if sessions.is_empty() {
        eprintln!(
            "no rows: the exchange is closed from {} to {}",
            arguments.from, arguments.to
        );
    }
    write_table(
        &arguments.output.out,
        vec![
            Column::new(
                "session",
                Values::Text(
                    sessions
                        .iter()
                        .map(|session| session.date.to_string())
                        .collect(),
                ),
            ),
            Column::new(
                "open_utc",
                Values::Time(sessions.iter().map(|session| session.open).collect()),
            ),
            Column::new(
                "close_utc",
                Values::Time(sessions.iter().map(|session| session.close).collect()),
            ),
            Column::new(
                "early_close",
                Values::Integer(
                    sessions
                        .iter()
                        .map(|session| i64::from(session.early_close))
                        .collect(),
                ),
            ),
        ],
    )?;
    Ok(())
}

/// Refuses a range of dates that ends before it begins.
pub(crate) fn in_order(from: NaiveDate, to: NaiveDate) -> anyhow::Result<()> {
    if from > to {
        bail!("--from {from} lies after --to {to}");
    }
    Ok(())
}
