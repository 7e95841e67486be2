"""Runs a TFLite file in the official interpreter, for the parity tests.

usage: litert_predict.py MODEL INPUTS BATCH BARS FEATURES

INPUTS holds little-endian f32 values, windows [n, BARS, FEATURES] with n a multiple of BATCH. The probabilities
[n, 3] go to standard output in the same form.
"""

import sys

import numpy
from ai_edge_litert.interpreter import Interpreter


def main() -> None:
    model, inputs = sys.argv[1:3]
    batch, bars, features = map(int, sys.argv[3:])
    windows = numpy.fromfile(inputs, dtype="<f4").reshape(-1, batch, bars, features)
    interpreter = Interpreter(model_path=model, num_threads=1)
    (signature,) = interpreter.get_signature_list()
    assert signature == "serving_default", signature
    (window,) = interpreter.get_input_details()
    (probabilities,) = interpreter.get_output_details()
    assert window["name"] == "window", window
    assert list(window["shape_signature"]) == [-1, bars, features], window
    assert list(probabilities["shape_signature"]) == [-1, 3], probabilities
    interpreter.resize_tensor_input(window["index"], [batch, bars, features], strict=True)
    interpreter.allocate_tensors()
    for part in windows:
        interpreter.set_tensor(window["index"], part)
        interpreter.invoke()
        answer = interpreter.get_tensor(probabilities["index"])
        sys.stdout.buffer.write(answer.astype("<f4").tobytes())


if __name__ == "__main__":
    main()
