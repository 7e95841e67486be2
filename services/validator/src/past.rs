//! What is stored up to the night, and the decisions that it makes.

use std::{collections::BTreeMap, sync::Arc};

use anyhow::{Context as _, ensure};
use archive::Archive;
use calendar::Calendar;
use chrono::{DateTime, Utc};
use domain::Ticker;
use features::WARM_UP_SESSIONS;
use inference::Model;
use storage::PgPool;
use validation::{Decision, barriers, decisions};

use crate::night::Night;

/// The bars of all stocks with what was known beside them.
pub(crate) struct Past {
    pub(crate) archive: Archive,
}

/// The decisions of the past under one way of making labels.
pub(crate) struct Labelled {
    /// Name of the label settings, as `Manifest::label_settings` gives it.
    pub(crate) settings: String,
    /// By stock and time.
    pub(crate) decisions: Vec<Decision>,
}

impl Past {
    /// Loads the bars that these models were trained on and all since, up to the close of the night's session.
    pub(crate) async fn load(
        pool: &PgPool,
        tickers: &[Ticker],
        models: &[&Model],
        night: &Night,
        calendar: &Calendar,
    ) -> anyhow::Result<Self> {
        let starts = models
            .iter()
            .map(|model| model.manifest().ranges.training.start);
        let from = before(starts.min().unwrap_or(night.session.open), calendar);
        let to = night.session.close;
        let archive = Archive::load(pool, tickers, from, to).await?;
        ensure!(
            !archive.bars.is_empty(),
            "the database has no bars of the universe from {from} to {to}: let price-ingestor fill it first"
        );
        tracing::info!(
            tickers = archive.bars.len(),
            bars = archive.bars.values().map(Vec::len).sum::<usize>(),
            %from,
            %to,
            "loaded"
        );
        Ok(Self { archive })
    }

    /// The decisions that the labels of these models make, by the name of their settings.
    pub(crate) fn label(
        &self,
        models: &[&Model],
        night: &Night,
        calendar: &Calendar,
    ) -> anyhow::Result<BTreeMap<String, Arc<Labelled>>> {
        let mut labelled = BTreeMap::new();
        for model in models {
            let settings = model.manifest().label_settings();
            if labelled.contains_key(&settings) {
                continue;
            }
            let barriers = barriers(model.manifest())?;
            let mut found = Vec::new();
            for (ticker, bars) in &self.archive.bars {
                let context = self.archive.context.of(ticker);
                found.extend(decisions(ticker, bars, context, &barriers, calendar));
            }
            if !barriers.within_session {
                // The last outcomes of the night's session are known in the next one only, and half a session is none.
                found.retain(|decision| decision.session() < night.session.date);
            }
            let decisions = found;
            labelled.insert(
                settings.clone(),
                Arc::new(Labelled {
                    settings,
                    decisions,
                }),
            );
        }
        Ok(labelled)
    }
}

/// Sessions enough before a time that the features are warm by then, and one to spare.
fn before(start: DateTime<Utc>, calendar: &Calendar) -> DateTime<Utc> {
    let mut open = start;
    for _ in 0..=WARM_UP_SESSIONS {
        let session = calendar.previous_session(open.date_naive());
        open = session.map_or(open, |session| session.open);
    }
    open
}

impl Labelled {
    /// The labels of a model, of those that were made.
    pub(crate) fn of<'a>(
        labelled: &'a BTreeMap<String, Arc<Self>>,
        model: &Model,
    ) -> anyhow::Result<&'a Arc<Self>> {
        let settings = model.manifest().label_settings();
        labelled
            .get(&settings)
            .with_context(|| format!("nothing is labelled as {} foresees it", model.id()))
    }
}
