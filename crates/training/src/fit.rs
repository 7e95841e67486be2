//! The training loop.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use burn::{
    grad_clipping::GradientClippingConfig,
    module::{ModuleVisitor, Param, ParamGroup, ParamId},
    optim::{AdamWConfig, GradientsParams, ModuleOptimizer},
    tensor::{Bytes, Device, Tensor, TensorData, activation::log_softmax},
};
use domain::{InvalidProbabilities, ModelKind, Probabilities, SettingsSection};
use features::{FEATURE_COUNT, WINDOW};
use rand::{SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::{
    Checkpoints, Dataset, NetworkWeights, Part, TrainingError, TrainingSettings,
    calibration::{self, Calibration, EvidenceCorrection},
    checkpoint::{Checkpoint, State},
    dataset::Sample,
    device,
    kernels::dropout::{Dropout, mix},
    memory,
    networks::{Execution, LstmNetwork, Network, TransformerNetwork, initial_weights, parameters},
};

/// Windows that go through the network together when nothing is learned.
const PREDICTION_BATCH: usize = 512;

/// Where a training stands. Reported after every step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// Which network.
    pub kind: ModelKind,
    /// Pass in progress, counted from 1.
    pub epoch: usize,
    /// Passes if training does not stop early.
    pub epochs: usize,
    /// Steps done in this pass.
    pub batch: usize,
    /// Steps of a pass.
    pub batches: usize,
    /// Weighted cross entropy, mean over this pass so far.
    pub loss: f64,
    /// Log loss on the early-stopping part after the pass before, in nats; `None` in the first pass.
    pub validation_log_loss: Option<f64>,
    /// Training speed since the start.
    pub windows_per_second: f64,
    /// Time until the last pass ends, if training does not stop early.
    pub remaining: Duration,
}

/// One pass.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpochRecord {
    /// Counted from 1.
    pub epoch: usize,
    /// Weighted cross entropy in nats.
    pub training_loss: f64,
    /// Unweighted log loss on the early-stopping part in nats, with the correction of the evidence that is best there.
    pub validation_log_loss: f64,
}

/// How well a part is predicted, beside the class frequencies of the training part as the only prediction.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PartScore {
    /// Windows looked at.
    pub windows: usize,
    /// Log loss in nats.
    pub log_loss: f64,
    /// Log loss of the class prior in nats.
    pub prior_log_loss: f64,
}

/// What the training itself knows about its result. Both parts had a say in it: they are no test.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainingMetrics {
    /// The pass whose weights were kept.
    pub best_epoch: usize,
    /// Training windows per class: down, neutral, up.
    pub class_counts: [usize; 3],
    /// With the correction of the evidence that is best there.
    pub early_stopping: PartScore,
    /// After calibration, on the part the correction was fitted on.
    pub calibration: PartScore,
    /// What the calibration made of the network's evidence.
    pub correction: EvidenceCorrection,
    /// Speed of the training steps.
    pub windows_per_second: f64,
    /// All passes.
    pub history: Vec<EpochRecord>,
}

impl TrainingMetrics {
    /// What the calibrated network gives each class of a window that tells it nothing.
    pub(crate) fn base_rates(&self) -> [f64; 3] {
        let counts = self.class_counts.map(|count| count as f64);
        model_registry::base_rates(counts, self.correction.level)
    }
}

/// A trained, calibrated network.
#[derive(Clone, Debug)]
pub struct Trained {
    /// Which network.
    pub kind: ModelKind,
    /// Its weights; correction and class prior are folded into the head.
    pub weights: NetworkWeights,
    /// The settings it was trained with.
    pub settings: TrainingSettings,
    /// How the training went.
    pub metrics: TrainingMetrics,
    /// Its probabilities of the windows that the correction was fitted on, down, neutral, up: those of the
    /// calibration part that [`TrainingSettings::validation_windows`] lets it look at.
    pub calibrated: Vec<[f64; 3]>,
    /// Passes of it that an earlier process had done.
    pub resumed_after: usize,
}

/// Trains one network. The same dataset and settings give the same weights, bit for bit, on the same kind of
/// processor, whatever the number of threads.
///
/// `progress` is called after every step; `cancel` is looked at as often.
///
/// # Errors
/// [`TrainingError::Cancelled`], [`TrainingError::Diverged`], or a setting out of range.
pub fn train(
    dataset: &Dataset,
    kind: ModelKind,
    settings: &TrainingSettings,
    progress: &dyn Fn(Progress),
    cancel: &AtomicBool,
) -> Result<Trained, TrainingError> {
    begin(dataset, kind, settings, None, progress, cancel)
}

/// As [`train`], with a checkpoint after every pass, from which the next call goes on if this one does not come to its
/// end, to the same weights as if it had. A checkpoint of other data, settings or code and a broken one are left aside,
/// and the training begins anew. The caller removes the checkpoints when they are needed no more.
///
/// # Errors
/// As [`train`]; a checkpoint that cannot be read or written is no error but a warning in the log.
pub fn train_with_checkpoints(
    dataset: &Dataset,
    kind: ModelKind,
    settings: &TrainingSettings,
    checkpoints: &Checkpoints,
    progress: &dyn Fn(Progress),
    cancel: &AtomicBool,
) -> Result<Trained, TrainingError> {
    begin(dataset, kind, settings, Some(checkpoints), progress, cancel)
}

fn begin(
    dataset: &Dataset,
    kind: ModelKind,
    settings: &TrainingSettings,
    checkpoints: Option<&Checkpoints>,
    progress: &dyn Fn(Progress),
    cancel: &AtomicBool,
) -> Result<Trained, TrainingError> {
    settings.check()?;
    let _keep = memory::keep_freed();
    let device = device::of_training()?.autodiff();
    let checkpoint = checkpoints
        .map(|checkpoints| checkpoints.of(dataset, kind, settings, device::NAME))
        .transpose()?;
    let run = Run {
        dataset,
        kind,
        settings,
        checkpoint,
        progress,
        cancel,
        device: device.clone(),
    };
    match initial_weights(kind, settings) {
        NetworkWeights::Lstm(weights) => run.fit(LstmNetwork::new(&weights, &device)),
        NetworkWeights::Transformer(weights) => run.fit(TransformerNetwork::new(&weights, &device)),
    }
}

impl Trained {
    /// Probabilities of scaled windows `[n, WINDOW, FEATURE_COUNT]`, as the framework computes them.
    ///
    /// # Errors
    /// [`InvalidProbabilities`] when a window holds numbers that are not finite.
    pub fn predict(&self, windows: &[f32]) -> Result<Vec<Probabilities>, InvalidProbabilities> {
        let device = Device::flex();
        let logits = match &self.weights {
            NetworkWeights::Lstm(weights) => {
                predict_logits(&LstmNetwork::new(weights, &device), windows, &device)
            }
            NetworkWeights::Transformer(weights) => {
                predict_logits(&TransformerNetwork::new(weights, &device), windows, &device)
            }
        };
        let probabilities = logits.iter().map(|logits| calibration::softmax(*logits));
        probabilities
            .map(|values| Probabilities::new(values.map(|value| value as f32)))
            .collect()
    }
}

/// Logits of any number of windows.
fn predict_logits<N: Network>(network: &N, windows: &[f32], device: &Device) -> Vec<[f64; 3]> {
    windows
        .chunks(PREDICTION_BATCH * WINDOW * FEATURE_COUNT)
        .flat_map(|windows| {
            let logits = network
                .logits(input(windows.to_vec(), device), None, Execution::on(device))
                .into_data();
            let numbers: Vec<f64> = logits.iter::<f32>().map(f64::from).collect();
            numbers.as_chunks::<3>().0.to_vec()
        })
        .collect()
}

fn input(windows: Vec<f32>, device: &Device) -> Tensor<3> {
    let count = windows.len() / (WINDOW * FEATURE_COUNT);
    Tensor::from_data(
        TensorData::new(windows, [count, WINDOW, FEATURE_COUNT]),
        device,
    )
}

/// What one training keeps at hand.
struct Run<'a> {
    dataset: &'a Dataset,
    kind: ModelKind,
    settings: &'a TrainingSettings,
    checkpoint: Option<Checkpoint>,
    progress: &'a dyn Fn(Progress),
    cancel: &'a AtomicBool,
    device: Device,
}

/// A training between two passes.
struct Course<'a, N> {
    network: N,
    /// After the best pass, if there was one.
    best: Option<N>,
    optimizer: ModuleOptimizer,
    order: Order<'a>,
    history: Vec<EpochRecord>,
    stepping: Duration,
}

impl<'a> Run<'a> {
    fn fit<N: Network>(&self, network: N) -> Result<Trained, TrainingError> {
        let settings = self.settings;
        let early_stopping = self
            .dataset
            .spread(Part::EarlyStopping, settings.validation_windows);
        let windows = settings
            .windows_per_epoch
            .min(self.dataset.len(Part::Training));
        let mut course = self.begin(network, windows);
        let resumed_after = course.history.len();
        while !is_over(&course.history, settings) {
            let training_loss;
            (course, training_loss) = self.pass(course, windows)?;
            let epoch = course.history.len() + 1;
            let validation = self.best_score(&course.network, &early_stopping);
            course.history.push(EpochRecord {
                epoch,
                training_loss,
                validation_log_loss: validation.log_loss,
            });
            if best_pass(&course.history).is_some_and(|best| best.epoch == epoch) {
                course.best = Some(course.network.clone());
            }
            self.keep(&course);
        }
        // At least one pass was done, so there is a best one.
        let (Some(record), Some(network)) = (best_pass(&course.history), course.best) else {
            return Err(TrainingError::Cancelled);
        };
        let trained_windows = windows * course.history.len();
        let calibration = self
            .dataset
            .spread(Part::Calibration, settings.validation_windows);
        let cases = self.cases(&network, &calibration);
        let fitted = Calibration::fit(&cases, self.dataset.prior());
        let metrics = TrainingMetrics {
            best_epoch: record.epoch,
            class_counts: self.dataset.class_counts(),
            early_stopping: self.best_score(&network, &early_stopping),
            calibration: score(&cases, fitted),
            correction: fitted.correction,
            windows_per_second: trained_windows as f64 / course.stepping.as_secs_f64(),
            history: course.history,
        };
        let weights = fitted.fold_into(network.to_weights());
        let calibrated = cases.iter().map(|case| fitted.probabilities(case.logits));
        Ok(Trained {
            kind: self.kind,
            weights,
            calibrated: calibrated.collect(),
            settings: settings.clone(),
            metrics,
            resumed_after,
        })
    }

    /// Where the checkpoint says, else at the start. `windows` are those of a pass.
    fn begin<N: Network>(&self, network: N, windows: usize) -> Course<'a, N> {
        let network = parameters::numbered(network);
        let mut course = Course {
            best: None,
            optimizer: optimizer(&network, self.settings),
            order: Order::new(self.dataset.samples(Part::Training), self.settings.seed),
            history: Vec::new(),
            stepping: Duration::ZERO,
            network,
        };
        let Some(checkpoint) = &self.checkpoint else {
            return course;
        };
        let Some(state) = checkpoint.read() else {
            return course;
        };
        let bytes = Bytes::from_bytes_vec(state.optimizer);
        match course.optimizer.clone().from_bytes(bytes) {
            Err(error) => {
                tracing::warn!(
                    model.kind = %self.kind,
                    error = &error as &dyn std::error::Error,
                    "failed to read the optimizer from the checkpoint {}: the {} is trained from the start",
                    checkpoint.path().display(),
                    self.kind
                );
            }
            Ok(optimizer) => {
                let passes = state.history.len();
                tracing::info!(
                    model.kind = %self.kind,
                    passes,
                    "training of the {} goes on after pass {passes} of at most {}, from {}",
                    self.kind,
                    self.settings.epochs,
                    checkpoint.path().display()
                );
                course.best = Some(parameters::replaced(course.network.clone(), &state.best));
                course.network = parameters::replaced(course.network, &state.network);
                course.optimizer = optimizer;
                // What was drawn decides what is drawn next.
                course.order.next(windows * passes);
                course.history = state.history;
                course.stepping = state.stepping;
            }
        }
        course
    }

    /// Learns from as many windows; the mean loss of the steps.
    fn pass<N: Network>(
        &self,
        mut course: Course<'a, N>,
        windows: usize,
    ) -> Result<(Course<'a, N>, f64), TrainingError> {
        let settings = self.settings;
        let batches = windows.div_ceil(settings.batch_size);
        let passes = course.history.len();
        let epoch = passes + 1;
        let mut loss_sum = 0.0;
        for batch in 0..batches {
            if self.cancel.load(Ordering::Relaxed) {
                return Err(TrainingError::Cancelled);
            }
            let begin = Instant::now();
            let step = passes * batches + batch;
            let drawn = batch * settings.batch_size;
            let samples = course.order.next(settings.batch_size.min(windows - drawn));
            let rate = learning_rate(settings, step, settings.epochs * batches);
            let loss;
            (course.network, loss) =
                self.step(course.network, &mut course.optimizer, &samples, rate, step);
            if !loss.is_finite() {
                return Err(TrainingError::Diverged {
                    kind: self.kind,
                    epoch,
                });
            }
            loss_sum += loss;
            course.stepping += begin.elapsed();
            let trained_windows = windows * passes + drawn + samples.len();
            let left = (settings.epochs * batches - step - 1) as f64 / (step + 1) as f64;
            (self.progress)(Progress {
                kind: self.kind,
                epoch,
                epochs: settings.epochs,
                batch: batch + 1,
                batches,
                loss: loss_sum / (batch + 1) as f64,
                validation_log_loss: course
                    .history
                    .last()
                    .map(|record| record.validation_log_loss),
                windows_per_second: trained_windows as f64 / course.stepping.as_secs_f64(),
                remaining: course.stepping.mul_f64(left),
            });
        }
        Ok((course, loss_sum / batches as f64))
    }

    /// Writes the checkpoint, if one is wanted.
    fn keep<N: Network>(&self, course: &Course<'_, N>) {
        let (Some(checkpoint), Some(best)) = (&self.checkpoint, &course.best) else {
            return;
        };
        match course.optimizer.into_bytes() {
            Ok(optimizer) => checkpoint.write(&State {
                network: parameters::collect(&course.network),
                best: parameters::collect(best),
                history: course.history.clone(),
                stepping: course.stepping,
                optimizer: optimizer.to_vec(),
            }),
            Err(error) => {
                tracing::warn!(model.kind = %self.kind, %error, "no checkpoint: the optimizer cannot be written");
            }
        }
    }

    /// One step of the optimizer; the loss before it.
    fn step<N: Network>(
        &self,
        network: N,
        optimizer: &mut ModuleOptimizer,
        samples: &[Sample],
        rate: f64,
        step: usize,
    ) -> (N, f64) {
        let windows = input(self.dataset.gather(samples), &self.device);
        // The weights add up to 1 over the whole batch.
        let total: f32 = samples.iter().map(|sample| sample.weight).sum();
        let mut targets = vec![0.0; samples.len() * 3];
        for (sample, target) in samples.iter().zip(targets.chunks_exact_mut(3)) {
            target[sample.class.index()] = sample.weight / total;
        }
        let targets =
            Tensor::<2>::from_data(TensorData::new(targets, [samples.len(), 3]), &self.device);
        let dropout = Dropout::new(self.settings.dropout, mix(self.settings.seed) ^ step as u64);
        let logits = network.logits(windows, dropout, Execution::on(&self.device));
        let loss = -(log_softmax(logits, 1) * targets).sum();
        let gradients = GradientsParams::from_grads(loss.backward(), &network);
        let loss = loss.into_data().iter::<f64>().next().unwrap_or(f64::NAN);
        (optimizer.step(rate, network, gradients), loss)
    }

    /// Logits (as learned, with balanced classes) and class of each sample.
    fn cases<N: Network>(&self, network: &N, samples: &[Sample]) -> Vec<calibration::Case> {
        let network = network.valid();
        let device = self.device.clone().inner();
        samples
            .chunks(PREDICTION_BATCH)
            .flat_map(|samples| {
                let logits = predict_logits(&network, &self.dataset.gather(samples), &device);
                let classes = samples.iter().map(|sample| sample.class);
                logits
                    .into_iter()
                    .zip(classes)
                    .map(|(logits, class)| calibration::Case { logits, class })
                    .collect::<Vec<_>>()
            })
            .collect()
    }

    /// The score with the correction of the evidence that is best for these samples: what the network knows, however sure it is.
    fn best_score<N: Network>(&self, network: &N, samples: &[Sample]) -> PartScore {
        let cases = self.cases(network, samples);
        score(&cases, Calibration::fit(&cases, self.dataset.prior()))
    }
}

/// Whether no further pass is to be done.
fn is_over(history: &[EpochRecord], settings: &TrainingSettings) -> bool {
    let best = best_pass(history).map_or(0, |best| best.epoch);
    history.len() >= settings.epochs || history.len() - best >= settings.patience
}

/// The first of the passes with the least validation log loss.
fn best_pass(history: &[EpochRecord]) -> Option<EpochRecord> {
    history.iter().copied().reduce(|best, record| {
        if record.validation_log_loss < best.validation_log_loss {
            record
        } else {
            best
        }
    })
}

fn score(cases: &[calibration::Case], calibration: Calibration) -> PartScore {
    let prior = Calibration {
        correction: EvidenceCorrection::NONE,
        ..calibration
    };
    PartScore {
        windows: cases.len(),
        log_loss: calibration.log_loss(cases),
        prior_log_loss: prior.log_loss(cases),
    }
}

/// Draws samples without repetition, and starts over in another order when all were drawn.
struct Order<'a> {
    samples: &'a [Sample],
    shuffled: Vec<u32>,
    next: usize,
    random: ChaCha8Rng,
}

impl<'a> Order<'a> {
    fn new(samples: &'a [Sample], seed: u64) -> Self {
        // Another stream than the first weights'.
        let random = ChaCha8Rng::seed_from_u64(mix(seed));
        Self {
            samples,
            shuffled: (0..samples.len() as u32).collect(),
            next: samples.len(),
            random,
        }
    }

    fn next(&mut self, count: usize) -> Vec<Sample> {
        (0..count)
            .map(|_| {
                if self.next == self.shuffled.len() {
                    self.shuffled.shuffle(&mut self.random);
                    self.next = 0;
                }
                self.next += 1;
                self.samples[self.shuffled[self.next - 1] as usize]
            })
            .collect()
    }
}

/// AdamW with gradient clipping; biases and scales are not decayed.
fn optimizer<N: Network>(network: &N, settings: &TrainingSettings) -> ModuleOptimizer {
    #[derive(Default)]
    struct Vectors(Vec<ParamId>);
    impl ModuleVisitor for Vectors {
        fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
            if D == 1 {
                self.0.push(parameter.id);
            }
        }
    }
    let mut vectors = Vectors::default();
    network.visit(&mut vectors);
    let clipping = GradientClippingConfig::Norm(settings.gradient_norm);
    let config = AdamWConfig::new()
        .with_beta_1(settings.beta_1 as f32)
        .with_beta_2(settings.beta_2 as f32)
        .with_epsilon(settings.epsilon as f32);
    let decayed = config
        .clone()
        .with_weight_decay(settings.weight_decay as f32)
        .with_grad_clipping(Some(clipping.clone()));
    let free = config.with_weight_decay(0.0).build();
    decayed
        .init()
        .with_group(ParamGroup::from_ids(vectors.0), free, Some(clipping.init()))
}

/// Rises in a line, then falls as a cosine.
fn learning_rate(settings: &TrainingSettings, step: usize, steps: usize) -> f64 {
    let warm_up = (steps as f64 * settings.warm_up_share).max(1.0);
    let step = step as f64 + 1.0;
    let share = if step <= warm_up {
        step / warm_up
    } else {
        let done = (step - warm_up) / (steps as f64 - warm_up).max(1.0);
        let height = 0.5 * (1.0 + (std::f64::consts::PI * done).cos());
        settings.final_rate_share + (1.0 - settings.final_rate_share) * height
    };
    settings.learning_rate * share
}

#[cfg(test)]
mod tests {
    use domain::Class;
    use features::FeatureVector;

    use super::*;
    use crate::{
        LstmSettings, TransformerSettings, dataset::tests::synthetic, export::testing::Random,
    };

    fn settings() -> TrainingSettings {
        TrainingSettings {
            batch_size: 64,
            epochs: 12,
            patience: 12,
            windows_per_epoch: 1_024,
            validation_windows: 500,
            learning_rate: 5e-3,
            weight_decay: 0.0,
            dropout: 0.0,
            lstm: LstmSettings {
                hidden: 16,
                layers: 1,
            },
            transformer: TransformerSettings {
                width: 16,
                heads: 2,
                inner: 32,
                layers: 2,
            },
            ..TrainingSettings::default()
        }
    }

    fn train_quietly(dataset: &Dataset, kind: ModelKind, settings: &TrainingSettings) -> Trained {
        train(dataset, kind, settings, &|_| {}, &AtomicBool::new(false)).unwrap()
    }

    /// The newest value of the first feature decides.
    fn learnable(_: usize, rows: &[FeatureVector]) -> Class {
        let newest = rows[rows.len() - 1][0];
        if newest < -0.33 {
            Class::Down
        } else if newest > 0.33 {
            Class::Up
        } else {
            Class::Neutral
        }
    }

    #[test]
    fn learns_what_can_be_learned() {
        let dataset = synthetic(2_500, learnable).unwrap();
        let settings = TrainingSettings {
            epochs: 40,
            patience: 40,
            learning_rate: 1e-2,
            ..settings()
        };
        for kind in ModelKind::ALL {
            let trained = train_quietly(&dataset, kind, &settings);
            let (windows, classes) = dataset.windows(Part::Training, 1_000);
            let predicted = trained.predict(&windows).unwrap();
            let hits = predicted
                .iter()
                .zip(&classes)
                .filter(|(found, class)| found.top().0 == **class);
            let accuracy = hits.count() as f64 / classes.len() as f64;
            assert!(accuracy > 0.9, "{kind}: {accuracy}, {:?}", trained.metrics);
            let calibration = trained.metrics.calibration;
            assert!(
                calibration.log_loss < 0.5 * calibration.prior_log_loss,
                "{kind}: {calibration:?}"
            );
        }
    }

    #[test]
    fn learns_nothing_from_shuffled_labels() {
        let mut random = Random::new(9);
        let shuffled: Vec<Class> = (0..2_500)
            .map(|_| {
                if random.next(1.0) < 0.2 {
                    Class::Up
                } else {
                    Class::ALL[(random.next(1.0) > 0.5) as usize]
                }
            })
            .collect();
        let dataset = synthetic(2_500, |row, _| shuffled[row]).unwrap();
        for kind in ModelKind::ALL {
            let trained = train_quietly(&dataset, kind, &settings());
            let PartScore {
                log_loss,
                prior_log_loss,
                ..
            } = trained.metrics.calibration;
            assert!(
                log_loss > prior_log_loss - 0.02,
                "{kind} found something in noise: {log_loss} {prior_log_loss}"
            );
            // And it knows that it knows nothing.
            assert!(
                log_loss < prior_log_loss + 0.02,
                "{kind} is sure of noise: {log_loss} {prior_log_loss}"
            );
        }
    }

    /// Trains until `passes` passes are done, as a process that is killed then.
    fn train_until(
        passes: usize,
        dataset: &Dataset,
        kind: ModelKind,
        settings: &TrainingSettings,
        checkpoints: &Checkpoints,
    ) {
        let cancel = AtomicBool::new(false);
        // In the middle of the next pass.
        let progress = |progress: Progress| {
            cancel.store(
                progress.epoch == passes + 1 && progress.batch == 2,
                Ordering::Relaxed,
            );
        };
        let killed =
            train_with_checkpoints(dataset, kind, settings, checkpoints, &progress, &cancel);
        assert!(matches!(killed, Err(TrainingError::Cancelled)));
    }

    fn train_on(
        dataset: &Dataset,
        kind: ModelKind,
        settings: &TrainingSettings,
        checkpoints: &Checkpoints,
    ) -> Trained {
        let never = AtomicBool::new(false);
        train_with_checkpoints(dataset, kind, settings, checkpoints, &|_| {}, &never).unwrap()
    }

    #[test]
    fn a_training_that_was_killed_ends_with_the_same_bits() {
        let dataset = synthetic(1_500, learnable).unwrap();
        let settings = TrainingSettings {
            epochs: 5,
            patience: 2,
            // The third pass is in the second shuffle.
            windows_per_epoch: 320,
            weight_decay: 0.05,
            dropout: 0.2,
            ..settings()
        };
        for kind in ModelKind::ALL {
            let whole = train_quietly(&dataset, kind, &settings);
            let folder = tempfile::tempdir().unwrap();
            let checkpoints = Checkpoints::new(folder.path().join("checkpoints"));
            train_until(1, &dataset, kind, &settings, &checkpoints);
            train_until(3, &dataset, kind, &settings, &checkpoints);
            let mut steps = std::cell::Cell::new(0);
            let trained = train_with_checkpoints(
                &dataset,
                kind,
                &settings,
                &checkpoints,
                &|_| steps.set(steps.get() + 1),
                &AtomicBool::new(false),
            )
            .unwrap();
            let passes = whole.metrics.history.len();
            assert_eq!(*steps.get_mut(), (passes - 3) * 5, "{kind}");
            assert_eq!(trained.resumed_after, 3);
            assert_eq!(trained.weights, whole.weights, "{kind}");
            assert_eq!(trained.metrics.history, whole.metrics.history);
            assert_eq!(trained.metrics.calibration, whole.metrics.calibration);
            // Killed after its end, it is not trained anew.
            let again = train_on(&dataset, kind, &settings, &checkpoints);
            assert_eq!(again.resumed_after, passes);
            assert_eq!(again.weights, whole.weights);

            checkpoints.remove().unwrap();
            checkpoints.remove().unwrap();
            assert_eq!(
                train_on(&dataset, kind, &settings, &checkpoints).resumed_after,
                0
            );
        }
    }

    #[test]
    fn a_checkpoint_of_another_training_and_a_broken_one_are_left_aside() {
        let dataset = synthetic(1_500, learnable).unwrap();
        let settings = TrainingSettings {
            epochs: 2,
            windows_per_epoch: 320,
            ..settings()
        };
        let kind = ModelKind::Lstm;
        let folder = tempfile::tempdir().unwrap();
        let checkpoints = Checkpoints::new(folder.path());
        let other = TrainingSettings {
            epsilon: 1e-7,
            ..settings.clone()
        };
        train_until(1, &dataset, kind, &other, &checkpoints);
        let whole = train_quietly(&dataset, kind, &settings);
        let trained = train_on(&dataset, kind, &settings, &checkpoints);
        assert_eq!(
            (trained.resumed_after, &trained.weights),
            (0, &whole.weights)
        );

        let path = folder.path().join("lstm.checkpoint");
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
        let trained = train_on(&dataset, kind, &settings, &checkpoints);
        assert_eq!(
            (trained.resumed_after, &trained.weights),
            (0, &whole.weights)
        );
    }

    #[test]
    fn the_same_seed_gives_the_same_bits() {
        let dataset = synthetic(1_500, learnable).unwrap();
        for kind in ModelKind::ALL {
            let settings = TrainingSettings {
                epochs: 2,
                dropout: 0.2,
                ..settings()
            };
            let one = train_quietly(&dataset, kind, &settings);
            // Another number of threads must not matter.
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(1)
                .build()
                .unwrap();
            let two = pool.install(|| train_quietly(&dataset, kind, &settings));
            assert_eq!(one.weights, two.weights);
            let other = TrainingSettings {
                seed: 1,
                ..settings
            };
            assert_ne!(one.weights, train_quietly(&dataset, kind, &other).weights);
        }
    }

    #[test]
    fn reports_progress_and_obeys_cancellation() {
        let dataset = synthetic(1_500, learnable).unwrap();
        let cancel = AtomicBool::new(false);
        let last = std::cell::Cell::new(None);
        let stop_in_second_epoch = |progress: Progress| {
            last.set(Some(progress));
            cancel.store(progress.epoch == 2, Ordering::Relaxed);
        };
        let error = train(
            &dataset,
            ModelKind::Lstm,
            &settings(),
            &stop_in_second_epoch,
            &cancel,
        )
        .unwrap_err();
        assert!(matches!(error, TrainingError::Cancelled));
        let progress = last.get().unwrap();
        assert_eq!((progress.epoch, progress.batch), (2, 1));
        assert!(progress.validation_log_loss.is_some() && progress.windows_per_second > 0.0);
        assert!(progress.remaining > Duration::ZERO && progress.loss.is_finite());
    }

    #[test]
    fn the_rate_rises_and_falls() {
        let settings = settings();
        let rates: Vec<f64> = (0..100)
            .map(|step| learning_rate(&settings, step, 100))
            .collect();
        assert!((rates[9] - settings.learning_rate).abs() < 1e-12);
        assert!(rates[..10].is_sorted() && rates[9..].iter().rev().is_sorted());
        assert!((rates[99] / settings.learning_rate - settings.final_rate_share).abs() < 1e-3);
    }

    #[test]
    fn every_window_comes_once_before_any_comes_twice() {
        let dataset = synthetic(1_500, learnable).unwrap();
        let samples = dataset.samples(Part::Training);
        let mut order = Order::new(samples, 3);
        let drawn: Vec<Sample> = (0..3).flat_map(|_| order.next(samples.len() / 3)).collect();
        let mut seen = drawn.clone();
        seen.sort_by_key(|sample| samples.iter().position(|other| other == sample));
        seen.dedup();
        assert_eq!(seen.len(), drawn.len());
        assert_ne!(&drawn[..100], &samples[..100]);
    }
}
