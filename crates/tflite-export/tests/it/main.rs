//! The files' form, read back with the schema. That they compute the right thing is tested in `inference`.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use tflite_export::{
    ExportError, NetworkWeights,
    testing::{random_lstm, random_transformer},
    write_tflite,
};
use tract_tflite::tflite::{self, BuiltinOperator};

fn networks() -> [NetworkWeights; 2] {
    [random_lstm(5, 8, 2, 1), random_transformer(5, 8, 2, 2, 1)]
}

#[test]
fn is_a_complete_file() {
    for weights in networks() {
        let bytes = write_tflite(&weights, &[("model_id", "lstm-1"), ("note", "")]).unwrap();
        assert_eq!(&bytes[4..8], b"TFL3");
        let model = tflite::root_as_model(&bytes).unwrap();
        assert_eq!(model.version(), 3);
        assert!(model.description().unwrap().starts_with("Tandem "));

        let metadata = model.metadata().unwrap();
        assert_eq!(metadata.len(), 2);
        assert_eq!(metadata.get(0).name(), Some("model_id"));
        let buffers = model.buffers().unwrap();
        assert!(buffers.get(0).data().is_none(), "buffer 0 means no data");
        let value = buffers
            .get(metadata.get(0).buffer() as usize)
            .data()
            .unwrap();
        assert_eq!(value.bytes(), b"lstm-1");

        let graph = model.subgraphs().unwrap().get(0);
        let tensors = graph.tensors().unwrap();
        let signature = model.signature_defs().unwrap().get(0);
        assert_eq!(signature.signature_key(), Some("serving_default"));
        for (map, ids, name, shape, open) in [
            (
                signature.inputs(),
                graph.inputs(),
                "window",
                vec![1, 60, 5],
                vec![-1, 60, 5],
            ),
            (
                signature.outputs(),
                graph.outputs(),
                "probabilities",
                vec![1, 3],
                vec![-1, 3],
            ),
        ] {
            let entry = map.unwrap().get(0);
            assert_eq!(entry.name(), Some(name));
            assert_eq!(entry.tensor_index(), ids.unwrap().get(0) as u32);
            let tensor = tensors.get(entry.tensor_index() as usize);
            assert_eq!(tensor.name(), Some(name));
            assert_eq!(tensor.shape().unwrap().iter().collect::<Vec<_>>(), shape);
            assert_eq!(
                tensor.shape_signature().unwrap().iter().collect::<Vec<_>>(),
                open
            );
        }
        let mut names: Vec<_> = tensors
            .iter()
            .map(|tensor| tensor.name().unwrap())
            .collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count, "every tensor has a name of its own");
    }
}

#[test]
fn keeps_to_what_both_runtimes_compute() {
    for weights in networks() {
        let bytes = write_tflite(&weights, &[]).unwrap();
        let model = tflite::root_as_model(&bytes).unwrap();
        let graph = model.subgraphs().unwrap().get(0);
        let tensors = graph.tensors().unwrap();
        for operator in graph.operators().unwrap() {
            let code = model
                .operator_codes()
                .unwrap()
                .get(operator.opcode_index() as usize);
            assert_eq!(
                i32::from(code.deprecated_builtin_code()),
                code.builtin_code().0
            );
            assert_eq!(code.version(), 1);
            let inputs = operator.inputs().unwrap();
            assert!(inputs.iter().all(|id| id >= 0), "no optional inputs");
            assert_ne!(code.builtin_code(), BuiltinOperator::MEAN);
            if code.builtin_code() == BuiltinOperator::FULLY_CONNECTED {
                assert_eq!(inputs.len(), 3, "a bias");
                let rank = |id| tensors.get(id as usize).shape().unwrap().len();
                assert_eq!([rank(inputs.get(0)), rank(inputs.get(1))], [2, 2]);
            }
        }
    }
}

#[test]
fn the_same_weights_give_the_same_bytes() {
    for (first, second) in networks().iter().zip(&networks()) {
        let bytes = |weights| write_tflite(weights, &[("a", "b")]).unwrap();
        assert_eq!(bytes(first), bytes(second));
    }
}

fn lstm_fault(change: impl FnOnce(&mut tflite_export::weights::LstmWeights)) -> ExportError {
    let NetworkWeights::Lstm(mut lstm) = random_lstm(5, 8, 2, 1) else {
        unreachable!()
    };
    change(&mut lstm);
    write_tflite(&NetworkWeights::Lstm(lstm), &[]).unwrap_err()
}

fn transformer_fault(
    change: impl FnOnce(&mut tflite_export::weights::TransformerWeights),
) -> ExportError {
    let NetworkWeights::Transformer(mut transformer) = random_transformer(5, 8, 2, 2, 1) else {
        unreachable!()
    };
    change(&mut transformer);
    write_tflite(&NetworkWeights::Transformer(transformer), &[]).unwrap_err()
}

#[test]
fn weights_that_make_no_network_are_named() {
    let cases = [
        (
            lstm_fault(|lstm| lstm.layers[1].recurrent.truncate(3)),
            "layers[1].recurrent holds 3 values, but its sizes ask for 256",
        ),
        (
            lstm_fault(|lstm| lstm.layers.clear()),
            "layers is zero: a network needs at least one",
        ),
        (
            lstm_fault(|lstm| lstm.head.inputs = 9),
            "head.inputs is 9, but must be 8",
        ),
        (
            lstm_fault(|lstm| lstm.layers[0].bias[4] = f32::NAN),
            "layers[0].bias[4] is NaN: the training diverged, train again with a smaller learning rate",
        ),
        (
            transformer_fault(|t| t.heads = 3),
            "3 attention heads do not divide a width of 8",
        ),
        (
            transformer_fault(|t| t.heads = 0),
            "heads is zero: a network needs at least one",
        ),
        (
            transformer_fault(|t| t.position[7] = f32::INFINITY),
            "position[7] is inf: the training diverged, train again with a smaller learning rate",
        ),
        (
            transformer_fault(|t| t.layers[0].feed_forward_out.inputs = 4),
            "layers[0].feed_forward_out.inputs is 4, but must be 16",
        ),
        (
            transformer_fault(|t| t.final_norm.scale.clear()),
            "final_norm.scale holds 0 values, but its sizes ask for 8",
        ),
    ];
    for (error, message) in cases {
        assert_eq!(error.to_string(), message);
    }
}
