//! The graph as a TFLite flatbuffer (schema version 3).

use flatbuffers::{FlatBufferBuilder, UnionWIPOffset, WIPOffset};
use tract_tflite::tflite;

use crate::graph::{Data, Graph, Operation, Operator, Tensor, TensorId};

const SCHEMA_VERSION: u32 = 3;
/// All operators are used as their first version defines them.
const OPERATOR_VERSION: i32 = 1;
const SIGNATURE: &str = "serving_default";

type Builder = FlatBufferBuilder<'static>;
type Offset<T> = WIPOffset<T>;

/// The file's bytes.
pub(crate) fn serialize(graph: &Graph, description: &str, metadata: &[(&str, &str)]) -> Vec<u8> {
    let mut builder = Builder::new();
    // Buffer 0 is the schema's "no data".
    let mut buffers = vec![tflite::Buffer::create(
        &mut builder,
        &tflite::BufferArgs::default(),
    )];
    let tensors: Vec<_> = graph
        .tensors
        .iter()
        .map(|tensor| write_tensor(&mut builder, &mut buffers, tensor))
        .collect();
    let mut codes: Vec<tflite::BuiltinOperator> = Vec::new();
    let operators: Vec<_> = graph
        .operators
        .iter()
        .map(|operator| write_operator(&mut builder, &mut codes, operator))
        .collect();
    let subgraph = {
        let tensors = Some(builder.create_vector(&tensors));
        let inputs = Some(write_ids(&mut builder, &graph.inputs));
        let outputs = Some(write_ids(&mut builder, &graph.outputs));
        let operators = Some(builder.create_vector(&operators));
        let name = Some(builder.create_string("main"));
        let arguments = tflite::SubGraphArgs {
            tensors,
            inputs,
            outputs,
            operators,
            name,
        };
        tflite::SubGraph::create(&mut builder, &arguments)
    };
    let signature = write_signature(&mut builder, graph);
    let metadata: Vec<_> = metadata
        .iter()
        .map(|(name, value)| {
            let buffer = write_buffer(&mut builder, &mut buffers, value.as_bytes());
            let name = Some(builder.create_string(name));
            tflite::Metadata::create(&mut builder, &tflite::MetadataArgs { name, buffer })
        })
        .collect();
    let codes: Vec<_> = codes
        .iter()
        .map(|code| write_code(&mut builder, *code))
        .collect();
    let arguments = tflite::ModelArgs {
        version: SCHEMA_VERSION,
        operator_codes: Some(builder.create_vector(&codes)),
        subgraphs: Some(builder.create_vector(&[subgraph])),
        description: Some(builder.create_string(description)),
        buffers: Some(builder.create_vector(&buffers)),
        metadata_buffer: None,
        metadata: Some(builder.create_vector(&metadata)),
        signature_defs: Some(builder.create_vector(&[signature])),
    };
    let model = tflite::Model::create(&mut builder, &arguments);
    tflite::finish_model_buffer(&mut builder, model);
    builder.finished_data().to_vec()
}

/// Appends a buffer and gives its number.
fn write_buffer(
    builder: &mut Builder,
    buffers: &mut Vec<Offset<tflite::Buffer<'static>>>,
    bytes: &[u8],
) -> u32 {
    let data = Some(builder.create_vector(bytes));
    buffers.push(tflite::Buffer::create(
        builder,
        &tflite::BufferArgs { data },
    ));
    buffers.len() as u32 - 1
}

fn write_tensor(
    builder: &mut Builder,
    buffers: &mut Vec<Offset<tflite::Buffer<'static>>>,
    tensor: &Tensor,
) -> Offset<tflite::Tensor<'static>> {
    let (type_, buffer) = match &tensor.data {
        None => (tflite::TensorType::FLOAT32, 0),
        Some(Data::Float(values)) => {
            let bytes: Vec<u8> = values
                .iter()
                .flat_map(|value| value.to_le_bytes())
                .collect();
            (
                tflite::TensorType::FLOAT32,
                write_buffer(builder, buffers, &bytes),
            )
        }
        Some(Data::Int(values)) => {
            let bytes: Vec<u8> = values
                .iter()
                .flat_map(|value| value.to_le_bytes())
                .collect();
            (
                tflite::TensorType::INT32,
                write_buffer(builder, buffers, &bytes),
            )
        }
    };
    let shape: Vec<i32> = tensor
        .shape
        .iter()
        .map(|axis| axis.length() as i32)
        .collect();
    let signature: Vec<i32> = tensor.shape.iter().map(|axis| axis.signature()).collect();
    let arguments = tflite::TensorArgs {
        shape: Some(builder.create_vector(&shape)),
        type_,
        buffer,
        name: Some(builder.create_string(&tensor.name)),
        shape_signature: (signature != shape).then(|| builder.create_vector(&signature)),
        has_rank: true,
        ..tflite::TensorArgs::default()
    };
    tflite::Tensor::create(builder, &arguments)
}

fn write_ids(builder: &mut Builder, ids: &[TensorId]) -> Offset<flatbuffers::Vector<'static, i32>> {
    let ids: Vec<i32> = ids.iter().map(|id| id.0).collect();
    builder.create_vector(&ids)
}

fn write_operator(
    builder: &mut Builder,
    codes: &mut Vec<tflite::BuiltinOperator>,
    operator: &Operator,
) -> Offset<tflite::Operator<'static>> {
    let (code, builtin_options_type, builtin_options) = options(builder, operator.operation);
    let opcode_index = codes
        .iter()
        .position(|known| *known == code)
        .unwrap_or_else(|| {
            codes.push(code);
            codes.len() - 1
        }) as u32;
    let arguments = tflite::OperatorArgs {
        opcode_index,
        inputs: Some(write_ids(builder, &operator.inputs)),
        outputs: Some(write_ids(builder, &[operator.output])),
        builtin_options_type,
        builtin_options,
        ..tflite::OperatorArgs::default()
    };
    tflite::Operator::create(builder, &arguments)
}

/// TFLite's code and option table of an operation.
fn options(
    builder: &mut Builder,
    operation: Operation,
) -> (
    tflite::BuiltinOperator,
    tflite::BuiltinOptions,
    Option<Offset<UnionWIPOffset>>,
) {
    use tflite::{BuiltinOperator as Code, BuiltinOptions as Options};
    let none = tflite::ActivationFunctionType::NONE;
    macro_rules! with {
        ($code:ident, $options:ident, $arguments:expr) => {
            (
                Code::$code,
                Options::$options,
                Some(tflite::$options::create(builder, &$arguments).as_union_value()),
            )
        };
    }
    match operation {
        Operation::Add => with!(
            ADD,
            AddOptions,
            tflite::AddOptionsArgs {
                fused_activation_function: none,
                pot_scale_int16: false,
            }
        ),
        Operation::BatchMatMul { transpose_second } => {
            with!(
                BATCH_MATMUL,
                BatchMatMulOptions,
                tflite::BatchMatMulOptionsArgs {
                    adj_x: false,
                    adj_y: transpose_second,
                    asymmetric_quantize_inputs: false,
                }
            )
        }
        Operation::Concatenation { axis } => {
            with!(
                CONCATENATION,
                ConcatenationOptions,
                tflite::ConcatenationOptionsArgs {
                    axis,
                    fused_activation_function: none,
                }
            )
        }
        Operation::FullyConnected { relu } => {
            with!(
                FULLY_CONNECTED,
                FullyConnectedOptions,
                tflite::FullyConnectedOptionsArgs {
                    fused_activation_function: if relu {
                        tflite::ActivationFunctionType::RELU
                    } else {
                        none
                    },
                    ..tflite::FullyConnectedOptionsArgs::default()
                }
            )
        }
        Operation::Logistic => (Code::LOGISTIC, Options::NONE, None),
        Operation::Mul => with!(
            MUL,
            MulOptions,
            tflite::MulOptionsArgs {
                fused_activation_function: none,
            }
        ),
        Operation::Reshape => {
            with!(
                RESHAPE,
                ReshapeOptions,
                tflite::ReshapeOptionsArgs::default()
            )
        }
        Operation::Rsqrt => (Code::RSQRT, Options::NONE, None),
        Operation::Softmax => with!(
            SOFTMAX,
            SoftmaxOptions,
            tflite::SoftmaxOptionsArgs { beta: 1.0 }
        ),
        Operation::Square => with!(SQUARE, SquareOptions, tflite::SquareOptionsArgs {}),
        Operation::StridedSlice { whole_axes } => {
            with!(
                STRIDED_SLICE,
                StridedSliceOptions,
                tflite::StridedSliceOptionsArgs {
                    begin_mask: whole_axes,
                    end_mask: whole_axes,
                    ..tflite::StridedSliceOptionsArgs::default()
                }
            )
        }
        Operation::Sum => {
            with!(
                SUM,
                ReducerOptions,
                tflite::ReducerOptionsArgs { keep_dims: true }
            )
        }
        Operation::Tanh => (Code::TANH, Options::NONE, None),
        Operation::Transpose => {
            with!(TRANSPOSE, TransposeOptions, tflite::TransposeOptionsArgs {})
        }
    }
}

fn write_code(
    builder: &mut Builder,
    code: tflite::BuiltinOperator,
) -> Offset<tflite::OperatorCode<'static>> {
    let arguments = tflite::OperatorCodeArgs {
        // All codes used here are below 127, where the old one-byte field ends.
        deprecated_builtin_code: code.0 as i8,
        custom_code: None,
        version: OPERATOR_VERSION,
        builtin_code: code,
    };
    tflite::OperatorCode::create(builder, &arguments)
}

fn write_signature(builder: &mut Builder, graph: &Graph) -> Offset<tflite::SignatureDef<'static>> {
    let mut map = |ids: &[TensorId]| {
        let entries: Vec<_> = ids
            .iter()
            .map(|id| {
                let name = Some(builder.create_string(&graph.tensors[id.0 as usize].name));
                let arguments = tflite::TensorMapArgs {
                    name,
                    tensor_index: id.0 as u32,
                };
                tflite::TensorMap::create(builder, &arguments)
            })
            .collect();
        Some(builder.create_vector(&entries))
    };
    let (inputs, outputs) = (map(&graph.inputs), map(&graph.outputs));
    let signature_key = Some(builder.create_string(SIGNATURE));
    let arguments = tflite::SignatureDefArgs {
        inputs,
        outputs,
        signature_key,
        subgraph_index: 0,
    };
    tflite::SignatureDef::create(builder, &arguments)
}
