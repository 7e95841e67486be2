"""Tokenizes texts and runs a BERT in onnxruntime, for the parity tests.

usage: bert_logits.py DIR TEXTS MAXIMUM_TOKENS

DIR holds model.onnx and tokenizer.json, TEXTS is a JSON list of texts. Prints a JSON list with one object a text: its
token ids and its logits, computed alone and so without padding.
"""

import json
import pathlib
import sys

import numpy
import onnxruntime
import tokenizers


def main() -> None:
    folder, texts, maximum = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), int(sys.argv[3])
    tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_truncation(maximum)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"])
    wanted = {tensor.name for tensor in session.get_inputs()}
    answers = []
    for text in json.loads(texts.read_text()):
        encoding = tokenizer.encode(text)
        values = {
            "input_ids": encoding.ids,
            "attention_mask": encoding.attention_mask,
            "token_type_ids": encoding.type_ids,
        }
        inputs = {name: numpy.array([values[name]], dtype=numpy.int64) for name in wanted}
        (logits,) = session.run(["logits"], inputs)
        answers.append({"ids": encoding.ids, "logits": logits[0].tolist()})
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    main()
