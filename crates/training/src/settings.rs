use serde::{Deserialize, Serialize};

use crate::TrainingError;

/// How the networks are trained: the `[training]` section of `config/tandem.toml`. Kept in every model's card: together
/// with the data, the labels' settings and the code version they decide the weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainingSettings {
    /// First weights, order of the windows and dropout follow from it: the same seed and data give the same model.
    pub seed: u64,
    /// Share of the newest sessions kept for early stopping (first half) and calibration (second half), 0.05..=0.5.
    pub validation_fraction: f64,
    /// Bars left out after each boundary of the split; at least the labels' horizon is used.
    pub embargo_bars: usize,
    /// Sessions of the training part that must have news before the networks are shown any.
    pub news_sessions: usize,
    /// Sessions of the training part that must know economic figures published daily before the networks are shown
    /// any; four times as many for those published monthly. A figure is the same for all stocks and all minutes of a
    /// day: of few days the networks learn the date, and are worse on later ones.
    pub economy_sessions: usize,
    /// Windows per step, 8..=4096.
    pub batch_size: usize,
    /// Largest number of passes, each followed by a look at the early-stopping part, 1..=1000.
    pub epochs: usize,
    /// Windows of one pass. Passes draw without repetition until all training windows were used once.
    pub windows_per_epoch: usize,
    /// Passes without a better early-stopping log loss before training ends, 1..=100.
    pub patience: usize,
    /// Windows of the early-stopping and the calibration part that are looked at, evenly spread over them.
    pub validation_windows: usize,
    /// Highest learning rate of AdamW, reached after the warm-up, 1e-6..=0.1; falls as a cosine afterwards.
    pub learning_rate: f64,
    /// Share of the steps in which the learning rate rises in a line to its peak, 0..=0.9.
    pub warm_up_share: f64,
    /// The learning rate of the last step as a share of the peak, 0..=1.
    pub final_rate_share: f64,
    /// AdamW's decay of the mean gradient, 0..1.
    pub beta_1: f64,
    /// AdamW's decay of the mean squared gradient, 0..1.
    pub beta_2: f64,
    /// Added to the root of the mean squared gradient, 1e-12..=1e-2.
    pub epsilon: f64,
    /// Decoupled weight decay of the matrices, 0..=1.
    pub weight_decay: f64,
    /// Largest norm of one parameter's gradient, above 0.
    pub gradient_norm: f32,
    /// Share of the numbers dropped in training, 0..=0.9.
    pub dropout: f64,
    /// Sizes of the LSTM.
    pub lstm: LstmSettings,
    /// Sizes of the Transformer.
    pub transformer: TransformerSettings,
}

/// Sizes of the LSTM.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LstmSettings {
    /// Width of the hidden state.
    pub hidden: usize,
    /// Stacked layers.
    pub layers: usize,
}

/// Sizes of the Transformer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TransformerSettings {
    /// Width of the residual stream.
    pub width: usize,
    /// Attention heads; divides `width`.
    pub heads: usize,
    /// Width of the feed-forward parts.
    pub inner: usize,
    /// Encoder layers.
    pub layers: usize,
}

impl Default for TrainingSettings {
    fn default() -> Self {
        Self {
            seed: 20_180_216,
            validation_fraction: 0.25,
            embargo_bars: 30,
            news_sessions: 5,
            economy_sessions: 60,
            batch_size: 256,
            epochs: 24,
            windows_per_epoch: 32_768,
            patience: 5,
            validation_windows: 16_384,
            learning_rate: 1e-3,
            warm_up_share: 0.1,
            final_rate_share: 0.02,
            beta_1: 0.9,
            beta_2: 0.999,
            epsilon: 1e-8,
            weight_decay: 0.05,
            gradient_norm: 1.0,
            dropout: 0.2,
            lstm: LstmSettings::default(),
            transformer: TransformerSettings::default(),
        }
    }
}

impl Default for LstmSettings {
    fn default() -> Self {
        Self {
            hidden: 64,
            layers: 2,
        }
    }
}

impl Default for TransformerSettings {
    fn default() -> Self {
        Self {
            width: 64,
            heads: 4,
            inner: 128,
            layers: 2,
        }
    }
}

impl TrainingSettings {
    /// A genuine training of demo size: both networks in under a minute on two busy cores.
    #[must_use]
    pub fn quick(self) -> Self {
        Self {
            epochs: 6,
            windows_per_epoch: 8_192,
            patience: 2,
            validation_windows: 2_048,
            learning_rate: 2e-3,
            ..self
        }
    }

    /// Checks every range, so that a typing error does not cost a night.
    ///
    /// # Errors
    /// [`TrainingError::Setting`] names the first field that is out of range.
    pub fn validate(&self) -> Result<(), TrainingError> {
        let Self {
            lstm, transformer, ..
        } = self;
        check(
            self.validation_fraction,
            "validation_fraction",
            (0.05..=0.5).contains(&self.validation_fraction),
            "0.05 to 0.5",
        )?;
        check(
            self.embargo_bars,
            "embargo_bars",
            self.embargo_bars <= 10_000,
            "at most 10000",
        )?;
        check(
            self.batch_size,
            "batch_size",
            (8..=4096).contains(&self.batch_size),
            "8 to 4096",
        )?;
        check(
            self.epochs,
            "epochs",
            (1..=1000).contains(&self.epochs),
            "1 to 1000",
        )?;
        check(
            self.patience,
            "patience",
            (1..=100).contains(&self.patience),
            "1 to 100",
        )?;
        check(
            self.windows_per_epoch,
            "windows_per_epoch",
            self.windows_per_epoch >= self.batch_size,
            "at least batch_size",
        )?;
        check(
            self.validation_windows,
            "validation_windows",
            self.validation_windows >= 100,
            "at least 100",
        )?;
        check(
            self.learning_rate,
            "learning_rate",
            (1e-6..=0.1).contains(&self.learning_rate),
            "1e-6 to 0.1",
        )?;
        check(
            self.warm_up_share,
            "warm_up_share",
            (0.0..=0.9).contains(&self.warm_up_share),
            "0 to 0.9",
        )?;
        check(
            self.final_rate_share,
            "final_rate_share",
            (0.0..=1.0).contains(&self.final_rate_share),
            "0 to 1",
        )?;
        for (value, field) in [(self.beta_1, "beta_1"), (self.beta_2, "beta_2")] {
            check(value, field, (0.0..1.0).contains(&value), "0 to below 1")?;
        }
        check(
            self.epsilon,
            "epsilon",
            (1e-12..=1e-2).contains(&self.epsilon),
            "1e-12 to 1e-2",
        )?;
        check(
            self.weight_decay,
            "weight_decay",
            (0.0..=1.0).contains(&self.weight_decay),
            "0 to 1",
        )?;
        check(
            self.gradient_norm,
            "gradient_norm",
            self.gradient_norm > 0.0,
            "above 0",
        )?;
        check(
            self.dropout,
            "dropout",
            (0.0..=0.9).contains(&self.dropout),
            "0 to 0.9",
        )?;
        check(
            lstm.hidden,
            "lstm.hidden",
            (1..=1024).contains(&lstm.hidden),
            "1 to 1024",
        )?;
        check(
            lstm.layers,
            "lstm.layers",
            (1..=8).contains(&lstm.layers),
            "1 to 8",
        )?;
        check(
            transformer.width,
            "transformer.width",
            (1..=1024).contains(&transformer.width),
            "1 to 1024",
        )?;
        check(
            transformer.inner,
            "transformer.inner",
            (1..=4096).contains(&transformer.inner),
            "1 to 4096",
        )?;
        check(
            transformer.layers,
            "transformer.layers",
            (1..=8).contains(&transformer.layers),
            "1 to 8",
        )?;
        let divides = transformer.heads > 0 && transformer.width.is_multiple_of(transformer.heads);
        check(
            transformer.heads,
            "transformer.heads",
            divides,
            "a divisor of transformer.width",
        )
    }
}

fn check(
    value: impl ToString,
    field: &'static str,
    valid: bool,
    expected: &'static str,
) -> Result<(), TrainingError> {
    if valid {
        return Ok(());
    }
    Err(TrainingError::Setting {
        field,
        value: value.to_string(),
        expected,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_valid_and_a_wrong_value_is_named() {
        TrainingSettings::default().validate().unwrap();
        TrainingSettings::default().quick().validate().unwrap();
        let settings = TrainingSettings {
            learning_rate: 5.0,
            ..TrainingSettings::default()
        };
        assert_eq!(
            settings.validate().unwrap_err().to_string(),
            "setting training.learning_rate is 5: expected 1e-6 to 0.1"
        );
        let mut settings = TrainingSettings::default();
        settings.transformer.heads = 5;
        assert!(
            settings
                .validate()
                .unwrap_err()
                .to_string()
                .contains("transformer.heads is 5")
        );
    }
}
