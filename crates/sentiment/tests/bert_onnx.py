"""Writes a BERT for sequence classification with random weights, as its usual ONNX exports look.

usage: bert_onnx.py DIR [--style decomposed|fused] [--hidden 32] [--layers 2] [--heads 2] [--inner 64] [--positions 64]
                        [--vocabulary 120] [--words FILE] [--scale 0.2] [--seed 1]

DIR gets model.onnx, tokenizer.json and config.json. `decomposed` is the graph of older exports (opset 11: layer norm from
ReduceMean and Pow, GELU from Erf, shapes computed with Shape, Gather and Concat), `fused` that of newer ones (opset 20:
LayerNormalization, Gelu, no token types). The vocabulary holds the letters and, most frequent first, the words of FILE.
"""

import argparse
import collections
import json
import pathlib
import re

import numpy
import onnx
from onnx import TensorProto, helper, numpy_helper

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
LABELS = ["positive", "negative", "neutral"]
LOWEST = float(numpy.finfo(numpy.float32).min)


class Graph:
    """Nodes and initializers under construction."""

    def __init__(self, scale: float, seed: int) -> None:
        self.nodes, self.initializers = [], []
        self.random = numpy.random.default_rng(seed)
        self.scale = scale

    def add(self, operator: str, *inputs: str, **attributes) -> str:
        output = f"{operator}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [output], name=output, **attributes))
        return output

    def constant(self, values, dtype=numpy.float32) -> str:
        name = f"constant_{len(self.initializers)}"
        self.initializers.append(numpy_helper.from_array(numpy.asarray(values, dtype=dtype), name))
        return name

    def weights(self, *shape: int, around: float = 0.0) -> str:
        return self.constant(around + self.random.normal(0.0, self.scale, shape))

    def dense(self, values: str, inputs: int, outputs: int) -> str:
        return self.add("Add", self.add("MatMul", values, self.weights(inputs, outputs)), self.weights(outputs))


def layer_norm(graph: Graph, style: str, values: str, hidden: int) -> str:
    scale, shift = graph.weights(hidden, around=1.0), graph.weights(hidden)
    if style == "fused":
        return graph.add("LayerNormalization", values, scale, shift, axis=-1, epsilon=1e-12)
    centred = graph.add("Sub", values, graph.add("ReduceMean", values, axes=[-1], keepdims=1))
    squared = graph.add("Pow", centred, graph.constant(2.0))
    variance = graph.add("ReduceMean", squared, axes=[-1], keepdims=1)
    deviation = graph.add("Sqrt", graph.add("Add", variance, graph.constant(1e-12)))
    return graph.add("Add", graph.add("Mul", graph.add("Div", centred, deviation), scale), shift)


def gelu(graph: Graph, style: str, values: str) -> str:
    if style == "fused":
        return graph.add("Gelu", values)
    error = graph.add("Erf", graph.add("Div", values, graph.constant(2.0**0.5)))
    return graph.add(
        "Mul", graph.add("Mul", values, graph.add("Add", error, graph.constant(1.0))), graph.constant(0.5)
    )


def unsqueeze(graph: Graph, style: str, values: str, axes: list[int]) -> str:
    if style == "fused":
        return graph.add("Unsqueeze", values, graph.constant(axes, numpy.int64))
    return graph.add("Unsqueeze", values, axes=axes)


def build(settings: argparse.Namespace, vocabulary: int) -> onnx.ModelProto:
    style, hidden, heads = settings.style, settings.hidden, settings.heads
    size = hidden // heads
    graph = Graph(settings.scale, settings.seed)
    integer = lambda value: graph.constant(value, numpy.int64)

    # Batch and length as one-element vectors, for the reshapes.
    shape = graph.add("Shape", "input_ids")
    batch = unsqueeze(graph, style, graph.add("Gather", shape, integer(0), axis=0), [0])
    length = unsqueeze(graph, style, graph.add("Gather", shape, integer(1), axis=0), [0])

    positions = graph.constant(numpy.arange(settings.positions)[None, :], numpy.int64)
    positions = graph.add("Slice", positions, integer([0]), length, integer([1]), integer([1]))
    stream = graph.add("Gather", graph.weights(vocabulary, hidden), "input_ids")
    if style != "fused":
        stream = graph.add("Add", stream, graph.add("Gather", graph.weights(2, hidden), "token_type_ids"))
    stream = graph.add("Add", stream, graph.add("Gather", graph.weights(settings.positions, hidden), positions))
    stream = layer_norm(graph, style, stream, hidden)

    mask = graph.add("Cast", unsqueeze(graph, style, "attention_mask", [1, 2]), to=TensorProto.FLOAT)
    # 0 where a token is, the lowest float at padding; [batch, 1, 1, length].
    mask = graph.add("Mul", graph.add("Sub", graph.constant(1.0), mask), graph.constant(LOWEST))

    def split(values: str) -> str:  # [batch, length, hidden] to [batch, heads, length, size]
        target = graph.add("Concat", batch, length, integer([heads]), integer([size]), axis=0)
        return graph.add("Transpose", graph.add("Reshape", values, target), perm=[0, 2, 1, 3])

    for _ in range(settings.layers):
        query, key, value = (split(graph.dense(stream, hidden, hidden)) for _ in range(3))
        scores = graph.add("MatMul", query, graph.add("Transpose", key, perm=[0, 1, 3, 2]))
        scores = graph.add("Add", graph.add("Div", scores, graph.constant(size**0.5)), mask)
        attended = graph.add("MatMul", graph.add("Softmax", scores, axis=3 if style != "fused" else -1), value)
        attended = graph.add("Transpose", attended, perm=[0, 2, 1, 3])
        attended = graph.add("Reshape", attended, graph.add("Concat", batch, length, integer([hidden]), axis=0))
        stream = graph.add("Add", graph.dense(attended, hidden, hidden), stream)
        stream = layer_norm(graph, style, stream, hidden)
        inner = gelu(graph, style, graph.dense(stream, hidden, settings.inner))
        stream = graph.add("Add", graph.dense(inner, settings.inner, hidden), stream)
        stream = layer_norm(graph, style, stream, hidden)

    first = graph.add("Gather", stream, integer(0), axis=1)
    pooled = graph.add("Gemm", first, graph.weights(hidden, hidden), graph.weights(hidden), transB=1)
    pooled = graph.add("Tanh", pooled)
    logits = graph.add("Gemm", pooled, graph.weights(len(LABELS), hidden), graph.weights(len(LABELS)), transB=1)
    graph.nodes[-1].output[0] = "logits"

    names = ["input_ids", "attention_mask"] + ([] if style == "fused" else ["token_type_ids"])
    inputs = [helper.make_tensor_value_info(name, TensorProto.INT64, ["batch_size", "sequence_length"]) for name in names]
    outputs = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch_size", len(LABELS)])]
    opset = helper.make_opsetid("", 20 if style == "fused" else 11)
    return helper.make_model(
        helper.make_graph(graph.nodes, "bert", inputs, outputs, graph.initializers),
        opset_imports=[opset],
        ir_version=9,
        producer_name="bert_onnx.py",
    )


def vocabulary(settings: argparse.Namespace) -> dict[str, int]:
    tokens = SPECIAL + list(LETTERS) + [f"##{letter}" for letter in LETTERS] + list("'$%&(),-./:;?!")
    if settings.words:
        text = pathlib.Path(settings.words).read_text(encoding="utf-8").lower()
        counts = collections.Counter(re.findall(r"[a-z0-9]+", text))
        words = [word for word, count in counts.most_common() if count >= 3]
        tokens += words[: settings.vocabulary - len(tokens)]
    tokens = list(dict.fromkeys(tokens))
    tokens += [f"[unused{index}]" for index in range(settings.vocabulary - len(tokens))]
    return {token: index for index, token in enumerate(tokens)}


def tokenizer(tokens: dict[str, int]) -> dict:
    special = lambda name: {"id": name, "ids": [tokens[name]], "tokens": [name]}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {
                "id": tokens[name],
                "content": name,
                "single_word": False,
                "lstrip": False,
                "rstrip": False,
                "normalized": False,
                "special": True,
            }
            for name in SPECIAL
        ],
        "normalizer": {
            "type": "BertNormalizer",
            "clean_text": True,
            "handle_chinese_chars": True,
            "strip_accents": None,
            "lowercase": True,
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [
                {"SpecialToken": {"id": "[CLS]", "type_id": 0}},
                {"Sequence": {"id": "A", "type_id": 0}},
                {"SpecialToken": {"id": "[SEP]", "type_id": 0}},
            ],
            "pair": [
                {"SpecialToken": {"id": "[CLS]", "type_id": 0}},
                {"Sequence": {"id": "A", "type_id": 0}},
                {"SpecialToken": {"id": "[SEP]", "type_id": 0}},
                {"Sequence": {"id": "B", "type_id": 1}},
                {"SpecialToken": {"id": "[SEP]", "type_id": 1}},
            ],
            "special_tokens": {name: special(name) for name in ("[CLS]", "[SEP]")},
        },
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        "model": {
            "type": "WordPiece",
            "unk_token": "[UNK]",
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": tokens,
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("dir", type=pathlib.Path)
    parser.add_argument("--style", choices=["decomposed", "fused"], default="decomposed")
    for name, default in (("hidden", 32), ("layers", 2), ("heads", 2), ("inner", 64), ("positions", 64), ("seed", 1)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--vocabulary", type=int, default=120)
    parser.add_argument("--words")
    parser.add_argument("--scale", type=float, default=0.2)
    settings = parser.parse_args()
    settings.dir.mkdir(parents=True, exist_ok=True)
    tokens = vocabulary(settings)
    onnx.save(build(settings, len(tokens)), settings.dir / "model.onnx")
    config = {
        "architectures": ["BertForSequenceClassification"],
        "model_type": "bert",
        "hidden_size": settings.hidden,
        "num_hidden_layers": settings.layers,
        "num_attention_heads": settings.heads,
        "intermediate_size": settings.inner,
        "max_position_embeddings": settings.positions,
        "vocab_size": len(tokens),
        "id2label": {str(index): label for index, label in enumerate(LABELS)},
    }
    (settings.dir / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    (settings.dir / "tokenizer.json").write_text(json.dumps(tokenizer(tokens), indent=1) + "\n")


if __name__ == "__main__":
    main()
