use std::{collections::BTreeMap, path::Path};

use bar_files::{ReadOptions, RejectedRow};
use domain::{Bar, Ticker};
use tables::{bar_columns, write_table};

use crate::{admission::Admission, cli::BarsArguments};

/// Rejected rows that are shown.
const SHOWN: usize = 5;

/// `tandem bars`: the bars of a file in Tandem's own layout.
pub(crate) fn run(arguments: &BarsArguments) -> anyhow::Result<()> {
    let bars = read_bars(&arguments.bars.bars, &arguments.bars.options())?;
    if bars.is_empty() {
        eprintln!(
            "no rows: no bar of {} can be used",
            arguments.bars.bars.display()
        );
    }
    let rows = bars
        .iter()
        .flat_map(|(ticker, bars)| bars.iter().map(move |bar| (ticker, bar)));
    write_table(&arguments.output.out, bar_columns(rows))?;
    Ok(())
}

/// Reads the bars of regular sessions that pass the admission, and says on standard error what was left out.
pub(crate) fn read_bars(
    path: &Path,
    options: &ReadOptions,
) -> anyhow::Result<BTreeMap<Ticker, Vec<Bar>>> {
    let mut admission = Admission::default();
    for (ticker, bars) in read_file(path, options)? {
        admission.add(&ticker, None, bars, |bar| *bar);
    }
    eprint!("{admission}");
    Ok(admission.bars)
}

/// Reads the bars of regular sessions, and says on standard error how many rows were read, and left out for which
/// reason.
pub(crate) fn read_file(
    path: &Path,
    options: &ReadOptions,
) -> anyhow::Result<BTreeMap<Ticker, Vec<Bar>>> {
    let mut file = tables::read_bars_with(path, options)?;
    file.keep_regular_sessions(path, calendar::nyse())?;
    let report = &file.report;
    if let Some(layout) = report.layout {
        let zone = options.zone.or_else(|| layout.zone());
        let zone = zone.map_or_else(String::new, |zone| {
            format!(", times without a zone in {zone}")
        });
        eprintln!("{}: read in the layout of {layout}{zone}", path.display());
    }
    eprintln!("{}: {report}", path.display());
    for RejectedRow { row, reason, .. } in report.rejected.iter().take(SHOWN) {
        eprintln!("  row {row} left out: {reason}");
    }
    Ok(file.bars)
}
