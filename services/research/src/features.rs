use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use domain::{Bar, Ticker};
use features::{Context, FeatureSchema, FeatureStream, StreamError, indicators};
use tables::{Column, Values, write_table};

use crate::cli::FeaturesArguments;

/// `tandem features`: the models' features, or the textbook indicators, of every bar.
pub(crate) fn run(arguments: &FeaturesArguments) -> anyhow::Result<()> {
    let bars = super::read_bars(&arguments.bars.bars)?;
    let columns = if arguments.indicators {
        indicator_columns(&bars)
    } else {
        let context = super::context::read(&arguments.context, &bars)?;
        feature_columns(&bars, &context)?
    };
    Ok(write_table(&arguments.output.out, columns)?)
}

fn feature_columns(
    bars: &BTreeMap<Ticker, Vec<Bar>>,
    context: &Context,
) -> anyhow::Result<Vec<Column>> {
    let names = FeatureSchema::current().names;
    let mut table = Table::new(names.len());
    for (ticker, bars) in bars {
        let mut stream = FeatureStream::new(calendar::nyse());
        stream.push_context(context.of(ticker));
        for bar in bars {
            match stream.push(bar) {
                Ok(Some(values)) => table.push(
                    ticker,
                    bar.start,
                    values.iter().map(|value| Some(f64::from(*value))),
                ),
                // Warming up, or pre-market and after-hours trading, which the models never see.
                Ok(None) | Err(StreamError::OutsideSession { .. }) => (),
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(table.columns(&names))
}

fn indicator_columns(bars: &BTreeMap<Ticker, Vec<Bar>>) -> Vec<Column> {
    let mut table = Table::new(indicators::INDICATOR_COUNT);
    for (ticker, bars) in bars {
        let mut set = indicators::IndicatorSet::default();
        for bar in bars {
            table.push(ticker, bar.start, set.next(bar).into_iter());
        }
    }
    table.columns(&indicators::INDICATOR_NAMES)
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
