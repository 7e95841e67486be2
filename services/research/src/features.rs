use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use domain::{Bar, Joint, Ticker};
use features::{
    Context, FEATURE_COUNT, FeatureSchema, FeatureStream, WARM_UP_SESSIONS, indicators,
};
use tables::{Column, Values, write_table};

use crate::{
    admission::{joints, nothing_came},
    cli::FeaturesArguments,
};

/// `tandem features`: the models' features, or the textbook indicators, of every bar.
pub(crate) fn run(arguments: &FeaturesArguments) -> anyhow::Result<()> {
    let bars = super::read_bars(&arguments.bars.bars, &arguments.bars.options())?;
    let (table, names, needed): (Table, &[&str], String) = if arguments.indicators {
        let needed = "every bar has indicators".to_owned();
        (indicator_table(&bars), &indicators::INDICATOR_NAMES, needed)
    } else {
        let context = super::context::read(&arguments.context, &bars)?;
        let needed = needed_for_features();
        let names = &FeatureSchema::current().names;
        (feature_table(&bars, &context)?, names, needed)
    };
    if table.starts.is_empty() {
        eprintln!("{}", nothing_came(&needed, &bars));
    }
    Ok(write_table(&arguments.output.out, table.columns(names))?)
}

/// What a stock's first feature needs, for messages.
pub(crate) fn needed_for_features() -> String {
    format!(
        "features begin after {WARM_UP_SESSIONS} whole sessions of a stock, begin anew where its price goes on at another \
         level, and pause after a hole"
    )
}

fn feature_table(bars: &BTreeMap<Ticker, Vec<Bar>>, context: &Context) -> anyhow::Result<Table> {
    let mut table = Table::new(FEATURE_COUNT);
    for (ticker, bars) in bars {
        let mut stream = FeatureStream::new(calendar::nyse());
        stream.push_context(context.of(ticker));
        for bar in bars {
            if let Some(values) = stream.push(bar)? {
                let values = values.iter().map(|value| Some(f64::from(*value)));
                table.push(ticker, bar.start, values);
            }
        }
    }
    Ok(table)
}

fn indicator_table(bars: &BTreeMap<Ticker, Vec<Bar>>) -> Table {
    let mut table = Table::new(indicators::INDICATOR_COUNT);
    for (ticker, bars) in bars {
        let mut set = indicators::IndicatorSet::default();
        for (bar, _, joint) in joints(bars) {
            // No indicator reaches across what is not there, and another price level is another history, as for
            // features.
            if joint != Joint::Continuous {
                set = indicators::IndicatorSet::default();
            }
            table.push(ticker, bar.start, set.next(bar).into_iter());
        }
    }
    table
}

/// Rows on their way into columns.
struct Table {
    tickers: Vec<String>,
    starts: Vec<DateTime<Utc>>,
    values: Vec<Vec<Option<f64>>>,
}

impl Table {
    fn new(width: usize) -> Self {
        Self {
            tickers: Vec::new(),
            starts: Vec::new(),
            values: vec![Vec::new(); width],
        }
    }

    fn push(
        &mut self,
        ticker: &Ticker,
        start: DateTime<Utc>,
        values: impl Iterator<Item = Option<f64>>,
    ) {
        self.tickers.push(ticker.to_string());
        self.starts.push(start);
        for (column, value) in self.values.iter_mut().zip(values) {
            column.push(value);
        }
    }

    fn columns(self, names: &[&str]) -> Vec<Column> {
        let keys = [
            Column::new("ticker", Values::Text(self.tickers)),
            Column::new("ts", Values::Time(self.starts)),
        ];
        let values = names
            .iter()
            .zip(self.values)
            .map(|(name, values)| Column::new(*name, Values::Float(values)));
        keys.into_iter().chain(values).collect()
    }
}
