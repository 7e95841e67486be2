//! A database with invented bars, and models whose worth is known.

use std::{fs, path::PathBuf};

use chrono::{DateTime, TimeDelta, Utc};
use domain::{Bar, ModelId, ModelKind, Policy, Ticker};
use inference::testing::{artifact, random_bars, random_weights};
use labels::BarrierSettings;
use model_registry::{
    AbstentionRecord, ChampionsFile, KindRecord, TimeRange, artifact_dir, write_artifact,
};
use storage::{
    ModelEvent, ModelEventKind, NightLock, PgPool, ValidationReport, VendorBar, Worker,
    model_events_of, record_model_event,
};
use tempfile::TempDir;
use tflite_export::NetworkWeights;
use validator::{Night, Outcome, Places, ValidationSettings, Validator, Wishes};

/// Sessions with bars: five to warm up, some to learn from, and some to be judged on.
const SESSIONS: usize = 20;

/// The models' training begins here.
const TRAINING_FROM: usize = 7;

/// Shares of the labels of the random walk.
pub(crate) const HONEST: [f32; 3] = [0.36, 0.28, 0.36];

/// Far from them: some 0.1 nats worse on every day.
pub(crate) const WRONG: [f32; 3] = [0.2, 0.6, 0.2];

pub(crate) struct World {
    pub(crate) pool: PgPool,
    pub(crate) places: Places,
    pub(crate) bars: Vec<(Ticker, Vec<Bar>)>,
    folder: TempDir,
}

pub(crate) fn id(text: &str) -> ModelId {
    ModelId::parse(text).unwrap()
}

impl World {
    pub(crate) async fn new(pool: &PgPool) -> Self {
        let world = Self::without_bars(pool);
        for (ticker, bars) in &world.bars {
            world.store_bars(ticker, bars).await;
        }
        world
    }

    pub(crate) fn without_bars(pool: &PgPool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let places = Places {
            models_dir: folder.path().join("models"),
            champions: ChampionsFile::new(folder.path().join("model_config.json")),
            nights: folder.path().join("nights"),
        };
        let ticker = |text| Ticker::parse(text).unwrap();
        let bars = vec![
            (ticker("AAPL"), random_bars(SESSIONS, 1)),
            (ticker("MSFT"), random_bars(SESSIONS, 2)),
        ];
        Self {
            pool: pool.clone(),
            places,
            bars,
            folder,
        }
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

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The close of a session, counted from the last one back.
    pub(crate) fn close(&self, back: usize) -> DateTime<Utc> {
        let bars = &self.bars[0].1;
        let last = bars[bars.len() - 1 - back * 390].start;
        calendar::nyse().session_at(last).unwrap().close
    }

    /// Writes a model that always says the same, and has seen everything up to the close of a session counted from the last
    /// one back. The less it has seen, the older it is.
    pub(crate) fn write_model(
        &self,
        kind: ModelKind,
        name: &str,
        says: [f32; 3],
        seen_back: usize,
    ) -> ModelId {
        let mut weights = random_weights(kind, 5);
        let head = match &mut weights {
            NetworkWeights::Lstm(lstm) => &mut lstm.head,
            NetworkWeights::Transformer(transformer) => &mut transformer.head,
        };
        head.weight.fill(0.0);
        head.bias = says.map(f32::ln).to_vec();
        let mut artifact = artifact(&weights, 5).unwrap();
        let manifest = &mut artifact.manifest;
        manifest.model_id = id(name);
        manifest.created_at = self.close(seen_back) + TimeDelta::hours(9);
        manifest.labels = serde_json::to_value(BarrierSettings::default()).unwrap();
        let range = |from: usize, to: usize| TimeRange {
            start: self.close(from) - TimeDelta::minutes(390),
            end: self.close(to),
        };
        manifest.ranges.training = range(SESSIONS - 1 - TRAINING_FROM, seen_back + 1);
        manifest.ranges.early_stopping = range(seen_back, seen_back);
        manifest.ranges.calibration = Some(range(seen_back, seen_back));
        // Holds up alone possible, and worth a trade.
        manifest.abstention = Some(AbstentionRecord {
            coverage: 0.8,
            thresholds: [0.9, 0.9, 0.1],
            moves: [-2.0, 0.0, 9.0],
            move_reach: Some([0.1; 3]),
            base_rates: Some([0.45, 0.4, 0.15]),
            horizon_minutes: Some(30),
            cases: 100,
            delay_minutes: 60,
        });
        write_artifact(&self.places.models_dir, artifact.manifest, &artifact.tflite).unwrap();
        id(name)
    }

    /// Where the network of a model lies.
    pub(crate) fn network_file(&self, kind: ModelKind, model_id: &ModelId) -> PathBuf {
        artifact_dir(&self.places.models_dir, kind, model_id).join(model_registry::NETWORK_FILE)
    }

    /// Makes a model champion, and says so, as `trainer` does.
    pub(crate) async fn promote(&self, kind: ModelKind, model_id: &ModelId, at: DateTime<Utc>) {
        let why = "promoted by a test";
        let champions = &self.places.champions;
        champions.promote(kind, model_id.clone(), at, why).unwrap();
        let event = ModelEvent {
            event_time: at,
            kind,
            event: ModelEventKind::Promoted,
            model_id: model_id.clone(),
            previous_model_id: None,
            reason: why.to_owned(),
        };
        record_model_event(&self.pool, &event).await.unwrap();
    }

    pub(crate) fn record(&self, kind: ModelKind) -> KindRecord {
        let champions = self.places.champions.read().unwrap();
        champions.of(kind).unwrap().clone()
    }

    /// The champions' file as it is.
    pub(crate) fn champions_file(&self) -> Option<Vec<u8>> {
        fs::read(self.places.champions.path()).ok()
    }

    pub(crate) fn validator(&self) -> Validator {
        Validator {
            pool: self.pool.clone(),
            places: self.places.clone(),
            tickers: self.bars.iter().map(|(ticker, _)| ticker.clone()).collect(),
            settings: ValidationSettings::default(),
            policy: Policy::default(),
        }
    }

    /// The night after a session counted from the last one back, at half past one in New York.
    pub(crate) fn night(&self, back: usize) -> Night {
        let as_of = self.close(back) + TimeDelta::minutes(570);
        Night::of(None, None, as_of, calendar::nyse()).unwrap()
    }

    /// The same as a step of a run.
    pub(crate) async fn night_of_run(&self, back: usize) -> Night {
        let night = self.night(back);
        let lock = NightLock::take(&self.pool).await.unwrap().unwrap();
        let worker = Worker {
            host: "here".to_owned(),
            pid: 1,
        };
        let (date, steps) = (night.session.date, ["validate"]);
        let run = storage::begin_run(&self.pool, &lock, date, &steps, &worker, night.as_of);
        let run_id = run.await.unwrap().run_id;
        lock.release().await.unwrap();
        Night {
            run_id: Some(run_id),
            ..night
        }
    }

    pub(crate) async fn validate(&self, night: &Night) -> Outcome {
        let wishes = Wishes::default();
        self.validator().run(night, &wishes).await.unwrap()
    }

    /// All reports stored, the oldest first.
    pub(crate) async fn reports(&self) -> Vec<ValidationReport> {
        let mut reports = storage::recent_validation_reports(&self.pool, None, 100)
            .await
            .unwrap();
        reports.reverse();
        reports
    }

    /// How often a model was promoted, by the table of events.
    pub(crate) async fn promotions(&self, model_id: &ModelId) -> Vec<ModelEvent> {
        let events = model_events_of(&self.pool, model_id).await.unwrap();
        let is_promotion = |event: &ModelEvent| event.event == ModelEventKind::Promoted;
        events.into_iter().filter(is_promotion).collect()
    }

    /// The night's report as JSON.
    pub(crate) fn page(&self, night: &Night, name: &str) -> serde_json::Value {
        let folder = self.places.nights.join(night.session.date.to_string());
        let html = fs::read_to_string(folder.join(format!("{name}.html"))).unwrap();
        assert!(html.starts_with("<!DOCTYPE html>") && html.trim_end().ends_with("</html>"));
        serde_json::from_slice(&fs::read(folder.join(format!("{name}.json"))).unwrap()).unwrap()
    }
}
