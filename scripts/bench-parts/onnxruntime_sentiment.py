"""Measures a BERT's headlines a second in onnxruntime and prints JSON, as crates/sentiment/examples/sentiment_throughput.rs
does for tract.

usage: onnxruntime_sentiment.py DIR TEXTS COUNT [BATCH_TOKENS] [THREADS]

DIR holds model.onnx and tokenizer.json; the first COUNT lines of TEXTS are scored in batches of texts of about one length
with at most BATCH_TOKENS tokens (default 256), on THREADS threads (default 2).
"""

import json
import pathlib
import sys
import time

import numpy
import onnxruntime
import tokenizers

MAXIMUM_TOKENS = 128


def main() -> None:
    folder, texts, count = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), int(sys.argv[3])
    batch_tokens = int(sys.argv[4]) if len(sys.argv) > 4 else 256
    threads = int(sys.argv[5]) if len(sys.argv) > 5 else 2
    tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_truncation(MAXIMUM_TOKENS)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"])
    names = [tensor.name for tensor in session.get_inputs()]

    def score(lines: list[str]) -> None:
        encodings = sorted(tokenizer.encode_batch(lines), key=lambda encoding: -len(encoding.ids))
        while encodings:
            length = len(encodings[0].ids)
            size = max(1, batch_tokens // length)
            batch, encodings = encodings[:size], encodings[size:]
            values = {"input_ids": 0, "attention_mask": 1, "token_type_ids": 2}
            inputs = {name: numpy.zeros((len(batch), length), dtype=numpy.int64) for name in names}
            for row, encoding in enumerate(batch):
                parts = (encoding.ids, encoding.attention_mask, encoding.type_ids)
                for name in names:
                    inputs[name][row, : len(encoding.ids)] = parts[values[name]]
            session.run(["logits"], inputs)

    lines = texts.read_text(encoding="utf-8").splitlines()[:count]
    score(lines[:32])
    begin = time.perf_counter()
    score(lines)
    print(json.dumps({"headlines_per_s": len(lines) / (time.perf_counter() - begin)}))


if __name__ == "__main__":
    main()
