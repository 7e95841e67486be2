//! A pre-trained BERT that classifies texts as negative, neutral or positive.

pub(crate) mod folder;
mod network;

use std::{
    collections::BTreeMap,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use domain::Sentiment;
use serde::Deserialize;
use tokenizers::{Tokenizer, TruncationParams};

pub use self::network::NetworkError;
use self::{
    folder::{CONFIG_FILE, ModelFiles, NETWORK_FILE, TOKENIZER_FILE},
    network::{Batch, CLASSES, Network},
};
use crate::{SentimentError, softmax::softmax};

/// Longer texts are cut: attention costs grow with the square of the length, and a headline with its summary fits.
/// FinBERT itself was fine-tuned on sentences of up to 64 tokens.
pub const MAXIMUM_TOKENS: usize = 128;

/// Most tokens in one run of the network, padding included. Measured with BERT base on headlines: 128 to 256 tokens score 25
/// headlines a second on a core, single headlines 20, and 2048 tokens 17, since their activations leave the cache.
const BATCH_TOKENS: usize = 256;

/// A BERT for sequence classification with three classes, from an ONNX file.
pub struct Transformer {
    name: String,
    dir: PathBuf,
    tokenizer: Tokenizer,
    padding: u32,
    network: Network,
    /// Where the logits of negative, neutral and positive are.
    order: [usize; CLASSES],
}

impl std::fmt::Debug for Transformer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Transformer")
            .field("name", &self.name)
            .field("dir", &self.dir)
            .finish_non_exhaustive()
    }
}

/// What we need of a Hugging Face `config.json`.
#[derive(Deserialize)]
struct Config {
    id2label: BTreeMap<usize, String>,
    max_position_embeddings: usize,
}

impl Transformer {
    /// Loads `dir`, a folder with `model.onnx`, `tokenizer.json`, `config.json` and `manifest.json`, and scores a text
    /// to see that it works. Takes seconds for a model of FinBERT's size, and its file's size in memory several times
    /// over while it compiles: call it once, off the async threads.
    ///
    /// # Errors
    /// [`SentimentError`] saying what is wrong: an unreadable file, one that is not what the manifest says, other labels
    /// than negative, neutral and positive, a tokenizer or network that cannot be used.
    pub fn load(dir: &Path) -> Result<Self, SentimentError> {
        Self::from_files(dir, folder::read_model(dir)?)
    }

    fn from_files(dir: &Path, files: ModelFiles) -> Result<Self, SentimentError> {
        let config_path = dir.join(CONFIG_FILE);
        let config: Config =
            serde_json::from_slice(&files.config).map_err(|source| SentimentError::Json {
                path: config_path.clone(),
                source,
            })?;
        let Some(order) = label_order(&config.id2label) else {
            return Err(SentimentError::Labels {
                path: config_path,
                found: config.id2label.into_values().collect(),
            });
        };
        let unusable = |source| SentimentError::Tokenizer {
            path: dir.join(TOKENIZER_FILE),
            source,
        };
        let mut tokenizer = Tokenizer::from_bytes(&files.tokenizer).map_err(unusable)?;
        let maximum = config.max_position_embeddings.min(MAXIMUM_TOKENS);
        let truncation = TruncationParams {
            max_length: maximum,
            ..TruncationParams::default()
        };
        tokenizer
            .with_truncation(Some(truncation))
            .map_err(unusable)?;
        // Batches are padded here, to their longest text.
        tokenizer.with_padding(None);
        let padding = tokenizer.token_to_id("[PAD]").unwrap_or(0);
        let network = Network::new(&files.network).map_err(|source| SentimentError::Network {
            path: dir.join(NETWORK_FILE),
            source,
        })?;
        let checksum = files.manifest.sha256.get(NETWORK_FILE);
        let version = checksum.and_then(|sha256| sha256.get(..8)).unwrap_or("0");
        let transformer = Self {
            name: format!("{}-{version}", files.manifest.name),
            dir: dir.to_owned(),
            tokenizer,
            padding,
            network,
            order,
        };
        // What a wrong tokenizer or graph breaks shows here rather than at the first story.
        transformer.score(&[
            "Profit rose.",
            "The company is in Helsinki and has a factory there.",
        ])?;
        Ok(transformer)
    }

    /// The folder's name and the first digits of the network's checksum, such as `finbert-0123abcd`: two files of one
    /// name are two models.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A sentiment for each text. Blocks, on all cores: call it off the async threads, with many texts at a time.
    ///
    /// # Errors
    /// [`SentimentError::Encode`], [`SentimentError::Network`] or [`SentimentError::Answer`]; no text is known to cause
    /// one.
    pub fn score(&self, texts: &[&str]) -> Result<Vec<Sentiment>, SentimentError> {
        let logits = self.logits(texts)?;
        logits
            .into_iter()
            .map(|logits| {
                let [negative, neutral, positive] = softmax(self.order.map(|index| logits[index]));
                Sentiment::new(negative, neutral, positive).map_err(|source| {
                    SentimentError::Answer {
                        model: self.name.clone(),
                        source,
                    }
                })
            })
            .collect()
    }

    /// Token ids of a text, special tokens included, cut to [`MAXIMUM_TOKENS`] or what the model can read.
    ///
    /// # Errors
    /// [`SentimentError::Encode`] when the tokenizer fails.
    pub fn token_ids(&self, text: &str) -> Result<Vec<u32>, SentimentError> {
        let encoding =
            self.tokenizer
                .encode_fast(text, true)
                .map_err(|source| SentimentError::Encode {
                    model: self.name.clone(),
                    source,
                })?;
        Ok(encoding.get_ids().to_vec())
    }

    /// The network's raw answers, `[texts][3]`, in the order of the file's labels.
    ///
    /// # Errors
    /// As [`Self::score`].
    pub fn logits(&self, texts: &[&str]) -> Result<Vec<[f32; CLASSES]>, SentimentError> {
        let rows = texts
            .iter()
            .map(|text| self.token_ids(text))
            .collect::<Result<Vec<_>, _>>()?;
        // Texts of about one length go together, so that little is padding; the longest first, so that the cores finish
        // together.
        let mut order: Vec<usize> = (0..rows.len()).collect();
        order.sort_by_key(|index| std::cmp::Reverse(rows.get(*index).map_or(0, Vec::len)));
        let length = |index: &usize| rows.get(*index).map_or(0, Vec::len);
        let mut batches: Vec<&[usize]> = Vec::new();
        let mut rest = order.as_slice();
        while let Some(longest) = rest.first().map(length) {
            let count = (BATCH_TOKENS / longest.max(1)).clamp(1, rest.len());
            let (batch, others) = rest.split_at(count);
            batches.push(batch);
            rest = others;
        }
        let answers = in_parallel(&batches, |batch| {
            let batch = Batch {
                rows: batch
                    .iter()
                    .filter_map(|index| rows.get(*index).map(Vec::as_slice))
                    .collect(),
                padding: self.padding,
            };
            self.network
                .run(&batch)
                .map_err(|source| SentimentError::Network {
                    path: self.dir.join(NETWORK_FILE),
                    source,
                })
        })?;
        let mut logits = vec![[0.0; CLASSES]; rows.len()];
        for (index, answer) in order.iter().zip(answers.into_iter().flatten()) {
            if let Some(slot) = logits.get_mut(*index) {
                *slot = answer;
            }
        }
        Ok(logits)
    }
}

/// Where the labels negative, neutral and positive are; `None` when they are others.
fn label_order(labels: &BTreeMap<usize, String>) -> Option<[usize; CLASSES]> {
    let find = |wanted: &str| {
        let mut found = labels
            .iter()
            .filter(|(_, label)| label.eq_ignore_ascii_case(wanted));
        found.next().map(|(index, _)| *index)
    };
    let order = [find("negative")?, find("neutral")?, find("positive")?];
    let valid = labels.len() == CLASSES && order.iter().all(|index| *index < CLASSES);
    valid.then_some(order)
}

/// Runs `work` on each item, on all cores, and gives the answers in the items' order; the first error ends it.
fn in_parallel<I: Sync, T: Send, E: Send>(
    items: &[I],
    work: impl Fn(&I) -> Result<T, E> + Sync,
) -> Result<Vec<T>, E> {
    let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let next = AtomicUsize::new(0);
    let take = || {
        let mut answers = Vec::new();
        while let Some((index, item)) = {
            let index = next.fetch_add(1, Ordering::Relaxed);
            items.get(index).map(|item| (index, item))
        } {
            answers.push((index, work(item)?));
        }
        Ok(answers)
    };
    let mut answers = thread::scope(|scope| {
        let helpers: Vec<_> = (1..cores.min(items.len()))
            .map(|_| scope.spawn(take))
            .collect();
        let mut answers = take()?;
        for helper in helpers {
            match helper.join() {
                Ok(more) => answers.extend(more?),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        Ok(answers)
    })?;
    answers.sort_by_key(|(index, _)| *index);
    Ok(answers.into_iter().map(|(_, answer)| answer).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_found_in_any_order_and_case() {
        let labels = |names: &[&str]| -> BTreeMap<usize, String> {
            let names = names.iter().map(|name| (*name).to_owned());
            names.enumerate().collect()
        };
        let finbert = labels(&["positive", "negative", "neutral"]);
        assert_eq!(label_order(&finbert), Some([1, 2, 0]));
        let tone = labels(&["Neutral", "Positive", "Negative"]);
        assert_eq!(label_order(&tone), Some([2, 0, 1]));
        assert_eq!(
            label_order(&labels(&["LABEL_0", "LABEL_1", "LABEL_2"])),
            None
        );
        assert_eq!(label_order(&labels(&["negative", "positive"])), None);
        let mut gap = finbert;
        gap.remove(&2);
        gap.insert(7, "neutral".to_owned());
        assert_eq!(label_order(&gap), None);
    }

    #[test]
    fn answers_keep_the_order_of_the_items() {
        let items: Vec<usize> = (0..100).collect();
        let doubled = in_parallel(&items, |item| Ok::<_, ()>(2 * item)).unwrap();
        assert!(
            doubled
                .iter()
                .enumerate()
                .all(|(index, value)| *value == 2 * index)
        );
        let failed = in_parallel(&items, |item| if *item == 57 { Err(*item) } else { Ok(()) });
        assert_eq!(failed, Err(57));
        assert_eq!(in_parallel(&[] as &[()], |()| Ok::<_, ()>(())), Ok(vec![]));
    }
}
