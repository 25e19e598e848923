"""Makes the golden vectors in gru/ with PyTorch's own nn.GRU, forward and backward. See README.md.

    python generate.py

Inputs, weights and upstream gradients are f32 numbers from a written-down generator (SplitMix64, the same as the
crate's `Uniform`), so that they do not depend on PyTorch. PyTorch computes on them in f64.
"""

import json
import math
from pathlib import Path
from typing import NamedTuple

import torch
from vectors import Uniform, f32, shortest_f32

FOLDER = Path(__file__).resolve().parent / "gru"


class Case(NamedTuple):
    """One layer, one sequence."""

    name: str
    seq_len: int
    batch: int
    input_size: int
    hidden_size: int
    # Every weight and bias is drawn as PyTorch draws it and multiplied by this.
    weight_scale: float = 1.0
    # Row t * batch + b of x is drawn from [-s, s) with s = x_scales[(t + b) % len(x_scales)].
    x_scales: tuple[float, ...] = (1.0,)


# The seed of a case is its place in this list, from 1, so new ones go at the end.
CASES = [
    Case("sizes_of_one", 1, 1, 1, 1),
    Case("one_step", 1, 4, 5, 8),
    Case("one_row", 9, 1, 4, 7),
    Case("primes", 7, 5, 3, 11),
    Case("primes_wide_input", 13, 2, 17, 5),
    Case("units_6", 4, 3, 2, 6),
    Case("units_30", 3, 2, 9, 30),
    Case("units_33", 2, 4, 5, 33),
    Case("units_64", 2, 2, 3, 64),
    Case("input_below_tile", 2, 3, 15, 16),
    Case("units_above_tile", 3, 17, 16, 17),
    Case("units_below_tile", 2, 15, 17, 15),
    Case("few_units", 3, 2, 40, 3),
    Case("one_unit", 5, 3, 7, 1),
    Case("many_steps", 40, 2, 3, 4),
    Case("saturating_input", 6, 6, 5, 9, x_scales=(1.0, 30.0, 1000.0)),
    Case("saturating_weights", 5, 3, 6, 10, weight_scale=30.0),
    Case("saturating_both", 4, 4, 3, 13, weight_scale=30.0, x_scales=(1000.0, 0.01)),
]


def draw(case: Case, seed: int) -> dict[str, list[float]]:
    """All that goes in, in the order in which it is drawn."""
    t, b, i, h = case.seq_len, case.batch, case.input_size, case.hidden_size
    uniform = Uniform(seed)
    bound = f32(1.0 / f32(math.sqrt(h)))

    def weight(length: int) -> list[float]:
        return [f32(value * case.weight_scale) for value in uniform.vec(length, bound)]

    tensors = {
        "weight_ih_l0": weight(3 * h * i),
        "weight_hh_l0": weight(3 * h * h),
        "bias_ih_l0": weight(3 * h),
        "bias_hh_l0": weight(3 * h),
        "x": [],
    }
    for step in range(t):
        for row in range(b):
            tensors["x"] += uniform.vec(i, f32(case.x_scales[(step + row) % len(case.x_scales)]))
    tensors["h0"] = uniform.vec(b * h, 1.0)
    tensors["d_output"] = uniform.vec(t * b * h, 1.0)
    tensors["d_h_n"] = uniform.vec(b * h, 1.0)
    return tensors


def evaluate(case: Case, given: dict[str, list[float]]) -> dict[str, list[float]]:
    """What nn.GRU makes of it in f64: the outputs, and the gradients of
    sum(output * d_output) + sum(h_n * d_h_n)."""
    t, b, i, h = case.seq_len, case.batch, case.input_size, case.hidden_size

    def tensor(name: str, *shape: int) -> torch.Tensor:
        return torch.tensor(given[name], dtype=torch.float64).reshape(shape)

    gru = torch.nn.GRU(i, h, dtype=torch.float64)
    with torch.no_grad():
        for name, parameter in gru.named_parameters():
            parameter.copy_(tensor(name, *parameter.shape))
    x = tensor("x", t, b, i).requires_grad_()
    h0 = tensor("h0", 1, b, h).requires_grad_()
    output, h_n = gru(x, h0)
    loss = (output * tensor("d_output", t, b, h)).sum() + (h_n * tensor("d_h_n", 1, b, h)).sum()
    loss.backward()

    results = {"output": output, "h_n": h_n, "d_x": x.grad, "d_h0": h0.grad}
    results |= {f"d_{name}": parameter.grad for name, parameter in gru.named_parameters()}
    return {name: value.detach().flatten().tolist() for name, value in results.items()}


def to_json(case: Case, seed: int) -> str:
    """One line a field, so that a diff shows which tensor changed."""
    given = draw(case, seed)
    expected = evaluate(case, given)
    values = [value for tensor in (*given.values(), *expected.values()) for value in tensor]
    if not all(map(math.isfinite, values)):
        raise ValueError(f"{case.name} holds a number that is not finite")
    fields = {name: json.dumps(value) for name, value in case._asdict().items()}
    fields |= {"seed": str(seed), "torch": json.dumps(str(torch.__version__))}
    fields |= {name: "[" + ",".join(map(shortest_f32, tensor)) + "]" for name, tensor in given.items()}
    # repr of an f64 is the shortest text that reads back as the same f64: up to 17 digits.
    fields |= {name: "[" + ",".join(map(repr, tensor)) + "]" for name, tensor in expected.items()}
    return "{\n" + ",\n".join(f'"{name}": {text}' for name, text in fields.items()) + "\n}\n"


def main() -> None:
    # One thread, so that the order of every sum is the same on each run.
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    FOLDER.mkdir(exist_ok=True)
    for stale in FOLDER.glob("*.json"):
        stale.unlink()
    total = 0
    for seed, case in enumerate(CASES, start=1):
        text = to_json(case, seed)
        (FOLDER / f"{case.name}.json").write_text(text, encoding="ascii", newline="\n")
        total += len(text)
    print(f"{len(CASES)} cases, {total} bytes, PyTorch {torch.__version__}")


if __name__ == "__main__":
    main()
