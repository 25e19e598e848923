"""What PyTorch makes of small losses and embeddings, in f64, with their gradients. See README.md."""

import json
import math
from pathlib import Path

import torch
from torch.nn import functional as F
from vectors import Uniform, shortest_f32

FOLDER = Path(__file__).resolve().parent / "train"
NAN, INF = math.nan, math.inf

# Name, loss, rows and columns, options: how large predictions are, weights of rows, classes of rows where they are not
# drawn, `ignore_index`, and numbers that take the place of others in the prediction.
LOSSES = [
    ("mse", "mean_squared_error", 4, 3, {}),
    ("mse_one", "mean_squared_error", 1, 1, {}),
    ("mse_mask", "mean_squared_error", 5, 3, {"weights": [1, 0, 1, 1, 0], "put": {4: NAN}}),
    ("mse_weights", "mean_squared_error", 4, 2, {"weights": [0.5, 2, 0, 1.25]}),
    ("mse_no_row", "mean_squared_error", 2, 2, {"weights": [0, 0]}),
    ("bce", "binary_cross_entropy", 4, 3, {"size": 6.0}),
    ("bce_large", "binary_cross_entropy", 6, 1, {"size": 2e4}),
    ("bce_mask", "binary_cross_entropy", 5, 2, {"weights": [0, 1, 1, 0, 1], "put": {0: INF, 7: NAN}}),
    ("bce_weights", "binary_cross_entropy", 3, 2, {"weights": [3, 0.25, 1]}),
    ("bce_no_row", "binary_cross_entropy", 1, 3, {"weights": [0]}),
    ("ce", "cross_entropy", 6, 4, {}),
    ("ce_one_class", "cross_entropy", 3, 1, {}),
    ("ce_two_classes", "cross_entropy", 9, 2, {"size": 20.0}),
    ("ce_one_row", "cross_entropy", 1, 17, {"size": 3.0}),
    ("ce_of_33", "cross_entropy", 7, 33, {"size": 8.0}),
    ("ce_large", "cross_entropy", 5, 6, {"size": 3e38}),
    ("ce_ignored", "cross_entropy", 6, 5, {"classes": [3, -100, 0, 4, -100, 1], "ignore_index": -100}),
    ("ce_ignored_class", "cross_entropy", 5, 4, {"classes": [0, 2, 0, 3, 1], "ignore_index": 0}),
    ("ce_all_ignored", "cross_entropy", 2, 3, {"classes": [1, 1], "ignore_index": 1}),
    ("ce_mask", "cross_entropy", 5, 3, {"weights": [0, 1, 1, 0, 1], "put": {1: NAN, 9: INF}}),
    ("ce_weights", "cross_entropy", 4, 5, {"weights": [0.5, 2, 0, 1.25], "size": 4.0}),
    ("ce_both", "cross_entropy", 5, 3, {"weights": [2, 1, 0, 1, 1], "classes": [0, 2, 1, 2, 0], "ignore_index": 2}),
    ("ce_no_row", "cross_entropy", 3, 2, {"weights": [0, 0, 0]}),
    ("ce_nan", "cross_entropy", 3, 4, {"put": {5: NAN}}),
    ("ce_infinity", "cross_entropy", 3, 4, {"put": {5: INF}}),
    ("ce_impossible", "cross_entropy", 3, 3, {"classes": [0, 2, 1], "put": {1: -INF, 3: -INF, 4: -INF}}),
    ("ce_impossible_class", "cross_entropy", 2, 3, {"classes": [1, 2], "put": {1: -INF}}),
    ("ce_nothing_possible", "cross_entropy", 2, 2, {"put": {0: -INF, 1: -INF}}),
]

# Rows and columns of the table, indices, row of padding.
EMBEDDINGS = [
    ("plain", 5, 3, [4, 0, 0, 2, 4, 0, 1], None),
    ("padding", 4, 2, [1, 0, 3, 1, 1, 2, 0], 1),
    ("one", 1, 1, [0], None),
    ("all_the_same", 6, 4, [3] * 20, None),
    ("many", 7, 5, [(7 * i * i + 3 * i) % 6 for i in range(80)], 0),
]


def tensor(values: list[float], *shape: int) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64).reshape(shape)


def loss_of(
    kind: str, prediction: torch.Tensor, expected: torch.Tensor, weights: list[float] | None, ignore_index: int | None
) -> torch.Tensor:
    """Of a prediction `[rows, columns]`. The rows that count are picked first: a product with 0 would keep a NaN."""
    rows = len(prediction)
    counts = [row for row in range(rows) if weights is None or weights[row] != 0]
    shares = tensor([1] * rows if weights is None else weights, rows)[counts]
    picked, expected = prediction[counts], expected[counts]
    if kind == "cross_entropy":
        ignored = -100 if ignore_index is None else ignore_index
        if weights is None:
            return F.cross_entropy(picked, expected, ignore_index=ignored)
        each = F.cross_entropy(picked, expected, reduction="none", ignore_index=ignored)
        return (each * shares).sum() / shares[expected != ignored].sum()
    function = {"mean_squared_error": F.mse_loss, "binary_cross_entropy": F.binary_cross_entropy_with_logits}[kind]
    each = function(picked, expected, reduction="none")
    return each.mean() if weights is None else (each.mean(dim=1) * shares).sum() / shares.sum()


def loss_case(seed: int, name: str, kind: str, rows: int, columns: int, options: dict) -> dict:
    uniform = Uniform(seed)
    values = uniform.vec(rows * columns, options.get("size", 2.0))
    for place, value in options.get("put", {}).items():
        values[place] = value
    if kind == "cross_entropy":
        drawn = [int((x + 1) / 2 * columns) for x in uniform.vec(rows, 1.0)]
        expected = options.get("classes", drawn)
    else:
        expected = uniform.vec(rows * columns, 1.0)
        expected = [abs(y) for y in expected] if kind == "binary_cross_entropy" else expected

    prediction = tensor(values, rows, columns).requires_grad_()
    wanted = torch.tensor(expected) if kind == "cross_entropy" else tensor(expected, rows, columns)
    loss = loss_of(kind, prediction, wanted, options.get("weights"), options.get("ignore_index"))
    loss.backward()
    return {
        "name": name,
        "kind": kind,
        "rows": rows,
        "columns": columns,
        "weights": options.get("weights"),
        "ignore_index": options.get("ignore_index"),
        "prediction": values,
        "expected": expected,
        "loss": loss.item(),
        "d_prediction": prediction.grad.flatten().tolist(),
    }


def embedding_case(seed: int, name: str, rows: int, dim: int, indices: list[int], padding: int | None) -> dict:
    uniform = Uniform(seed)
    weight, d_output = uniform.vec(rows * dim, 1.0), uniform.vec(len(indices) * dim, 1.0)
    table = tensor(weight, rows, dim).requires_grad_()
    output = F.embedding(torch.tensor(indices), table, padding_idx=padding)
    output.backward(tensor(d_output, len(indices), dim))
    return {
        "name": name,
        "rows": rows,
        "dim": dim,
        "padding_idx": padding,
        "indices": indices,
        "weight": weight,
        "d_output": d_output,
        "output": output.detach().flatten().tolist(),
        "d_weight": table.grad.flatten().tolist(),
    }


# What goes in are f32 numbers, what comes out those of f64.
GIVEN = {"prediction", "expected", "weights", "weight", "d_output"}


def number(value: float, name: str) -> str:
    """A number that is not finite is a string: JSON has none."""
    if isinstance(value, int):
        return str(value)
    if not math.isfinite(value):
        return json.dumps(str(value))
    return shortest_f32(value) if name in GIVEN else repr(value)


def field(name: str, value: object) -> str:
    if isinstance(value, list):
        return "[" + ",".join(number(one, name) for one in value) + "]"
    return number(value, name) if isinstance(value, float) else json.dumps(value)


def write(file: str, cases: list[dict]) -> None:
    """One line a field, so that a diff shows what changed."""
    lines = [",\n".join(f'"{name}": {field(name, value)}' for name, value in case.items()) for case in cases]
    source = json.dumps(f"PyTorch {torch.__version__}")
    text = f'{{\n"source": {source},\n"cases": [\n' + ",\n".join(f"{{\n{case}\n}}" for case in lines) + "\n]\n}\n"
    (FOLDER / file).write_text(text, encoding="ascii", newline="\n")


def main() -> None:
    torch.set_num_threads(1)
    FOLDER.mkdir(exist_ok=True)
    write("losses.json", [loss_case(seed, *case) for seed, case in enumerate(LOSSES, start=1)])
    write("embeddings.json", [embedding_case(seed, *case) for seed, case in enumerate(EMBEDDINGS, start=1)])
    print(f"{len(LOSSES)} losses, {len(EMBEDDINGS)} embeddings, PyTorch {torch.__version__}")


if __name__ == "__main__":
    main()
