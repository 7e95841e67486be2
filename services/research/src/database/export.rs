use std::{collections::BTreeSet, path::PathBuf};

use anyhow::bail;
use chrono::{DateTime, Utc};
use domain::{Class, ModelKind, SeriesId, Ticker};
use storage::PgPool;
use tables::{Column, Values, bar_columns, write_table};

use crate::cli::{ExportArguments, ExportFormat, ExportWhat};

/// Rows read at once where the database answers in pages.
const PAGE: u32 = 5_000;

/// `tandem export`: a table of what is stored.
pub(crate) fn run(arguments: &ExportArguments) -> anyhow::Result<()> {
    service_kit::enter_system(&arguments.system, false)?;
    let path = output(arguments)?;
    let (from, to) = super::whole_days(arguments.from, arguments.to)?;
    let tickers = match arguments.what {
        ExportWhat::Economy => Vec::new(),
        _ => super::tickers_or_all(&arguments.ticker)?,
    };
    let columns = service_kit::block_on(async {
        let pool = super::open().await?;
        match arguments.what {
            ExportWhat::Bars => bars(&pool, &tickers, from, to).await,
            ExportWhat::Predictions => predictions(&pool, &tickers, from, to).await,
            ExportWhat::News => news(&pool, &tickers, from, to).await,
            ExportWhat::Economy => economy(&pool, from, to).await,
        }
    })?;
    // What has no rows is named; the first column says whose they are.
    let there: BTreeSet<&str> = match columns.first().map(|column| &column.values) {
        Some(Values::Text(names)) => names.iter().map(String::as_str).collect(),
        _ => BTreeSet::new(),
    };
    let missing = tickers.iter().filter(|one| !there.contains(one.as_str()));
    let missing: Vec<&Ticker> = missing.collect();
    if there.is_empty() || !missing.is_empty() {
        let is_all = there.is_empty() && arguments.ticker.is_empty();
        eprintln!(
            "{}",
            nothing_stored(arguments, if is_all { &[] } else { &missing })
        );
    }
    write_table(&path, columns)?;
    if path.as_os_str() != "-" {
        eprintln!("wrote {}", path.display());
    }
    Ok(())
}

/// Says that there are no rows, of some stocks or of none.
fn nothing_stored(arguments: &ExportArguments, tickers: &[&Ticker]) -> String {
    let what = match arguments.what {
        ExportWhat::Economy => "economic figures",
        what => what.name(),
    };
    let mut text = format!("no {what}");
    for (place, ticker) in tickers.iter().enumerate() {
        text += if place == 0 { " of " } else { ", " };
        text += ticker.as_str();
    }
    text += " are stored";
    if let Some(from) = arguments.from {
        text += &format!(" from {from}");
    }
    if let Some(to) = arguments.to {
        text += &format!(" to {to}");
    }
    // Yahoo, whose bars are stored, writes classes of shares with a hyphen.
    for ticker in tickers
        .iter()
        .filter(|ticker| ticker.as_str().contains('.'))
    {
        text += &format!("; is {} meant?", ticker.as_str().replace('.', "-"));
    }
    text
}

/// Where the table goes: `--out`, whose ending must not contradict `--format`; without it a file of that format here.
fn output(arguments: &ExportArguments) -> anyhow::Result<PathBuf> {
    let Some(format) = arguments.format else {
        return Ok(arguments.out.clone().unwrap_or_else(|| "-".into()));
    };
    let Some(out) = &arguments.out else {
        return Ok(format!("{}.{}", arguments.what.name(), format.ending()).into());
    };
    let name = out.to_string_lossy();
    let agrees = match format {
        ExportFormat::Parquet => name.ends_with(".parquet"),
        ExportFormat::Csv => [".csv", ".csv.gz", "-"]
            .iter()
            .any(|end| name.ends_with(end)),
    };
    if !agrees {
        bail!(
            "--out {name} is no {}: the ending decides, leave --format out or change the name",
            format.ending()
        );
    }
    Ok(out.clone())
}

async fn bars(
    pool: &PgPool,
    tickers: &[Ticker],
    from: DateTime<Utc>,
    to: DateTime<Utc>,
) -> anyhow::Result<Vec<Column>> {
    let mut bars = Vec::new();
    for ticker in tickers {
        let found = storage::bars_between(pool, ticker, from, to).await?;
        bars.extend(found.into_iter().map(|bar| (ticker, bar)));
    }
    Ok(bar_columns(bars.iter().map(|(ticker, bar)| (*ticker, bar))))
}

async fn predictions(
    pool: &PgPool,
    tickers: &[Ticker],
    from: DateTime<Utc>,
    to: DateTime<Utc>,
) -> anyhow::Result<Vec<Column>> {
    let mut analyses = Vec::new();
    for ticker in tickers {
        let mut before = Some(to);
        loop {
            let page = storage::predictions_page(pool, ticker, before, PAGE).await?;
            let last = page.last().map(|analysis| analysis.lstm.bar_start);
            let full = page.len() == PAGE as usize;
            analyses.extend(
                page.into_iter()
                    .filter(|analysis| analysis.lstm.bar_start >= from),
            );
            if !full || last.is_none_or(|last| last < from) {
                break;
            }
            before = last;
        }
    }
    analyses.sort_by(|a, b| {
        (&a.lstm.ticker, a.lstm.bar_start).cmp(&(&b.lstm.ticker, b.lstm.bar_start))
    });
    let probability = |kind: ModelKind, class: Class| {
        let of = |analysis: &storage::StoredAnalysis| {
            let prediction = match kind {
                ModelKind::Lstm => &analysis.lstm,
                ModelKind::Transformer => &analysis.transformer,
            };
            Some(f64::from(prediction.probabilities.of(class)))
        };
        Values::Float(analyses.iter().map(of).collect())
    };
    let text = |of: &dyn Fn(&storage::StoredAnalysis) -> String| {
        Values::Text(analyses.iter().map(of).collect())
    };
    let mut columns = vec![
        Column::new("ticker", text(&|row| row.lstm.ticker.to_string())),
        Column::new(
            "ts",
            Values::Time(analyses.iter().map(|row| row.lstm.bar_start).collect()),
        ),
        Column::new(
            "as_of",
            Values::Time(analyses.iter().map(|row| row.as_of).collect()),
        ),
        Column::new("action", text(&|row| row.recommendation.action.to_string())),
        Column::new("lstm_model_id", text(&|row| row.lstm.model_id.to_string())),
        Column::new(
            "transformer_model_id",
            text(&|row| row.transformer.model_id.to_string()),
        ),
    ];
    for kind in [ModelKind::Lstm, ModelKind::Transformer] {
        for class in Class::ALL {
            columns.push(Column::new(
                format!("{kind}_{class}"),
                probability(kind, class),
            ));
        }
    }
    Ok(columns)
}

async fn news(
    pool: &PgPool,
    tickers: &[Ticker],
    from: DateTime<Utc>,
    to: DateTime<Utc>,
) -> anyhow::Result<Vec<Column>> {
    let mut rows = Vec::new();
    for ticker in tickers {
        // Newest first by the time first seen; the second half of the cursor tells stories of one moment apart.
        let mut before = Some((to, 0));
        loop {
            let page = storage::news_page(pool, ticker, before, PAGE).await?;
            let last = page
                .last()
                .map(|article| (article.first_seen_at, article.article_id));
            let full = page.len() == PAGE as usize;
            rows.extend(
                page.into_iter()
                    .filter(|article| article.first_seen_at >= from)
                    .map(|article| (ticker.to_string(), article)),
            );
            if !full || last.is_none_or(|(seen, _)| seen < from) {
                break;
            }
            before = last;
        }
    }
    let text = |of: &dyn Fn(&storage::StoredArticle) -> String| {
        Values::Text(rows.iter().map(|(_, article)| of(article)).collect())
    };
    let score = |of: fn(domain::Sentiment) -> f32| {
        let of = |(_, article): &(String, storage::StoredArticle)| {
            article
                .sentiment
                .as_ref()
                .map(|(_, sentiment)| f64::from(of(*sentiment)))
        };
        Values::Float(rows.iter().map(of).collect())
    };
    Ok(vec![
        Column::new(
            "ticker",
            Values::Text(rows.iter().map(|(ticker, _)| ticker.clone()).collect()),
        ),
        Column::new(
            "published_at",
            Values::Time(rows.iter().map(|(_, row)| row.published_at).collect()),
        ),
        Column::new(
            "first_seen",
            Values::Time(rows.iter().map(|(_, row)| row.first_seen_at).collect()),
        ),
        Column::new("title", text(&|row| row.title.clone())),
        Column::new(
            "publisher",
            text(&|row| row.publisher.clone().unwrap_or_default()),
        ),
        Column::new("url", text(&|row| row.url.clone().unwrap_or_default())),
        Column::new(
            "sentiment_model",
            text(&|row| {
                row.sentiment
                    .as_ref()
                    .map_or_else(String::new, |(model, _)| model.clone())
            }),
        ),
        Column::new("negative", score(domain::Sentiment::negative)),
        Column::new("neutral", score(domain::Sentiment::neutral)),
        Column::new("positive", score(domain::Sentiment::positive)),
    ])
}

/// Every vintage that became known in the time.
async fn economy(
    pool: &PgPool,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
) -> anyhow::Result<Vec<Column>> {
    let known = storage::latest_observations(pool, to).await?.into_iter();
    let series: Vec<SeriesId> = known.map(|latest| latest.series).collect();
    let mut observations = storage::macro_observations(pool, &series, to).await?;
    observations.retain(|observation| (from..to).contains(&observation.available_at));
    let text = |of: &dyn Fn(&domain::MacroObservation) -> String| {
        Values::Text(observations.iter().map(of).collect())
    };
    Ok(vec![
        Column::new("series", text(&|row| row.series.to_string())),
        Column::new("date", text(&|row| row.period.to_string())),
        Column::new(
            "value",
            Values::Float(observations.iter().map(|row| row.value).collect()),
        ),
        Column::new(
            "available_at",
            Values::Time(observations.iter().map(|row| row.available_at).collect()),
        ),
    ])
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use service_kit::SystemArguments;

    use super::*;

    fn output_of(format: Option<ExportFormat>, out: Option<&str>) -> anyhow::Result<PathBuf> {
        output(&ExportArguments {
            what: ExportWhat::Bars,
            format,
            out: out.map(PathBuf::from),
            ticker: vec![],
            from: None,
            to: None,
            system: SystemArguments::default(),
        })
    }

    #[test]
    fn format_and_name_must_agree() {
        use ExportFormat::{Csv, Parquet};
        assert_eq!(output_of(None, None).unwrap(), Path::new("-"));
        assert_eq!(
            output_of(Some(Parquet), None).unwrap(),
            Path::new("bars.parquet")
        );
        assert_eq!(
            output_of(Some(Csv), Some("a.csv.gz")).unwrap(),
            Path::new("a.csv.gz")
        );
        let error = output_of(Some(Parquet), Some("a.csv")).unwrap_err();
        assert!(error.to_string().contains("a.csv"), "{error}");
    }
}
