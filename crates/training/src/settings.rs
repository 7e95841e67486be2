use domain::{InvalidSettings, SettingsCheck, SettingsSection};
use serde::{Deserialize, Serialize};

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
}

impl SettingsSection for TrainingSettings {
    const SECTION: &'static str = "training";

    /// Checks every range, so that a typing error does not cost a night.
    fn check(&self) -> Result<(), InvalidSettings> {
        let Self {
            lstm, transformer, ..
        } = self;
        let below_one = |value: f64| (0.0..1.0).contains(&value);
        let divides = transformer.heads > 0 && transformer.width.is_multiple_of(transformer.heads);
        SettingsCheck::new(Self::SECTION)
            .number("validation_fraction", self.validation_fraction, 0.05, 0.5)
            .size("embargo_bars", self.embargo_bars, 0, 10_000)
            .size("batch_size", self.batch_size, 8, 4_096)
            .size("epochs", self.epochs, 1, 1_000)
            .size("patience", self.patience, 1, 100)
            .field(
                "windows_per_epoch",
                self.windows_per_epoch,
                self.windows_per_epoch >= self.batch_size,
                "at least batch_size",
            )
            .field(
                "validation_windows",
                self.validation_windows,
                self.validation_windows >= 100,
                "at least 100",
            )
            .number("learning_rate", self.learning_rate, 1e-6, 0.1)
            .number("warm_up_share", self.warm_up_share, 0.0, 0.9)
            .number("final_rate_share", self.final_rate_share, 0.0, 1.0)
            .field(
                "beta_1",
                self.beta_1,
                below_one(self.beta_1),
                "0 to below 1",
            )
            .field(
                "beta_2",
                self.beta_2,
                below_one(self.beta_2),
                "0 to below 1",
            )
            .number("epsilon", self.epsilon, 1e-12, 1e-2)
            .number("weight_decay", self.weight_decay, 0.0, 1.0)
            .field(
                "gradient_norm",
                self.gradient_norm,
                self.gradient_norm > 0.0 && self.gradient_norm.is_finite(),
                "a number above 0",
            )
            .number("dropout", self.dropout, 0.0, 0.9)
            .size("lstm.hidden", lstm.hidden, 1, 1_024)
            .size("lstm.layers", lstm.layers, 1, 8)
            .size("transformer.width", transformer.width, 1, 1_024)
            .size("transformer.inner", transformer.inner, 1, 4_096)
            .size("transformer.layers", transformer.layers, 1, 8)
            .field(
                "transformer.heads",
                transformer.heads,
                divides,
                "a divisor of transformer.width",
            )
            .end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_valid_and_a_wrong_value_is_named() {
        TrainingSettings::default().check().unwrap();
        TrainingSettings::default().quick().check().unwrap();
        let settings = TrainingSettings {
            learning_rate: 5.0,
            ..TrainingSettings::default()
        };
        assert_eq!(
            settings.check().unwrap_err().to_string(),
            "[training] learning_rate = 5 cannot be used: expected 0.000001 to 0.1"
        );
        let mut settings = TrainingSettings::default();
        settings.transformer.heads = 5;
        assert!(
            settings
                .check()
                .unwrap_err()
                .to_string()
                .contains("transformer.heads = 5")
        );
    }
}
