"""What the scripts share: the numbers that go in, and the files of the options. See README.md."""

import json
import math
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

OPTIONS = Path(__file__).resolve().parent / "options"

# Values by PyTorch's names, flat and row-major.
Tensors = dict[str, list[float]]


def f32(value: float) -> float:
    """The nearest f32 number. Products, quotients and roots of f32 numbers made in f64 round to the right f32."""
    return struct.unpack("<f", struct.pack("<f", value))[0]


class Uniform:
    """SplitMix64 (Steele, Lea and Flood, 2014), and its upper 24 bits as a multiple of 2^-23 from [-1, 1)."""

    def __init__(self, seed: int) -> None:
        self.state = seed

    def next_f32(self) -> float:
        mask = (1 << 64) - 1
        self.state = (self.state + 0x9E3779B97F4A7C15) & mask
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
        z ^= z >> 31
        return ((z >> 40) - (1 << 23)) / (1 << 23)

    def vec(self, length: int, bound: float) -> list[float]:
        return [f32(self.next_f32() * bound) for _ in range(length)]


def shortest_f32(value: float) -> str:
    """The shortest decimal text that reads back as this f32 number, also by way of an f64."""
    for digits in range(1, 10):
        text = repr(float(f"{value:.{digits}g}"))
        if f32(float(text)) == value:
            return text
    raise ValueError(f"{value!r} is no f32 number")


def activation(name: str, **parameters: float) -> dict:
    """An activation as the files have it: its name and its parameters."""
    return {"name": name, **parameters}


SIGMOID, TANH, RELU = activation("sigmoid"), activation("tanh"), activation("relu")
SOFTSIGN, SOFTPLUS, LINEAR = activation("softsign"), activation("softplus"), activation("linear")


@dataclass(frozen=True)
class Case:
    """One layer, one sequence."""

    name: str
    cell: str = "gru"
    seq_len: int = 5
    batch: int = 3
    input_size: int = 4
    hidden_size: int = 5
    num_layers: int = 1
    direction: str = "forward"
    bias: bool = True
    batch_first: bool = False
    # Of a GRU.
    reset: str = "after"
    gate: dict | None = None
    candidate: dict | None = None
    # Of a plain RNN.
    nonlinearity: dict | None = None
    # Of the reverse direction of two, by the names above, where it has others.
    reverse: dict[str, dict] | None = None
    clip: float | None = None
    lengths: tuple[int, ...] | None = None
    # Every weight and bias is drawn as PyTorch draws it and multiplied by this.
    weight_scale: float = 1.0
    # Whether h0 is drawn, or zero.
    given_h0: bool = True

    @property
    def gates(self) -> int:
        return 3 if self.cell == "gru" else 1

    @property
    def suffixes(self) -> list[str]:
        """What PyTorch appends to the weights' names, in each layer the forward direction first."""
        ends = {"forward": [""], "reverse": ["_reverse"], "bidirectional": ["", "_reverse"]}[self.direction]
        return [f"_l{layer}{end}" for layer in range(self.num_layers) for end in ends]

    @property
    def directions(self) -> int:
        return 2 if self.direction == "bidirectional" else 1

    def layer_input_size(self, layer: int) -> int:
        return self.input_size if layer == 0 else self.directions * self.hidden_size

    def weight_shapes(self) -> dict[str, tuple[int, ...]]:
        """PyTorch's names and shapes, in PyTorch's order."""
        rows, shapes = self.gates * self.hidden_size, {}
        for index, suffix in enumerate(self.suffixes):
            shapes[f"weight_ih{suffix}"] = (rows, self.layer_input_size(index // self.directions))
            shapes[f"weight_hh{suffix}"] = (rows, self.hidden_size)
            if self.bias:
                shapes |= {f"bias_ih{suffix}": (rows,), f"bias_hh{suffix}": (rows,)}
        return shapes

    @property
    def x_shape(self) -> tuple[int, int, int]:
        return (*self._steps_and_rows(), self.input_size)

    @property
    def output_shape(self) -> tuple[int, int, int]:
        return (*self._steps_and_rows(), self.directions * self.hidden_size)

    def _steps_and_rows(self) -> tuple[int, int]:
        return (self.batch, self.seq_len) if self.batch_first else (self.seq_len, self.batch)

    @property
    def h_shape(self) -> tuple[int, int, int]:
        return (len(self.suffixes), self.batch, self.hidden_size)

    def config(self) -> dict:
        """The options as the files have them."""
        shared = {
            name: getattr(self, name)
            for name in ("cell", "input_size", "hidden_size", "num_layers", "direction", "bias", "batch_first")
        }
        if self.cell == "gru":
            own = {
                "reset": self.reset,
                "gate_activation": self.gate or SIGMOID,
                "candidate_activation": self.candidate or TANH,
            }
        else:
            own = {"nonlinearity": self.nonlinearity or TANH}
        reverse = {f"reverse_{name}": function for name, function in (self.reverse or {}).items()}
        return shared | own | reverse | {"clip": self.clip, "lengths": self.lengths and list(self.lengths)}


@dataclass(frozen=True)
class Given:
    """All that goes in."""

    weights: Tensors
    x: list[float]
    h0: list[float]
    d_output: list[float]
    d_h_n: list[float]


def draw(case: Case, seed: int) -> Given:
    """Draws all that goes in, in the order of the fields."""
    uniform = Uniform(seed)
    bound = f32(1.0 / f32(math.sqrt(case.hidden_size)))
    weights = {
        name: [f32(value * case.weight_scale) for value in uniform.vec(math.prod(shape), bound)]
        for name, shape in case.weight_shapes().items()
    }
    x = uniform.vec(math.prod(case.x_shape), 1.0)
    h0 = uniform.vec(math.prod(case.h_shape), 1.0) if case.given_h0 else [0.0] * math.prod(case.h_shape)
    d_output, d_h_n = uniform.vec(math.prod(case.output_shape), 1.0), uniform.vec(math.prod(case.h_shape), 1.0)
    return Given(weights, x, h0, d_output, d_h_n)


@dataclass(frozen=True)
class Expected:
    """All that comes out. `None`: the source does not tell."""

    output: list[float] | None
    h_n: list[float] | None
    d_x: list[float] | None = None
    d_h0: list[float] | None = None
    # Without an entry: the source has no such weight.
    d_weights: Tensors | None = None


def write(
    folder: Path, source: str, precision: str, case: Case, given: Given, expected: Expected, seed: int | None
) -> int:
    """Writes a file, one line a tensor, so that a diff shows which changed. Returns its size.

    Without gradients the gradients from above are left out too. `seed`: None where the numbers were not drawn.
    """
    trained = expected.d_x is not None
    given_tensors = {"x": given.x, "h0": given.h0}
    given_tensors |= {name: getattr(given, name) if trained else None for name in ("d_output", "d_h_n")}
    results = {name: getattr(expected, name) for name in ("output", "h_n", "d_x", "d_h0")}
    weights, d_weights = given.weights, expected.d_weights
    for tensor in (*weights.values(), *given_tensors.values(), *results.values(), *(d_weights or {}).values()):
        if not all(map(math.isfinite, tensor or [])):
            raise ValueError(f"{case.name} holds a number that is not finite")

    fields = {
        "name": json.dumps(case.name),
        "source": json.dumps(source),
        "precision": json.dumps(precision),
        "config": json.dumps(case.config()),
        "seq_len": str(case.seq_len),
        "batch": str(case.batch),
        "seed": json.dumps(seed),
        "weight_scale": str(case.weight_scale),
        "weights": _lines(weights, shortest_f32),
    }
    fields |= {name: _line(tensor, shortest_f32) for name, tensor in given_tensors.items()}
    # repr of an f64 is the shortest text that reads back as the same f64: up to 17 digits. What was computed in f32
    # gets the shortest text that reads back as the same f32.
    expected_text = shortest_f32 if precision == "f32" else repr
    fields |= {name: _line(tensor, expected_text) for name, tensor in results.items()}
    fields["d_weights"] = "null" if d_weights is None else _lines(d_weights, expected_text)
    text = "{\n" + ",\n".join(f'"{name}": {text}' for name, text in fields.items()) + "\n}\n"
    (folder / f"{case.name}.json").write_text(text, encoding="ascii", newline="\n")
    return len(text)


def _line(tensor: Iterable[float] | None, to_text) -> str:
    return "null" if tensor is None else "[" + ",".join(map(to_text, tensor)) + "]"


def _lines(tensors: Tensors, to_text) -> str:
    return "{\n" + ",\n".join(f'  "{name}": {_line(tensor, to_text)}' for name, tensor in tensors.items()) + "\n}"


def emptied(name: str) -> Path:
    """A folder of the options without files."""
    folder = OPTIONS / name
    folder.mkdir(parents=True, exist_ok=True)
    for stale in folder.glob("*.json"):
        stale.unlink()
    return folder
