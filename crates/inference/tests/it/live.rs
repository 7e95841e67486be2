use std::thread;

use chrono::TimeDelta;
use domain::{Bar, ModelKind, Ticker};
use features::{
    CONTEXT_FEATURES, FEATURE_COUNT, NewsEvent, StreamError, TickerContext, WARM_UP_SESSIONS,
    WINDOW,
};
use inference::{Champions, InferenceError, LiveTicker, Model, predict_both, testing};

const WINDOW_LENGTH: usize = WINDOW * FEATURE_COUNT;

fn champions() -> Champions {
    let load = |kind| {
        let artifact = testing::artifact(&testing::random_weights(kind, 1), 1).unwrap();
        Model::from_artifact(artifact).unwrap().into()
    };
    Champions {
        lstm: load(ModelKind::Lstm),
        transformer: load(ModelKind::Transformer),
    }
}

#[test]
fn the_window_holds_the_scaled_features_of_the_newest_bars() {
    let bars = testing::random_bars(WARM_UP_SESSIONS + 2, 1);
    let end = bars.last().unwrap().close_time();
    let news = [60, 1_000, 10].map(|minutes| NewsEvent {
        available_at: end - TimeDelta::minutes(minutes),
        score: 0.5,
    });
    let context = TickerContext {
        news: &news,
        economy: &[],
    };
    let mut live = LiveTicker::new();
    live.push_context(context);
    let ready: Vec<bool> = bars.iter().map(|bar| live.push(bar).unwrap()).collect();
    let features: Vec<_> = features::fold(&bars, context);
    assert!(features.last().unwrap().unwrap()[CONTEXT_FEATURES.start] > 0.0);
    let first_feature = features.iter().position(Option::is_some).unwrap();
    assert_eq!(
        ready.iter().position(|ready| *ready),
        Some(first_feature + WINDOW - 1)
    );

    let champions = champions();
    let scaler = champions.lstm.scaler();
    let mut window = vec![f32::NAN; WINDOW_LENGTH];
    live.write_window(scaler, &mut window);
    let newest = features[features.len() - WINDOW..]
        .iter()
        .map(|features| features.unwrap());
    for (features, row) in newest.zip(window.chunks_exact(FEATURE_COUNT)) {
        let mut scaled = [0.0; FEATURE_COUNT];
        scaler.apply(&features, &mut scaled);
        assert_eq!(scaled, row);
    }
}

#[test]
fn a_refused_bar_changes_nothing() {
    let bars = testing::random_bars(WARM_UP_SESSIONS + 2, 1);
    let mut live = testing::ready_ticker(1);
    let champions = champions();
    let written = |live: &LiveTicker| {
        let mut window = vec![0.0; WINDOW_LENGTH];
        live.write_window(champions.lstm.scaler(), &mut window);
        window
    };
    let before = written(&live);
    let last = *bars.last().unwrap();
    assert!(matches!(
        live.push(&last),
        Err(StreamError::OutOfOrder { .. })
    ));
    let evening = Bar {
        start: last.start + TimeDelta::hours(2),
        ..last
    };
    assert!(matches!(
        live.push(&evening),
        Err(StreamError::OutsideSession { .. })
    ));
    assert!(live.is_ready());
    assert_eq!(written(&live), before);
}

#[test]
fn both_models_answer_for_every_ticker_as_they_would_alone() {
    let champions = champions();
    let live: Vec<_> = (0..20).map(testing::ready_ticker).collect();
    let tickers: Vec<(Ticker, &LiveTicker)> = live
        .iter()
        .enumerate()
        .map(|(index, live)| (Ticker::parse(&format!("T{index}")).unwrap(), live))
        .collect();
    let predictions = predict_both(&champions, &tickers).unwrap();
    assert_eq!(predictions.len(), 20);
    for (prediction, (ticker, live)) in predictions.iter().zip(&tickers) {
        assert_eq!(prediction.ticker, *ticker);
        for (model, answer) in [
            (&champions.lstm, prediction.lstm),
            (&champions.transformer, prediction.transformer),
        ] {
            let mut window = vec![0.0; WINDOW_LENGTH];
            live.write_window(model.scaler(), &mut window);
            let alone = model.predict(&window, 1).unwrap()[0];
            for (a, b) in answer.to_array().into_iter().zip(alone.to_array()) {
                assert!((a - b).abs() < 1e-6, "{ticker}: {answer:?} and {alone:?}");
            }
        }
    }
    assert!(predict_both(&champions, &[]).unwrap().is_empty());
}

#[test]
fn a_ticker_that_is_warming_up_is_named() {
    let champions = champions();
    let fresh = LiveTicker::new();
    let error = predict_both(&champions, &[(Ticker::parse("AAPL").unwrap(), &fresh)]).unwrap_err();
    assert!(matches!(error, InferenceError::NotReady { .. }));
    assert!(error.to_string().starts_with("AAPL has no full window yet"));
}

#[test]
fn one_model_serves_many_threads_with_the_same_answers() {
    let champions = champions();
    let inputs = vec![0.25; 3 * WINDOW_LENGTH];
    let expected = champions.lstm.predict(&inputs, 3).unwrap();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..20 {
                    assert_eq!(champions.lstm.predict(&inputs, 3).unwrap(), expected);
                }
            });
        }
    });
}
