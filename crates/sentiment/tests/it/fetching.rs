//! Fetching from a stand-in for the hub, and importing from a folder.

use std::{
    fs,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Path as UrlPath, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Redirect, Response},
    routing::get,
};
use futures_util::{StreamExt, stream};
use sentiment::{
    FetchError, Hub, Installed, KnownModel, Progress, SentimentModel, Transformer, fetch, import,
};
use tokio::net::TcpListener;

use crate::tiny;

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// What the stand-in does, and what it was asked.
#[derive(Default)]
struct Behaviour {
    network: Vec<u8>,
    /// sha256 that it states of the network, where it is not the true one.
    stated: Option<String>,
    /// How many more times it cuts the network's file off in the middle.
    cuts: AtomicU32,
    /// How many more times it is too busy for a file.
    refusals: AtomicU32,
    /// The `Range` of each request for the network's file.
    ranges: Mutex<Vec<Option<String>>>,
    lacks_config: bool,
}

impl Behaviour {
    fn whole() -> Self {
        Self {
            network: tiny::NETWORK.to_vec(),
            ..Self::default()
        }
    }
}

/// Whether one of `left` was left.
fn take(left: &AtomicU32) -> bool {
    left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
        left.checked_sub(1)
    })
    .is_ok()
}

async fn describe(State(behaviour): State<Arc<Behaviour>>) -> String {
    let sha256 = behaviour
        .stated
        .clone()
        .unwrap_or_else(|| tiny::sha256(&behaviour.network));
    let config = if behaviour.lacks_config {
        "other.json"
    } else {
        "config.json"
    };
    format!(
        r#"{{"id": "Xenova/finbert", "sha": "{COMMIT}", "siblings": [
            {{"rfilename": "README.md", "size": 7, "blobId": "ab"}},
            {{"rfilename": "{config}", "size": {}, "blobId": "ab"}},
            {{"rfilename": "tokenizer.json", "size": {}, "blobId": "ab"}},
            {{"rfilename": "onnx/model.onnx", "size": {size}, "blobId": "ab",
              "lfs": {{"sha256": "{sha256}", "size": {size}, "pointerSize": 134}}}}]}}"#,
        tiny::CONFIG.len(),
        tiny::TOKENIZER.len(),
        size = behaviour.network.len(),
    )
}

/// As the hub does: small files at once, large ones from a store elsewhere.
async fn resolve(UrlPath((commit, file)): UrlPath<(String, String)>) -> Response {
    assert_eq!(commit, COMMIT);
    match file.as_str() {
        "config.json" => tiny::CONFIG.into_response(),
        "tokenizer.json" => tiny::TOKENIZER.into_response(),
        "onnx/model.onnx" => Redirect::temporary("/store/model?signature=secret").into_response(),
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn store(State(behaviour): State<Arc<Behaviour>>, headers: HeaderMap) -> Response {
    let range = headers
        .get(header::RANGE)
        .map(|range| range.to_str().unwrap().to_owned());
    behaviour.ranges.lock().unwrap().push(range.clone());
    if take(&behaviour.refusals) {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let size = behaviour.network.len();
    let start: usize = range.map_or(0, |range| {
        range
            .trim_start_matches("bytes=")
            .trim_end_matches('-')
            .parse()
            .unwrap()
    });
    let mut rest = behaviour.network[start..].to_vec();
    let length = rest.len();
    let mut answer = Response::builder().header(header::CONTENT_LENGTH, length);
    if start > 0 {
        let range = format!("bytes {start}-{}/{size}", size - 1);
        answer = answer
            .status(StatusCode::PARTIAL_CONTENT)
            .header(header::CONTENT_RANGE, range);
    }
    if take(&behaviour.cuts) {
        rest.truncate(length / 2);
        let cut = async {
            // After what came before has been sent.
            tokio::time::sleep(Duration::from_millis(200)).await;
            Err(std::io::Error::other("cut"))
        };
        let pieces = stream::once(async { Ok(Bytes::from(rest)) }).chain(stream::once(cut));
        return answer.body(Body::from_stream(pieces)).unwrap();
    }
    answer.body(Body::from(rest)).unwrap()
}

struct Stand {
    hub: Hub,
    behaviour: Arc<Behaviour>,
}

async fn stand_in(behaviour: Behaviour) -> Stand {
    let behaviour = Arc::new(behaviour);
    let router = Router::new()
        .route("/api/models/Xenova/finbert/revision/main", get(describe))
        .route("/Xenova/finbert/resolve/{commit}/{*file}", get(resolve))
        .route("/store/model", get(store))
        .with_state(Arc::clone(&behaviour));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    Stand {
        hub: Hub { base_url },
        behaviour,
    }
}

async fn fetch_finbert(models: &Path, hub: &Hub) -> Result<Installed, FetchError> {
    fetch(KnownModel::named("finbert").unwrap(), models, hub, |_| {}).await
}

#[tokio::test]
async fn a_fetched_model_scores_and_is_not_fetched_twice() {
    let dir = tempfile::tempdir().unwrap();
    let models = dir.path().join("models/sentiment");
    let stand = stand_in(Behaviour::whole()).await;
    let mut seen: Vec<Progress> = Vec::new();
    let model = KnownModel::named("finbert").unwrap();
    let installed = fetch(model, &models, &stand.hub, |progress| seen.push(progress))
        .await
        .unwrap();
    assert_eq!(installed.dir, models.join("finbert"));
    assert_eq!(
        installed.model,
        format!("finbert-{}", &tiny::sha256(tiny::NETWORK)[..8])
    );
    assert!(!installed.was_there);
    // The hub states checksums of large files only.
    assert_eq!(installed.taken_on_trust, ["tokenizer.json", "config.json"]);
    let network = seen.iter().filter(|progress| progress.file == "model.onnx");
    let size = tiny::NETWORK.len() as u64;
    assert_eq!(network.clone().next_back().unwrap().bytes, size);
    assert!(network.clone().all(|progress| progress.total == Some(size)));

    let loaded = SentimentModel::load(&models).unwrap();
    assert_eq!(loaded.name(), installed.model);
    let manifest = fs::read_to_string(models.join("finbert/manifest.json")).unwrap();
    assert!(
        manifest.contains(COMMIT) && manifest.contains("Xenova/finbert"),
        "{manifest}"
    );

    let again = fetch_finbert(&models, &stand.hub).await.unwrap();
    assert!(again.was_there);
    assert_eq!(stand.behaviour.ranges.lock().unwrap().len(), 1);
    // Nothing hidden stays behind but the lock.
    let left: Vec<_> = fs::read_dir(&models)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left.len(), 2, "{left:?}");
}

#[tokio::test]
async fn a_download_that_breaks_off_goes_on_where_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let stand = stand_in(Behaviour {
        cuts: AtomicU32::new(2),
        refusals: AtomicU32::new(1),
        ..Behaviour::whole()
    })
    .await;
    fetch_finbert(dir.path(), &stand.hub).await.unwrap();
    let ranges = stand.behaviour.ranges.lock().unwrap().clone();
    let half = tiny::NETWORK.len() / 2;
    let half_and_more = half + (tiny::NETWORK.len() - half) / 2;
    assert_eq!(
        ranges,
        [
            None,
            None,
            Some(format!("bytes={half}-")),
            Some(format!("bytes={half_and_more}-")),
        ]
    );
}

#[tokio::test]
async fn a_wrong_file_is_thrown_away_and_nothing_is_installed() {
    let dir = tempfile::tempdir().unwrap();
    let stand = stand_in(Behaviour {
        stated: Some("0".repeat(64)),
        ..Behaviour::whole()
    })
    .await;
    let error = fetch_finbert(dir.path(), &stand.hub).await.unwrap_err();
    assert!(
        matches!(
            error,
            FetchError::Checksum {
                file: "model.onnx",
                ..
            }
        ),
        "{error}"
    );
    assert_eq!(
        SentimentModel::load(dir.path()).unwrap().name(),
        "lexicon-3"
    );
    // The right one is fetched from its beginning.
    let stand = stand_in(Behaviour::whole()).await;
    fetch_finbert(dir.path(), &stand.hub).await.unwrap();
    assert_eq!(*stand.behaviour.ranges.lock().unwrap(), [None]);
}

#[tokio::test]
async fn files_that_make_no_model_leave_the_one_that_works() {
    let dir = tempfile::tempdir().unwrap();
    import_tiny(dir.path(), "finbert");
    fs::write(dir.path().join("finbert/config.json"), "{}").unwrap();
    let stand = stand_in(Behaviour {
        network: b"no network".to_vec(),
        ..Behaviour::default()
    })
    .await;
    let error = fetch_finbert(dir.path(), &stand.hub).await.unwrap_err();
    assert!(matches!(error, FetchError::Unusable { .. }), "{error}");
    assert!(dir.path().join("finbert/model.onnx").exists());
    // One that cannot be used is replaced.
    let stand = stand_in(Behaviour::whole()).await;
    assert!(
        !fetch_finbert(dir.path(), &stand.hub)
            .await
            .unwrap()
            .was_there
    );
    Transformer::load(&dir.path().join("finbert")).unwrap();
}

#[tokio::test]
async fn what_the_hub_refuses_is_said_with_its_address() {
    let dir = tempfile::tempdir().unwrap();
    let stand = stand_in(Behaviour {
        lacks_config: true,
        ..Behaviour::whole()
    })
    .await;
    let error = fetch_finbert(dir.path(), &stand.hub).await.unwrap_err();
    assert!(matches!(error, FetchError::Description { .. }), "{error}");
    assert!(error.to_string().contains("config.json"), "{error}");

    let nowhere = Hub {
        base_url: format!("{}/nowhere", stand.hub.base_url),
    };
    let error = fetch_finbert(dir.path(), &nowhere).await.unwrap_err();
    assert!(
        matches!(
            error,
            FetchError::Refused {
                status: StatusCode::NOT_FOUND,
                ..
            }
        ),
        "{error}"
    );
    assert!(error.to_string().contains(&nowhere.base_url), "{error}");

    // A port that nobody listens on.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = fetch_finbert(dir.path(), &Hub { base_url })
        .await
        .unwrap_err();
    assert!(matches!(error, FetchError::Connection { .. }), "{error}");
}

fn import_tiny(models: &Path, name: &str) -> Installed {
    let from = tempfile::tempdir().unwrap();
    tiny::export_to(from.path());
    import(from.path(), name, models).unwrap()
}

#[test]
fn an_export_is_imported_from_either_layout() {
    let dir = tempfile::tempdir().unwrap();
    let installed = import_tiny(dir.path(), "own");
    assert_eq!(installed.taken_on_trust.len(), 3);
    assert_eq!(
        SentimentModel::load(dir.path()).unwrap().name(),
        installed.model
    );

    // As the hub lays it out; over the one that is there.
    let from = tempfile::tempdir().unwrap();
    tiny::export_to(from.path());
    fs::create_dir(from.path().join("onnx")).unwrap();
    fs::rename(
        from.path().join("model.onnx"),
        from.path().join("onnx/model.onnx"),
    )
    .unwrap();
    assert_eq!(import(from.path(), "own", dir.path()).unwrap(), installed);

    fs::remove_file(from.path().join("tokenizer.json")).unwrap();
    let error = import(from.path(), "own", dir.path()).unwrap_err();
    assert!(error.to_string().contains("tokenizer.json"), "{error}");
    assert_eq!(
        SentimentModel::load(dir.path()).unwrap().name(),
        installed.model
    );
}

#[test]
fn a_name_is_a_folders_name_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["", "..", "a/b", ".hidden", "Große"] {
        let error = import(dir.path(), name, dir.path()).unwrap_err();
        assert!(matches!(error, FetchError::Name { .. }), "{error}");
    }
}

#[test]
fn two_do_not_bring_one_model_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let lock = fs::File::create(dir.path().join(".own.lock")).unwrap();
    lock.lock().unwrap();
    let error = import(dir.path(), "own", dir.path()).unwrap_err();
    assert!(matches!(error, FetchError::Busy { .. }), "{error}");
}
