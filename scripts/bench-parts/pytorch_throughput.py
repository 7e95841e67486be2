#!/usr/bin/env python3
"""Training speed of Tandem's architectures in PyTorch on the CPU, the yardstick for the example training_throughput of
the crate training: windows a second of gathering the batch, forward, backward and optimizer step, on the windows that
the example exports. Prints one JSON object with the example's names.

    pytorch_throughput.py lstm|transformer FOLDER [--batch 256] [--steps 60] [--threads 2]
"""

import argparse
import json
import pathlib
import resource
import time

import torch
from torch import nn

WINDOW = 60
CLASSES = 3
DROPOUT = 0.2
# What PyTorch itself takes: a build for GPUs is twice as large as one for the CPU. Linux counts in KiB.
IMPORTED_MIB = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)


class Lstm(nn.Module):
    """Two stacked layers; the last hidden state goes through a dense head."""

    def __init__(self, features: int, hidden: int = 64) -> None:
        super().__init__()
        self.layers = nn.LSTM(features, hidden, num_layers=2, batch_first=True, dropout=DROPOUT)
        self.dropout = nn.Dropout(DROPOUT)
        self.head = nn.Linear(hidden, CLASSES)

    def forward(self, windows: torch.Tensor) -> torch.Tensor:
        output, _ = self.layers(windows)
        return self.head(self.dropout(output[:, -1]))


class Transformer(nn.Module):
    """Two pre-norm encoder layers with a learned position; the last position goes through a dense head."""

    def __init__(self, features: int, width: int = 64, heads: int = 4, inner: int = 128) -> None:
        super().__init__()
        self.embed = nn.Linear(features, width)
        self.position = nn.Parameter(torch.randn(WINDOW, width) * 0.1)
        layer = nn.TransformerEncoderLayer(
            width, heads, inner, dropout=DROPOUT, activation="relu", batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, CLASSES)

    def forward(self, windows: torch.Tensor) -> torch.Tensor:
        stream = self.layers(self.embed(windows) + self.position)
        return self.head(self.norm(stream[:, -1]))


def windows_per_second(
    network: nn.Module, windows: torch.Tensor, classes: torch.Tensor, batch: int, steps: int
) -> float:
    shares = torch.bincount(classes, minlength=CLASSES) / len(classes)
    # Cross entropy with balanced classes, as in Tandem.
    loss_function = nn.CrossEntropyLoss(weight=1 / (CLASSES * shares))
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3, weight_decay=0.05)
    network.train()
    begin = 0.0
    for step in range(-5, steps):
        if step == 0:
            begin = time.perf_counter()
        chosen = torch.randint(len(windows), (batch,))
        optimizer.zero_grad()
        loss_function(network(windows[chosen]), classes[chosen]).backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
    return batch * steps / (time.perf_counter() - begin)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=("lstm", "transformer"))
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(arguments.threads)
    classes = torch.from_file(
        str(arguments.folder / "classes.u8"), size=(arguments.folder / "classes.u8").stat().st_size, dtype=torch.uint8
    ).long()
    file = arguments.folder / "windows.f32"
    windows = torch.from_file(str(file), size=file.stat().st_size // 4, dtype=torch.float32)
    windows = windows.clone().view(len(classes), WINDOW, -1)
    network = (Lstm if arguments.kind == "lstm" else Transformer)(windows.shape[2])
    speed = windows_per_second(network, windows, classes, arguments.batch, arguments.steps)
    print(
        json.dumps(
            {
                "batch": arguments.batch,
                "steps": arguments.steps,
                "threads": arguments.threads,
                "features": windows.shape[2],
                "torch": torch.__version__,
                "windows_per_second": round(speed),
                "imported_mib": IMPORTED_MIB,
            }
        )
    )


if __name__ == "__main__":
    main()
