use burn::{
    module::{ModuleVisitor, Param},
    optim::GradientsParams,
    tensor::{Device, Tensor, TensorData, activation::log_softmax},
};
use features::{FEATURE_COUNT, WINDOW};

use super::{Execution, LstmNetwork, Network, TransformerNetwork};
use crate::{
    NetworkWeights,
    export::testing::{Random, random_lstm, random_transformer, reference_probabilities},
    kernels::dropout::Dropout,
};

const WINDOW_LENGTH: usize = WINDOW * FEATURE_COUNT;

/// The class that window `index` is said to have.
fn class(index: usize) -> usize {
    index % 3
}

fn windows(count: usize) -> Vec<f32> {
    Random::new(3).values(count * WINDOW_LENGTH, 1.0)
}

/// Sum of the windows' losses and its gradients, one vector a parameter in the order of the module's fields.
fn loss_and_gradients(
    weights: &NetworkWeights,
    windows: &[f32],
    dropout: Option<Dropout>,
) -> (f64, Vec<Vec<f32>>) {
    executed(weights, windows, dropout, Execution::Kernels)
}

/// The same, with the expensive layers computed in one of the two ways.
fn executed(
    weights: &NetworkWeights,
    windows: &[f32],
    dropout: Option<Dropout>,
    execution: Execution,
) -> (f64, Vec<Vec<f32>>) {
    fn run<N: Network>(
        network: &N,
        windows: &[f32],
        dropout: Option<Dropout>,
        execution: Execution,
        device: &Device,
    ) -> (f64, Vec<Vec<f32>>) {
        struct Collect(GradientsParams, Vec<Vec<f32>>);
        impl ModuleVisitor for Collect {
            fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
                let gradient = self.0.get::<D>(parameter.id).unwrap();
                assert_eq!(gradient.dims(), parameter.val().dims());
                self.1.push(gradient.into_data().iter::<f32>().collect());
            }
        }
        let count = windows.len() / WINDOW_LENGTH;
        let shape = [count, WINDOW, FEATURE_COUNT];
        let input = Tensor::from_data(TensorData::new(windows.to_vec(), shape), device);
        let mut targets = vec![0.0_f32; count * 3];
        (0..count).for_each(|index| targets[index * 3 + class(index)] = 1.0);
        let targets = Tensor::<2>::from_data(TensorData::new(targets, [count, 3]), device);
        let loss = -(log_softmax(network.logits(input, dropout, execution), 1) * targets).sum();
        let gradients = GradientsParams::from_grads(loss.backward(), network);
        let mut collect = Collect(gradients, Vec::new());
        network.visit(&mut collect);
        (loss.into_data().iter::<f64>().next().unwrap(), collect.1)
    }
    let device = Device::flex().autodiff();
    match weights {
        NetworkWeights::Lstm(weights) => run(
            &LstmNetwork::new(weights, &device),
            windows,
            dropout,
            execution,
            &device,
        ),
        NetworkWeights::Transformer(weights) => run(
            &TransformerNetwork::new(weights, &device),
            windows,
            dropout,
            execution,
            &device,
        ),
    }
}

/// The same loss from the definitions, in double precision.
fn reference_loss(weights: &NetworkWeights, windows: &[f32]) -> f64 {
    let windows = windows.chunks_exact(WINDOW_LENGTH).enumerate();
    windows
        .map(|(index, window)| -reference_probabilities(weights, window)[class(index)].ln())
        .sum()
}

/// All parameters in the order of the modules' fields.
fn parameters(weights: &mut NetworkWeights) -> Vec<&mut Vec<f32>> {
    match weights {
        NetworkWeights::Lstm(lstm) => {
            let layers = lstm.layers.iter_mut();
            let mut all: Vec<_> = layers
                .flat_map(|layer| [&mut layer.input, &mut layer.recurrent, &mut layer.bias])
                .collect();
            all.extend([&mut lstm.head.weight, &mut lstm.head.bias]);
            all
        }
        NetworkWeights::Transformer(transformer) => {
            let mut all = vec![
                &mut transformer.embed.weight,
                &mut transformer.embed.bias,
                &mut transformer.position,
            ];
            for layer in &mut transformer.layers {
                all.extend([&mut layer.norm1.scale, &mut layer.norm1.bias]);
                all.extend([&mut layer.qkv.weight, &mut layer.qkv.bias]);
                all.extend([
                    &mut layer.attention_out.weight,
                    &mut layer.attention_out.bias,
                ]);
                all.extend([&mut layer.norm2.scale, &mut layer.norm2.bias]);
                all.extend([
                    &mut layer.feed_forward_in.weight,
                    &mut layer.feed_forward_in.bias,
                ]);
                all.extend([
                    &mut layer.feed_forward_out.weight,
                    &mut layer.feed_forward_out.bias,
                ]);
            }
            all.extend([
                &mut transformer.final_norm.scale,
                &mut transformer.final_norm.bias,
            ]);
            all.extend([&mut transformer.head.weight, &mut transformer.head.bias]);
            all
        }
    }
}

fn small_networks() -> [NetworkWeights; 2] {
    [
        random_lstm(FEATURE_COUNT, 5, 2, 1),
        random_transformer(FEATURE_COUNT, 8, 2, 2, 2),
    ]
}

#[test]
fn gradients_equal_finite_differences_of_the_definitions() {
    let windows = windows(2);
    for mut weights in small_networks() {
        let (loss, gradients) = loss_and_gradients(&weights, &windows, None);
        assert!((loss - reference_loss(&weights, &windows)).abs() < 1e-4 * loss);
        for (index, gradient) in gradients.iter().enumerate() {
            // Up to five entries, spread over the parameter.
            for entry in (0..gradient.len()).step_by(gradient.len().div_ceil(5)) {
                let original = parameters(&mut weights)[index][entry];
                let mut loss_at = |value: f32| {
                    parameters(&mut weights)[index][entry] = value;
                    reference_loss(&weights, &windows)
                };
                let (low, high) = (original - 1e-4, original + 1e-4);
                let slope = (loss_at(high) - loss_at(low)) / f64::from(high - low);
                loss_at(original);
                let found = f64::from(gradient[entry]);
                assert!(
                    (found - slope).abs() < 2e-4 + 2e-3 * slope.abs(),
                    "parameter {index}, entry {entry}: {found}, finite difference {slope}"
                );
            }
        }
    }
}

#[test]
fn kernels_and_the_frameworks_operations_give_the_same() {
    let windows = windows(11);
    for weights in [
        random_lstm(FEATURE_COUNT, 16, 2, 1),
        random_transformer(FEATURE_COUNT, 16, 2, 2, 2),
    ] {
        for dropout in [None, Dropout::new(0.3, 5)] {
            let [(loss, gradients), (composed_loss, composed)] =
                [Execution::Kernels, Execution::Composed]
                    .map(|execution| executed(&weights, &windows, dropout, execution));
            assert!(
                (loss - composed_loss).abs() < 1e-5 * loss,
                "{loss} {composed_loss}"
            );
            for (index, (gradient, composed)) in gradients.iter().zip(&composed).enumerate() {
                let size = gradient
                    .iter()
                    .fold(1.0_f32, |largest, slope| largest.max(slope.abs()));
                for (found, expected) in gradient.iter().zip(composed) {
                    assert!(
                        (found - expected).abs() < 1e-5 * size,
                        "parameter {index}: {found} {expected}"
                    );
                }
            }
        }
    }
}

#[test]
fn dropout_is_the_same_forwards_and_backwards() {
    let windows = windows(11);
    for weights in small_networks() {
        let dropout = Dropout::new(0.3, 5);
        let (loss, gradients) = loss_and_gradients(&weights, &windows, dropout);
        assert!(
            (loss - reference_loss(&weights, &windows)).abs() > 1e-3,
            "nothing was dropped"
        );
        // The loss changes along the gradient as fast as the gradient says.
        let square: f64 = gradients
            .iter()
            .flatten()
            .map(|slope| f64::from(*slope).powi(2))
            .sum();
        let step = 2e-3 / square.sqrt();
        let loss_at = |step: f64| {
            let mut moved = weights.clone();
            for (parameter, gradient) in parameters(&mut moved).into_iter().zip(&gradients) {
                for (value, slope) in parameter.iter_mut().zip(gradient) {
                    *value += slope * step as f32;
                }
            }
            loss_and_gradients(&moved, &windows, dropout).0
        };
        let slope = (loss_at(step) - loss_at(-step)) / (2.0 * step);
        assert!(
            (slope / square - 1.0).abs() < 0.02,
            "{slope} instead of {square}"
        );
    }
}

#[test]
fn shards_do_not_change_the_gradients() {
    let windows = windows(69);
    let (first, second) = windows.split_at(33 * WINDOW_LENGTH);
    for weights in small_networks() {
        let (_, whole) = loss_and_gradients(&weights, &windows, None);
        let (_, first) = loss_and_gradients(&weights, first, None);
        let (_, second) = loss_and_gradients(&weights, second, None);
        for ((whole, first), second) in whole.iter().zip(&first).zip(&second) {
            let scale = whole
                .iter()
                .fold(1e-3_f32, |largest, slope| largest.max(slope.abs()));
            for ((whole, first), second) in whole.iter().zip(first).zip(second) {
                assert!((whole - first - second).abs() < 1e-4 * scale);
            }
        }
    }
}

#[test]
fn weights_survive_the_framework() {
    let device = Device::flex();
    for weights in small_networks() {
        let found = match &weights {
            NetworkWeights::Lstm(lstm) => LstmNetwork::new(lstm, &device).to_weights(),
            NetworkWeights::Transformer(weights) => {
                TransformerNetwork::new(weights, &device).to_weights()
            }
        };
        assert_eq!(found, weights);
    }
}
