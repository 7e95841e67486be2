//! Brings a model's files into their folder: from the hub, or from a folder of this machine.
//!
//! The files arrive in a hidden folder beside their place, one per revision, so that a download that broke off goes on where
//! it was; only when all are there, match their checksums and answer as a model does is the folder renamed.

use std::{
    collections::BTreeMap,
    fs::{self, File, TryLockError},
    io::{self, Read},
    path::{Path, PathBuf},
    time::Duration,
};

use reqwest::{Client, Response, StatusCode, header};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use tokio::io::AsyncWriteExt;
use tracing::warn;

use crate::{
    SentimentError, Transformer,
    transformer::folder::{
        CONFIG_FILE, FILES, MANIFEST_FILE, Manifest, NETWORK_FILE, TOKENIZER_FILE, hex,
    },
};

/// How often a file's download is taken up again after the connection broke.
const ATTEMPTS: u32 = 5;
/// Before the next attempt, times its number.
const PAUSE: Duration = Duration::from_secs(1);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest silence within an answer. The whole may take as long as a slow line needs.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// Models that [`fetch`] can bring.
pub const KNOWN_MODELS: &[KnownModel] = &[KnownModel {
    name: "finbert",
    about: "FinBERT of Prosus AI (BERT base, fine-tuned on Financial PhraseBank), exported to ONNX; 438 MB",
    repository: "Xenova/finbert",
    revision: "main",
    files: [
        KnownFile {
            name: NETWORK_FILE,
            path: "onnx/model.onnx",
            sha256: None,
        },
        KnownFile {
            name: TOKENIZER_FILE,
            path: "tokenizer.json",
            sha256: None,
        },
        KnownFile {
            name: CONFIG_FILE,
            path: "config.json",
            sha256: None,
        },
    ],
}];

/// A model on the hub.
#[derive(Debug)]
pub struct KnownModel {
    /// Its folder's name.
    pub name: &'static str,
    /// What it is and how large, for people.
    pub about: &'static str,
    /// Where it lies on the hub.
    pub repository: &'static str,
    /// Branch or commit.
    pub revision: &'static str,
    files: [KnownFile; 3],
}

#[derive(Debug)]
struct KnownFile {
    /// Here.
    name: &'static str,
    /// There.
    path: &'static str,
    /// Where it is known in advance, lower-case hexadecimal.
    sha256: Option<&'static str>,
}

impl KnownModel {
    /// The model of that name.
    pub fn named(name: &str) -> Option<&'static Self> {
        KNOWN_MODELS.iter().find(|model| model.name == name)
    }
}

/// Where models are fetched from.
#[derive(Clone, Debug)]
pub struct Hub {
    /// Address without a slash at its end: Hugging Face, or a mirror that speaks its API.
    pub base_url: String,
}

impl Default for Hub {
    fn default() -> Self {
        Self {
            base_url: "https://huggingface.co".to_owned(),
        }
    }
}

/// How far a download has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Which file.
    pub file: &'static str,
    /// Bytes that are here, those of an earlier attempt included.
    pub bytes: u64,
    /// Bytes in all, where the hub says so.
    pub total: Option<u64>,
}

/// A model that is ready to be loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installed {
    /// Its folder.
    pub dir: PathBuf,
    /// The name that is stored with its scores.
    pub model: String,
    /// It was there already, whole, and nothing was fetched.
    pub was_there: bool,
    /// Files whose checksum was stated neither by this program nor by the hub. It was taken from the file as it arrived: later
    /// changes are found out, a wrong first copy is not.
    pub taken_on_trust: Vec<&'static str>,
}

/// Why a model could not be brought.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The hub cannot be reached, or the connection broke too often.
    #[error(
        "cannot fetch {url}: check the connection and try again, what has arrived is kept; or export the model elsewhere and \
         give its folder with --from"
    )]
    Connection {
        /// What was asked for.
        url: String,
        /// What happened.
        #[source]
        source: reqwest::Error,
    },
    /// The hub refuses.
    #[error(
        "cannot fetch {url}: the hub answers {status}; try again later, or give an exported model's folder with --from"
    )]
    Refused {
        /// What was asked for.
        url: String,
        /// Its answer.
        status: StatusCode,
    },
    /// The hub's description of the model cannot be read, or lacks a file.
    #[error("{url} does not describe the model: {reason}; check the hub's address")]
    Description {
        /// What was asked for.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A file ended early, each time.
    #[error(
        "{url} breaks off after {found} of {expected} bytes: try again, what has arrived is kept"
    )]
    Short {
        /// What was asked for.
        url: String,
        /// Bytes that arrived.
        found: u64,
        /// Bytes announced.
        expected: u64,
    },
    /// A file is not what it should be.
    #[error(
        "{file} arrived with sha256 {found} instead of {expected} and was thrown away: try again"
    )]
    Checksum {
        /// Which file.
        file: &'static str,
        /// The sha256 stated in advance.
        expected: String,
        /// That of what arrived.
        found: String,
    },
    /// The disk is full.
    #[error("the disk of {} is full: a model needs up to 500 MB there; make room and try again, what has arrived is kept", path.display())]
    DiskFull {
        /// What was being written.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// A file or folder cannot be read or written.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// With what.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// Another process is bringing the same model.
    #[error("another process is bringing the model {name}: wait for it")]
    Busy {
        /// The model.
        name: String,
    },
    /// No name for a folder.
    #[error("{name:?} is no name for a model: use lower-case letters, digits and dashes")]
    Name {
        /// What was given.
        name: String,
    },
    /// The files are there and do not make a model.
    #[error("the files of {name} do not make a sentiment model")]
    Unusable {
        /// The model.
        name: String,
        /// Why.
        #[source]
        source: SentimentError,
    },
}

/// Brings `model` from the hub into `models_dir/<name>/`. Does nothing when it is there and whole. A download that broke off
/// goes on where it was, and a broken model stays until the new one has been tried.
///
/// # Errors
/// [`FetchError`] saying what to do; what has arrived is kept for the next attempt unless it is wrong.
pub async fn fetch(
    model: &'static KnownModel,
    models_dir: &Path,
    hub: &Hub,
    mut progress: impl FnMut(Progress),
) -> Result<Installed, FetchError> {
    let _lock = lock(models_dir, model.name)?;
    let dir = models_dir.join(model.name);
    if dir.join(MANIFEST_FILE).is_file() {
        match blocking(move || Transformer::load(&dir)).await {
            Ok(transformer) => {
                return Ok(Installed {
                    dir: models_dir.join(model.name),
                    model: transformer.name().to_owned(),
                    was_there: true,
                    taken_on_trust: Vec::new(),
                });
            }
            Err(error) => warn!(
                error = &error as &dyn std::error::Error,
                "the model that is there cannot be used: fetching it again"
            ),
        }
    }
    let client = Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(READ_TIMEOUT)
        // The hub redirects to its stores; never to where anybody can listen.
        .https_only(hub.base_url.starts_with("https:"))
        // Lengths and ranges are those of the files.
        .no_gzip()
        .build()
        .map_err(broken(&hub.base_url))?;
    let description = Description::of(model, &client, hub).await?;
    let arriving = models_dir.join(format!(".{}-{}", model.name, description.commit));
    create_dir(&arriving)?;
    let mut manifest = Manifest {
        name: model.name.to_owned(),
        source: format!("{}/{}", hub.base_url, model.repository),
        revision: Some(description.commit.clone()),
        sha256: BTreeMap::new(),
    };
    let mut taken_on_trust = Vec::new();
    for file in &model.files {
        let remote = description.file(file.path)?;
        let url = format!(
            "{}/{}/resolve/{}/{}",
            hub.base_url, model.repository, description.commit, file.path
        );
        let path = arriving.join(file.name);
        let report = |bytes| {
            progress(Progress {
                file: file.name,
                bytes,
                total: remote.size,
            });
        };
        download(&client, &url, &path, remote.size, report).await?;
        let hashed = path.clone();
        let found = blocking(move || checksum(&hashed)).await?;
        let stated = remote.lfs.as_ref().map(|lfs| lfs.sha256.as_str());
        for expected in [file.sha256, stated].into_iter().flatten() {
            if found != expected {
                fs::remove_file(&path).map_err(io_error("remove", &path))?;
                return Err(FetchError::Checksum {
                    file: file.name,
                    expected: expected.to_owned(),
                    found,
                });
            }
        }
        if file.sha256.or(stated).is_none() {
            taken_on_trust.push(file.name);
        }
        manifest.sha256.insert(file.name.to_owned(), found);
    }
    let target = models_dir.to_owned();
    blocking(move || install(&arriving, &manifest, &target, taken_on_trust)).await
}

/// Takes a model from a folder of this machine, as an export leaves it: `tokenizer.json`, `config.json` and `model.onnx`,
/// the last also below `onnx/`. Replaces a model of that name. Blocks for seconds.
///
/// # Errors
/// [`FetchError`] when a file is missing, cannot be copied, or the files make no model.
pub fn import(from: &Path, name: &str, models_dir: &Path) -> Result<Installed, FetchError> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if name.is_empty() || !name.bytes().all(allowed) {
        return Err(FetchError::Name {
            name: name.to_owned(),
        });
    }
    let _lock = lock(models_dir, name)?;
    let arriving = models_dir.join(format!(".{name}-import"));
    create_dir(&arriving)?;
    let mut sha256 = BTreeMap::new();
    for file in FILES {
        let nested = from.join("onnx").join(file);
        let path = from.join(file);
        let path = if !path.exists() && nested.exists() {
            nested
        } else {
            path
        };
        let copy = arriving.join(file);
        fs::copy(&path, &copy).map_err(io_error("copy", &path))?;
        sha256.insert(file.to_owned(), checksum(&copy)?);
    }
    let manifest = Manifest {
        name: name.to_owned(),
        source: from.display().to_string(),
        revision: None,
        sha256,
    };
    install(&arriving, &manifest, models_dir, FILES.to_vec())
}

/// What the hub says of a model.
#[derive(Deserialize)]
struct Description {
    /// The commit that the revision stands for now.
    #[serde(rename = "sha")]
    commit: String,
    siblings: Vec<RemoteFile>,
    #[serde(skip)]
    url: String,
}

#[derive(Deserialize)]
struct RemoteFile {
    #[serde(rename = "rfilename")]
    path: String,
    size: Option<u64>,
    /// Of large files only.
    lfs: Option<LargeFile>,
}

#[derive(Deserialize)]
struct LargeFile {
    sha256: String,
}

impl Description {
    async fn of(model: &KnownModel, client: &Client, hub: &Hub) -> Result<Self, FetchError> {
        let url = format!(
            "{}/api/models/{}/revision/{}?blobs=true",
            hub.base_url, model.repository, model.revision
        );
        let answer = client.get(&url).send().await.map_err(broken(&url))?;
        let body = accepted(&url, answer)?
            .bytes()
            .await
            .map_err(broken(&url))?;
        let described: Result<Self, _> = serde_json::from_slice(&body);
        let reason = match described {
            Ok(description) => {
                let commit = &description.commit;
                // It becomes part of a folder's name.
                if is_commit(commit) {
                    return Ok(Self { url, ..description });
                }
                format!("{commit:?} is no commit")
            }
            Err(error) => error.to_string(),
        };
        Err(FetchError::Description { url, reason })
    }

    fn file(&self, path: &str) -> Result<&RemoteFile, FetchError> {
        let found = self.siblings.iter().find(|file| file.path == path);
        found.ok_or_else(|| FetchError::Description {
            url: self.url.clone(),
            reason: format!("it has no file {path}"),
        })
    }
}

/// Brings a file, from where an earlier attempt left it.
async fn download(
    client: &Client,
    url: &str,
    path: &Path,
    total: Option<u64>,
    mut report: impl FnMut(u64),
) -> Result<(), FetchError> {
    for attempt in 1.. {
        let outcome = download_rest(client, url, path, total, &mut report).await;
        let again = match &outcome {
            Ok(()) => return Ok(()),
            Err(FetchError::Connection { .. } | FetchError::Short { .. }) => true,
            Err(FetchError::Refused { status, .. }) => {
                status.is_server_error() || *status == StatusCode::TOO_MANY_REQUESTS
            }
            Err(_) => false,
        };
        if !again || attempt == ATTEMPTS {
            return outcome;
        }
        tokio::time::sleep(PAUSE * attempt).await;
    }
    Ok(())
}

async fn download_rest(
    client: &Client,
    url: &str,
    path: &Path,
    total: Option<u64>,
    report: &mut impl FnMut(u64),
) -> Result<(), FetchError> {
    let mut have = fs::metadata(path).map_or(0, |metadata| metadata.len());
    if total == Some(have) && have > 0 {
        report(have);
        return Ok(());
    }
    if total.is_some_and(|total| have > total) {
        have = 0;
    }
    let mut request = client.get(url);
    if have > 0 {
        request = request.header(header::RANGE, format!("bytes={have}-"));
    }
    let mut answer = accepted(url, request.send().await.map_err(broken(url))?)?;
    let goes_on = answer.status() == StatusCode::PARTIAL_CONTENT
        && answer
            .headers()
            .get(header::CONTENT_RANGE)
            .and_then(|range| range.to_str().ok())
            .is_some_and(|range| range.starts_with(&format!("bytes {have}-")));
    if !goes_on {
        have = 0;
    }
    let mut file = tokio::fs::OpenOptions::new()
        .create(true)
        .write(true)
        .append(goes_on)
        .truncate(!goes_on)
        .open(path)
        .await
        .map_err(io_error("create", path))?;
    report(have);
    let ended = loop {
        match answer.chunk().await {
            Ok(Some(chunk)) => {
                let written = file.write_all(&chunk).await;
                written.map_err(io_error("write", path))?;
                have += chunk.len() as u64;
                report(have);
            }
            Ok(None) => break Ok(()),
            Err(error) => break Err(broken(url)(error)),
        }
    };
    // What has arrived counts for the next attempt.
    file.flush().await.map_err(io_error("write", path))?;
    ended?;
    match total {
        Some(expected) if have != expected => Err(FetchError::Short {
            url: url.to_owned(),
            found: have,
            expected,
        }),
        _ => Ok(()),
    }
}

fn accepted(url: &str, answer: Response) -> Result<Response, FetchError> {
    if answer.status().is_success() {
        Ok(answer)
    } else {
        Err(FetchError::Refused {
            url: url.to_owned(),
            status: answer.status(),
        })
    }
}

/// Tries the files in `arriving`, writes their manifest and puts the folder in its place.
fn install(
    arriving: &Path,
    manifest: &Manifest,
    models_dir: &Path,
    taken_on_trust: Vec<&'static str>,
) -> Result<Installed, FetchError> {
    let path = arriving.join(MANIFEST_FILE);
    let json = serde_json::to_vec_pretty(manifest)
        .map_err(|error| io_error("write", &path)(error.into()))?;
    fs::write(&path, json).map_err(io_error("write", &path))?;
    for file in FILES.into_iter().chain([MANIFEST_FILE]) {
        sync(&arriving.join(file))?;
    }
    sync(arriving)?;
    let transformer = match Transformer::load(arriving) {
        Ok(transformer) => transformer,
        Err(source) => {
            // Right files that make no model will make none next time.
            remove_dir(arriving)?;
            let name = manifest.name.clone();
            return Err(FetchError::Unusable { name, source });
        }
    };
    let dir = models_dir.join(&manifest.name);
    let replaced = models_dir.join(format!(".{}-replaced", manifest.name));
    remove_dir(&replaced)?;
    if dir.exists() {
        fs::rename(&dir, &replaced).map_err(io_error("move away", &dir))?;
    }
    fs::rename(arriving, &dir).map_err(io_error("create", &dir))?;
    sync(models_dir)?;
    remove_dir(&replaced)?;
    remove_abandoned(models_dir, &manifest.name)?;
    Ok(Installed {
        dir,
        model: transformer.name().to_owned(),
        was_there: false,
        taken_on_trust,
    })
}

/// Removes what earlier downloads of other revisions left.
fn remove_abandoned(models_dir: &Path, name: &str) -> Result<(), FetchError> {
    let entries = fs::read_dir(models_dir).map_err(io_error("list", models_dir))?;
    for entry in entries {
        let entry = entry.map_err(io_error("list", models_dir))?;
        let file_name = entry.file_name();
        let commit = file_name
            .to_str()
            .and_then(|file_name| file_name.strip_prefix(&format!(".{name}-")));
        if commit.is_some_and(is_commit) {
            remove_dir(&entry.path())?;
        }
    }
    Ok(())
}

fn is_commit(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Holds off other processes that bring the same model, until it is dropped.
fn lock(models_dir: &Path, name: &str) -> Result<File, FetchError> {
    create_dir(models_dir)?;
    let path = models_dir.join(format!(".{name}.lock"));
    let file = File::create(&path).map_err(io_error("create", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(FetchError::Busy {
            name: name.to_owned(),
        }),
        Err(TryLockError::Error(source)) => Err(io_error("lock", &path)(source)),
    }
}

fn checksum(path: &Path) -> Result<String, FetchError> {
    let mut file = File::open(path).map_err(io_error("open", path))?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        let count = file.read(&mut buffer).map_err(io_error("read", path))?;
        if count == 0 {
            return Ok(hex(&hasher.finalize()));
        }
        hasher.update(buffer.get(..count).unwrap_or_default());
    }
}

fn create_dir(path: &Path) -> Result<(), FetchError> {
    fs::create_dir_all(path).map_err(io_error("create", path))
}

fn remove_dir(path: &Path) -> Result<(), FetchError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(io_error("remove", path)(error))
        }
        _ => Ok(()),
    }
}

fn sync(path: &Path) -> Result<(), FetchError> {
    File::open(path)
        .and_then(|file| file.sync_all())
        .map_err(io_error("write", path))
}

fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> FetchError {
    let path = path.to_owned();
    move |source| match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            FetchError::DiskFull { path, source }
        }
        _ => FetchError::Io {
            action,
            path,
            source,
        },
    }
}

/// The address that a redirect led to may hold a signature, so the error loses it.
fn broken(url: &str) -> impl FnOnce(reqwest::Error) -> FetchError {
    let url = url.to_owned();
    move |error| FetchError::Connection {
        url,
        source: error.without_url(),
    }
}

/// Runs what blocks where it may.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(value) => value,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // Blocking tasks are cancelled only by a runtime that ends, and this one with it.
            Err(_) => std::future::pending().await,
        },
    }
}
