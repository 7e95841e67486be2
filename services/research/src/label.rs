use domain::SettingsSection;
use labels::{BarrierPath, BarrierSettings, triple_barrier};
use tables::{Column, Values, write_table};

use crate::{
    admission::nothing_came,
    cli::{LabelArguments, Path},
};

/// `tandem label`: which barrier each bar's price touches first.
pub(crate) fn run(arguments: &LabelArguments) -> anyhow::Result<()> {
    let settings = settings(arguments)?;
    let bars = super::read_bars(&arguments.bars.bars, &arguments.bars.options())?;
    let mut tickers = Vec::new();
    let mut labels = Vec::new();
    for (ticker, bars) in &bars {
        let found = triple_barrier(bars, &settings, calendar::nyse());
        tickers.extend(std::iter::repeat_n(ticker.to_string(), found.len()));
        labels.extend(found);
    }
    if labels.is_empty() {
        let needed = format!(
            "a label needs {} one-minute returns before its bar and {} minutes of trading after it, or the session's end",
            settings.target_span, settings.horizon
        );
        eprintln!("{}", nothing_came(&needed, &bars));
    }
    let numbers = |value: fn(&labels::Label) -> f64| {
        Values::Float(labels.iter().map(|label| Some(value(label))).collect())
    };
    write_table(
        &arguments.output.out,
        vec![
            Column::new("ticker", Values::Text(tickers)),
            Column::new(
                "ts",
                Values::Time(labels.iter().map(|label| label.start).collect()),
            ),
            Column::new("target", numbers(|label| label.target)),
            Column::new(
                "first_touch",
                Values::Time(labels.iter().map(|label| label.first_touch).collect()),
            ),
            Column::new("ret", numbers(|label| label.ret)),
            Column::new(
                "bin",
                Values::Integer(labels.iter().map(|label| i64::from(label.bin)).collect()),
            ),
        ],
    )?;
    Ok(())
}

fn settings(arguments: &LabelArguments) -> anyhow::Result<BarrierSettings> {
    let mut settings: BarrierSettings = service_kit::load_settings()?;
    match arguments.path {
        // The textbook's method; what the settings say of sizes stays.
        Some(Path::Close) => {
            settings = BarrierSettings {
                horizon: settings.horizon,
                target_span: settings.target_span,
                profit: settings.profit,
                stop: settings.stop,
                ..BarrierSettings::closes_only()
            };
        }
        Some(Path::HighLow) => settings.path = BarrierPath::HighLow,
        None => (),
    }
    settings.horizon = arguments.horizon.unwrap_or(settings.horizon);
    settings.target_span = arguments.target_span.unwrap_or(settings.target_span);
    settings.profit = arguments.profit.unwrap_or(settings.profit);
    settings.stop = arguments.stop.unwrap_or(settings.stop);
    settings.check()?;
    Ok(settings)
}
