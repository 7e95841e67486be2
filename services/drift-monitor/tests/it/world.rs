//! A database with invented bars, models that are good or spoilt on purpose, and somebody who gets the alerts.

use std::sync::{Arc, Mutex};

use alerts::{AlertSettings, Alerts};
use axum::{Json, Router, extract::State, routing::post};
use chrono::{DateTime, TimeDelta, Utc};
use domain::{Bar, ModelId, ModelKind, Prediction, Ticker};
use drift_monitor::{DriftMonitor, DriftSettings, Places};
use evaluation::{DriftReference, Observation, TimesOfDay};
use features::{CLOCK_FEATURES, Context, FEATURE_COUNT, FeatureSchema, WINDOW};
use inference::{
    LiveTicker, Model,
    testing::{artifact, random_bars, random_weights},
};
use labels::BarrierSettings;
use model_registry::{
    ChampionsFile, KindRecord, artifact_dir, write_artifact_with_drift_reference,
};
use secrecy::SecretString;
use storage::{PgPool, VendorBar};
use tempfile::TempDir;

/// Sessions with bars: five to warm up, and some to look at.
const SESSIONS: usize = 12;

/// Sessions of which the models have said something.
const PREDICTED: usize = 3;

pub(crate) const KIND: ModelKind = ModelKind::Lstm;

/// Shares of the labels of a random walk.
const SHARES: [f64; 3] = [0.36, 0.28, 0.36];

pub(crate) struct World {
    pub(crate) pool: PgPool,
    pub(crate) places: Places,
    pub(crate) bars: Vec<(Ticker, Vec<Bar>)>,
    alerts: Arc<Mutex<Vec<String>>>,
    address: String,
    _folder: TempDir,
}

/// How good a model is.
#[derive(Clone, Copy)]
pub(crate) enum Quality {
    /// Gives the shares of the labels.
    Honest,
    /// Is sure of what it makes up.
    Spoilt,
}

pub(crate) fn ticker(text: &str) -> Ticker {
    Ticker::parse(text).unwrap()
}

pub(crate) fn id(text: &str) -> ModelId {
    ModelId::parse(text).unwrap()
}

impl World {
    pub(crate) async fn new(pool: &PgPool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let places = Places {
            models_dir: folder.path().join("models"),
            champions: ChampionsFile::new(folder.path().join("model_config.json")),
        };
        let bars = vec![
            (ticker("AAPL"), random_bars(SESSIONS, 1)),
            (ticker("MSFT"), random_bars(SESSIONS, 2)),
        ];
        let world = Self {
            pool: pool.clone(),
            places,
            alerts: Arc::default(),
            address: String::new(),
            bars,
            _folder: folder,
        };
        for (ticker, bars) in &world.bars {
            world.store_bars(ticker, bars).await;
        }
        let address = world.listen().await;
        Self { address, ..world }
    }

    pub(crate) async fn store_bars(&self, ticker: &Ticker, bars: &[Bar]) {
        let rows: Vec<VendorBar> = bars
            .iter()
            .map(|bar| VendorBar {
                ticker: ticker.clone(),
                bar: *bar,
                source: "test",
                fetched_at: bar.close_time(),
            })
            .collect();
        storage::upsert_bars(&self.pool, &rows).await.unwrap();
    }

    /// Takes alerts as Slack does.
    async fn listen(&self) -> String {
        let take = |State(alerts): State<Arc<Mutex<Vec<String>>>>,
                    Json(body): Json<serde_json::Value>| async move {
            let text = body["text"].as_str().unwrap().to_owned();
            alerts.lock().unwrap().push(text);
        };
        let router = Router::new()
            .route("/", post(take))
            .with_state(Arc::clone(&self.alerts));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        format!("http://{address}/")
    }

    pub(crate) fn monitor(&self) -> DriftMonitor {
        let alerts = Alerts::new(AlertSettings {
            webhook: Some(SecretString::from(self.address.clone())),
            ..AlertSettings::default()
        });
        let tickers = self.bars.iter().map(|(ticker, _)| ticker.clone());
        DriftMonitor::new(
            DriftSettings::default(),
            self.places.clone(),
            tickers.collect(),
            self.pool.clone(),
            alerts.unwrap(),
        )
    }

    /// Alerts since the last call.
    pub(crate) fn alerts(&self) -> Vec<String> {
        std::mem::take(&mut self.alerts.lock().unwrap())
    }

    /// Writes a model that foresees the default labels.
    pub(crate) fn write_model(&self, model_id: &str, quality: Quality) -> ModelId {
        let mut weights = random_weights(KIND, 5);
        let tflite_export::NetworkWeights::Lstm(lstm) = &mut weights else {
            panic!("an LSTM was asked for");
        };
        match quality {
            Quality::Honest => {
                lstm.head.weight.fill(0.0);
                lstm.head.bias = SHARES.map(|share| share.ln() as f32).to_vec();
            }
            Quality::Spoilt => lstm
                .head
                .weight
                .iter_mut()
                .for_each(|weight| *weight *= 300.0),
        }
        let mut artifact = artifact(&weights, 5).unwrap();
        artifact.manifest.model_id = id(model_id);
        artifact.manifest.labels = serde_json::to_value(BarrierSettings::default()).unwrap();
        let reference = DriftReference {
            features: Some(self.times_of_day()),
            class_shares: SHARES,
            confidence: vec![0.36; 20],
            closes: Vec::new(),
        };
        write_artifact_with_drift_reference(
            &self.places.models_dir,
            artifact.manifest,
            &artifact.tflite,
            &serde_json::to_vec(&reference).unwrap(),
        )
        .unwrap();
        id(model_id)
    }

    /// Of other days of the same walk.
    fn times_of_day(&self) -> TimesOfDay {
        let mut rows = Vec::new();
        for seed in [11, 12] {
            let bars = random_bars(SESSIONS, seed);
            let context = Context::default();
            let features = features::fold(&bars, context.of(&ticker("AAPL")));
            for (bar, features) in bars.iter().zip(features) {
                let session = calendar::nyse().session_at(bar.start).unwrap();
                let half_hour = (bar.start - session.open).num_minutes() / 30;
                rows.extend(features.map(|features| (session.date, half_hour as usize, features)));
            }
        }
        let observations: Vec<Observation<'_>> = rows
            .iter()
            .map(|(session, half_hour, values)| Observation {
                session: *session,
                half_hour: *half_hour,
                values,
            })
            .collect();
        let correlated: Vec<usize> = (0..CLOCK_FEATURES.start).collect();
        let names = FeatureSchema::current().names;
        TimesOfDay::fit(&names, &correlated, &observations, 1).unwrap()
    }

    pub(crate) fn promote(&self, model_id: &ModelId, at: DateTime<Utc>) {
        let why = "promoted by a test";
        let champions = &self.places.champions;
        champions.promote(KIND, model_id.clone(), at, why).unwrap();
    }

    pub(crate) fn record(&self) -> KindRecord {
        self.places.champions.read().unwrap().lstm.unwrap()
    }

    /// The close of a session, counted from the last one back.
    pub(crate) fn close(&self, back: usize) -> DateTime<Utc> {
        let bars = &self.bars[0].1;
        let last = bars[bars.len() - 1 - back * 390].start;
        calendar::nyse().session_at(last).unwrap().close
    }

    /// Stores what a model says of the last sessions, as the api does.
    pub(crate) async fn predict(&self, model_id: &ModelId) {
        let model = Model::load(&artifact_dir(&self.places.models_dir, KIND, model_id)).unwrap();
        let from = self.close(PREDICTED);
        for (ticker, bars) in &self.bars {
            let mut live = LiveTicker::new();
            let mut window = vec![0.0; WINDOW * FEATURE_COUNT];
            for bar in bars {
                if !live.push(bar).unwrap() || bar.start < from {
                    continue;
                }
                live.write_window(model.scaler(), &mut window);
                let prediction = Prediction {
                    ticker: ticker.clone(),
                    bar_start: bar.start,
                    kind: KIND,
                    model_id: model_id.clone(),
                    probabilities: model.predict(&window, 1).unwrap()[0],
                };
                let as_of = bar.close_time() + TimeDelta::seconds(1);
                storage::store_analyses(&self.pool, as_of, &[prediction], &[])
                    .await
                    .unwrap();
            }
        }
    }
}
