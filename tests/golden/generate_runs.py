"""Makes train/runs.json: small models that PyTorch trains for 20 steps in f64, with every loss. See README.md.

    python generate_runs.py
"""

import math
from dataclasses import asdict, dataclass

import torch
from generate_train import loss_of, tensor, write
from torch import nn
from torch.nn.utils import clip_grad_norm_, clip_grad_value_
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from torch.optim import SGD, Adam, AdamW
from vectors import Uniform, f32

FIRST_SEED = 3001
STEPS = 20

# Of a constant rate; all of them are f32 numbers.
ADAM = {"lr": 0.03125, "betas": [0.875, 0.96875], "eps": 2.0**-20, "weight_decay": 0.0}
ADAM_DECAY = ADAM | {"weight_decay": 0.125}
MOMENTUM = {"lr": 0.125, "weight_decay": 0.0, "momentum": 0.75, "dampening": 0.0, "nesterov": False}
NESTEROV = MOMENTUM | {"nesterov": True, "weight_decay": 0.0625}


@dataclass(frozen=True)
class Run:
    """An embedding where there is a vocabulary, a recurrent layer, a linear head, a loss and an optimiser."""

    name: str
    kind: str
    # T, B, inputs, hidden units, outputs of the head.
    sizes: tuple[int, int, int, int, int]
    optimiser: str
    options: dict
    max_norm: float | None = None
    clip_value: float | None = None
    cell: str = "gru"
    batch_first: bool = False
    # Whether the head reads the last states, not the output of each step.
    of_last: bool = False
    vocabulary: int | None = None
    padding_idx: int | None = None
    # Which rows count: "all", those of a "mask", by their "weights", or as far as the "lengths" of the sequences go.
    counted: str = "all"
    ignore_index: int | None = None


# The seed of a run is its place in this list, from FIRST_SEED, so new ones go at the end.
MSE, BCE, CE = "mean_squared_error", "binary_cross_entropy", "cross_entropy"
RUNS = [
    Run("mse", MSE, (5, 3, 3, 5, 2), "adam", ADAM),
    Run("mse_mask", MSE, (4, 3, 2, 5, 3), "adam", ADAM_DECAY, counted="mask"),
    Run("mse_lengths", MSE, (6, 4, 3, 5, 1), "sgd", MOMENTUM, counted="lengths"),
    Run("mse_weights", MSE, (4, 3, 3, 6, 2), "sgd", NESTEROV, cell="rnn", counted="weights"),
    Run("bce", BCE, (5, 3, 3, 5, 1), "adam", ADAM, max_norm=0.125),
    Run("bce_mask", BCE, (4, 3, 2, 5, 3), "sgd", MOMENTUM, clip_value=0.015625, counted="mask"),
    Run("bce_lengths", BCE, (6, 4, 3, 5, 2), "adam", ADAM_DECAY, batch_first=True, counted="lengths"),
    Run("bce_weights", BCE, (4, 3, 3, 5, 2), "sgd", NESTEROV, counted="weights"),
    Run("ce", CE, (6, 3, 3, 8, 7), "adam", ADAM_DECAY, vocabulary=7),
    Run("ce_ignored", CE, (5, 3, 3, 5, 4), "sgd", NESTEROV, ignore_index=-100),
    Run("ce_padding", CE, (6, 3, 3, 5, 6), "adam", ADAM, 0.125, vocabulary=6, padding_idx=0, ignore_index=0),
    Run("ce_mask", CE, (5, 3, 2, 5, 3), "adam", ADAM, clip_value=0.015625, counted="mask"),
    Run("ce_lengths", CE, (6, 4, 3, 5, 4), "sgd", MOMENTUM, batch_first=True, counted="lengths"),
    Run("ce_weights_ignored", CE, (5, 3, 3, 5, 4), "sgd", MOMENTUM, 0.125, counted="weights", ignore_index=-100),
    Run("ce_of_last", CE, (5, 7, 3, 6, 4), "adam", ADAM, cell="rnn", of_last=True, counted="lengths"),
]


@dataclass(frozen=True)
class Batch:
    """What goes into a step."""

    lengths: list[int] | None
    x: list
    expected: list
    weights: list[float] | None


def batch(run: Run, uniform: Uniform) -> Batch:
    """Drawn in the order of the lines."""
    t, b, inputs, _, outputs = run.sizes
    rows = b if run.of_last else t * b

    def below(count: int, most: int) -> list[int]:
        return [int((x + 1) / 2 * most) for x in uniform.vec(count, 1.0)]

    lengths = [1 + length for length in below(b, t)] if run.counted == "lengths" else None
    x = uniform.vec(t * b * inputs, 1.0) if run.vocabulary is None else below(t * b, run.vocabulary)
    if run.kind == CE:
        expected = below(rows, outputs)
    else:
        expected = uniform.vec(rows * outputs, 1.0)
        expected = [float(y > 0) for y in expected] if run.kind == BCE else expected

    # The first row always counts.
    weights = None
    if run.counted in ("mask", "weights"):
        drawn = uniform.vec(rows, 1.0)
        weights = [float(w > -0.25) if run.counted == "mask" else max(2 * w, 0.0) for w in drawn]
        weights[0] = 1.0
    elif lengths is not None and not run.of_last:
        steps = [row % t if run.batch_first else row // b for row in range(rows)]
        of_batch = [row // t if run.batch_first else row % b for row in range(rows)]
        weights = [float(step < lengths[row]) for step, row in zip(steps, of_batch, strict=True)]
    if run.ignore_index == -100:
        drawn = uniform.vec(rows, 1.0)
        expected = [c if row == 0 or d > -0.5 else -100 for row, (c, d) in enumerate(zip(expected, drawn, strict=True))]
    return Batch(lengths, x, expected, weights)


class Model(nn.Module):
    """Its parameters are drawn in PyTorch's order."""

    def __init__(self, run: Run, uniform: Uniform) -> None:
        super().__init__()
        _, _, inputs, hidden, outputs = run.sizes
        self.run = run
        if run.vocabulary is not None:
            self.embedding = nn.Embedding(run.vocabulary, inputs, padding_idx=run.padding_idx)
        self.layer = {"gru": nn.GRU, "rnn": nn.RNN}[run.cell](inputs, hidden, batch_first=run.batch_first)
        self.head = nn.Linear(hidden, outputs)
        self.double()
        with torch.no_grad():
            for name, parameter in self.named_parameters():
                bound = 1.0 if name == "embedding.weight" else f32(1.0 / f32(math.sqrt(hidden)))
                parameter.copy_(tensor(uniform.vec(parameter.numel(), bound), *parameter.shape))
            if run.padding_idx is not None:
                self.embedding.weight[run.padding_idx].zero_()

    def forward(self, given: Batch) -> torch.Tensor:
        """The prediction `[rows, F]`."""
        run = self.run
        t, b, inputs, hidden, outputs = run.sizes
        outer = (b, t) if run.batch_first else (t, b)
        if run.vocabulary is None:
            x = tensor(given.x, *outer, inputs)
        else:
            x = self.embedding(torch.tensor(given.x).reshape(outer))
        if given.lengths is None:
            output, h_n = self.layer(x)
        else:
            options = {"batch_first": run.batch_first}
            packed, h_n = self.layer(pack_padded_sequence(x, given.lengths, enforce_sorted=False, **options))
            output, _ = pad_packed_sequence(packed, total_length=t, **options)
        return self.head((h_n if run.of_last else output).reshape(-1, hidden)).reshape(-1, outputs)


def train(run: Run, seed: int) -> dict:
    uniform = Uniform(seed)
    model = Model(run, uniform)
    parameters = list(model.parameters())
    decays = run.options["weight_decay"] != 0
    optimiser = {"adam": AdamW if decays else Adam, "sgd": SGD}[run.optimiser](parameters, **run.options)
    columns, losses = run.sizes[-1], []
    for _ in range(STEPS):
        given = batch(run, uniform)
        prediction = model(given)
        numbers = tensor(given.expected, len(prediction), columns) if run.kind != CE else torch.tensor(given.expected)
        loss = loss_of(run.kind, prediction, numbers, given.weights, run.ignore_index)
        optimiser.zero_grad()
        loss.backward()
        if run.max_norm is not None:
            clip_grad_norm_(parameters, run.max_norm)
        if run.clip_value is not None:
            clip_grad_value_(parameters, run.clip_value)
        optimiser.step()
        losses.append(loss.item())
    after = [value for parameter in parameters for value in parameter.detach().flatten().tolist()]
    return asdict(run) | {"seed": seed, "losses": losses, "parameters": after}


def main() -> None:
    torch.set_num_threads(1)
    write("runs.json", [train(run, seed) for seed, run in enumerate(RUNS, start=FIRST_SEED)])
    print(f"{len(RUNS)} runs, PyTorch {torch.__version__}")


if __name__ == "__main__":
    main()
