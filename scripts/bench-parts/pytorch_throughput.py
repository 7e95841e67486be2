#!/usr/bin/env python3
"""Training speed of Tandem's two architectures in PyTorch on the CPU, the yardstick for
`cargo run -p training --example training_throughput`: windows a second of gathering the batch, forward, backward and optimizer
step. Prints one JSON object with the same names as the example.

    pytorch_throughput.py [--batch 256] [--steps 60] [--threads 2] [--features 24]
"""

import argparse
import json
import time

import torch
from torch import nn

WINDOW = 60
CLASSES = 3
DROPOUT = 0.2


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


def windows_per_second(network: nn.Module, features: int, batch: int, steps: int) -> float:
    rows = torch.rand(batch * 16 + WINDOW, features)
    windows = rows.unfold(0, WINDOW, 1).transpose(1, 2)
    classes = torch.randint(CLASSES, (len(windows),))
    loss_function = nn.CrossEntropyLoss(weight=torch.tensor([1.3, 0.7, 1.4]))
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3)
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
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--features", type=int, default=24)
    arguments = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(arguments.threads)
    speed = {
        name: windows_per_second(network(arguments.features), arguments.features, arguments.batch, arguments.steps)
        for name, network in (("lstm", Lstm), ("transformer", Transformer))
    }
    print(
        json.dumps(
            {
                "batch": arguments.batch,
                "steps": arguments.steps,
                "threads": arguments.threads,
                "torch": torch.__version__,
                "lstm_windows_per_second": speed["lstm"],
                "transformer_windows_per_second": speed["transformer"],
            }
        )
    )


if __name__ == "__main__":
    main()
