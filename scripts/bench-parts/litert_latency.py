"""Measures TFLite files in the official interpreter (XNNPACK) and prints JSON, as crates/inference/examples/inference_latency.rs
does for tract.

usage: litert_latency.py LSTM.tflite TRANSFORMER.tflite [THREADS]

`threads` is the interpreter's (default 2). `both` runs the two models one after the other, and `both_parallel` on two
threads with one interpreter thread each. The number of windows per run is 1 and 20.
"""

import json
import sys
import threading
import time

import numpy
from ai_edge_litert.interpreter import Interpreter

BATCHES = (1, 20)
ROUNDS = 500


def runner(model: str, batch: int, threads: int):
    interpreter = Interpreter(model_path=model, num_threads=threads)
    (window,) = interpreter.get_input_details()
    (probabilities,) = interpreter.get_output_details()
    shape = [batch, *window["shape"][1:]]
    interpreter.resize_tensor_input(window["index"], shape, strict=True)
    interpreter.allocate_tensors()
    windows = numpy.full(shape, 0.5, dtype=numpy.float32)

    def run():
        interpreter.set_tensor(window["index"], windows)
        interpreter.invoke()
        return interpreter.get_tensor(probabilities["index"])

    return run


def in_parallel(first, second):
    """Runs `first` on a waiting thread and `second` on this one; the interpreter lets go of the GIL."""
    start, done = threading.Event(), threading.Event()

    def work():
        while True:
            start.wait()
            start.clear()
            first()
            done.set()

    threading.Thread(target=work, daemon=True).start()

    def run():
        start.set()
        second()
        done.wait()
        done.clear()

    return run


def measure(run) -> dict[str, float]:
    times = []
    for index in range(ROUNDS + ROUNDS // 10):
        start = time.perf_counter()
        run()
        if index >= ROUNDS // 10:
            times.append((time.perf_counter() - start) * 1e3)
    times.sort()
    return {"median_ms": times[ROUNDS // 2], "p99_ms": times[ROUNDS * 99 // 100]}


def main() -> None:
    lstm, transformer = sys.argv[1:3]
    threads = int(sys.argv[3]) if len(sys.argv) > 3 else 2
    results: dict[str, dict] = {"lstm": {}, "transformer": {}, "both": {}, "both_parallel": {}}
    for batch in BATCHES:
        key = f"batch_{batch}"
        runs = [runner(model, batch, threads) for model in (lstm, transformer)]
        results["lstm"][key] = measure(runs[0])
        results["transformer"][key] = measure(runs[1])
        results["both"][key] = measure(lambda: [run() for run in runs])
        single = [runner(model, batch, 1) for model in (lstm, transformer)]
        results["both_parallel"][key] = measure(in_parallel(*single))
    json.dump(results, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
