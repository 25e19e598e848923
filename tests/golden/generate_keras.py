"""Makes options/keras with Keras 3's own GRU, SimpleRNN and Bidirectional in f64, forward and backward. See README.md.

    python generate_keras.py

Keras runs on PyTorch, whose autograd makes the gradients; `use_cudnn=False` keeps it to Keras's own formulas.
"""

import os
from collections.abc import Callable

os.environ["KERAS_BACKEND"] = "torch"

import keras
import torch
from keras.src.backend.common import dtypes
from vectors import (
    LINEAR,
    RELU,
    SIGMOID,
    SOFTPLUS,
    SOFTSIGN,
    TANH,
    Case,
    Expected,
    Given,
    activation,
    draw,
    emptied,
    f32,
    write,
)

FIRST_SEED = 2001
BOTH, REVERSE = "bidirectional", "reverse"
# Keras's own, whose slope is 1/6: no f32 number.
HARD_SIGMOID_KERAS = activation("hard_sigmoid", alpha=f32(1 / 6), beta=0.5)
# Activations that users of Keras write themselves, with parameters that are f32 numbers.
HARD_SIGMOID = activation("hard_sigmoid", alpha=0.25, beta=0.375)
LEAKY_RELU = activation("leaky_relu", alpha=0.125)
THRESHOLDED_RELU = activation("thresholded_relu", theta=0.25)

# The seed of a case is its place in this list, from FIRST_SEED, so new ones go at the end.
CASES = [
    Case("gru_reset_after", batch_first=True),
    Case("gru_reset_before", batch_first=True, reset="before"),
    Case("gru_reset_after_no_bias", bias=False),
    Case("gru_reset_before_no_bias", bias=False, reset="before"),
    Case("gru_reset_after_backwards", direction=REVERSE),
    Case("gru_reset_before_backwards", direction=REVERSE, reset="before", batch_first=True),
    Case("gru_reset_after_bidirectional", direction=BOTH, batch_first=True),
    Case("gru_reset_before_bidirectional", direction=BOTH, reset="before"),
    Case("gru_reset_before_2_layers_bidirectional", hidden_size=4, num_layers=2, direction=BOTH, reset="before"),
    Case("gru_reset_after_2_layers_backwards", hidden_size=4, num_layers=2, direction=REVERSE),
    # Masks. A row of length 0 is masked all through.
    Case("gru_reset_after_lengths", batch=4, lengths=(3, 0, 5, 1)),
    Case("gru_reset_before_lengths", batch=4, reset="before", lengths=(0, 4, 5, 2)),
    Case("gru_reset_before_backwards_lengths", batch=4, direction=REVERSE, reset="before", lengths=(2, 5, 0, 3)),
    Case("gru_reset_after_bidirectional_lengths", batch=4, direction=BOTH, batch_first=True, lengths=(5, 1, 3, 0)),
    Case(
        "gru_reset_before_2_layers_bidirectional_lengths", batch=4, hidden_size=3, num_layers=2, direction=BOTH,
        reset="before", lengths=(4, 0, 2, 3),
    ),
    # Activations. Scaled weights reach the flat parts.
    Case("gru_reset_after_hard_sigmoid", gate=HARD_SIGMOID_KERAS, weight_scale=4.0),
    Case("gru_reset_before_hard_sigmoid", reset="before", gate=HARD_SIGMOID_KERAS, weight_scale=4.0),
    Case("gru_reset_after_own_hard_sigmoid", gate=HARD_SIGMOID, weight_scale=3.0),
    Case("gru_reset_before_own_hard_sigmoid_relu", reset="before", gate=HARD_SIGMOID, candidate=RELU, weight_scale=2.0),
    Case("gru_reset_after_relu", candidate=RELU),
    Case("gru_reset_before_softsign", reset="before", candidate=SOFTSIGN),
    Case("gru_reset_after_linear", candidate=LINEAR),
    Case("gru_reset_before_linear_gates", reset="before", gate=LINEAR, candidate=TANH),
    Case("gru_reset_after_tanh_gates", gate=TANH, candidate=SIGMOID),
    Case("gru_reset_after_softsign_gates_softplus", gate=SOFTSIGN, candidate=SOFTPLUS),
    Case("gru_reset_before_softplus_gates_leaky_relu", reset="before", gate=SOFTPLUS, candidate=LEAKY_RELU),
    Case("gru_reset_after_leaky_relu", candidate=LEAKY_RELU),
    Case("gru_reset_after_thresholded_relu", candidate=THRESHOLDED_RELU, weight_scale=2.0),
    Case("gru_reset_before_relu_gates_thresholded_relu", reset="before", gate=RELU, candidate=THRESHOLDED_RELU),
    Case("gru_reset_after_leaky_relu_gates", gate=LEAKY_RELU),
    Case("gru_reset_after_thresholded_relu_gates", gate=THRESHOLDED_RELU),
    # Clipped arguments: an activation that clips first.
    Case("gru_reset_after_clip", clip=0.5, weight_scale=2.0),
    Case("gru_reset_before_clip", reset="before", clip=0.25, direction=BOTH),
    Case("gru_reset_after_clip_lengths_relu", candidate=RELU, clip=0.75, weight_scale=2.0, lengths=(5, 2, 4)),
    Case("rnn_tanh", "rnn", batch_first=True),
    Case("rnn_relu_backwards", "rnn", direction=REVERSE, nonlinearity=RELU),
    Case("rnn_softsign_no_bias", "rnn", bias=False, nonlinearity=SOFTSIGN),
    Case("rnn_linear_lengths", "rnn", batch=4, nonlinearity=LINEAR, lengths=(0, 3, 5, 2)),
    Case(
        "rnn_sigmoid_bidirectional_lengths", "rnn", batch=4, direction=BOTH, nonlinearity=SIGMOID,
        lengths=(4, 2, 0, 5),
    ),
    Case("rnn_softplus", "rnn", nonlinearity=SOFTPLUS),
    Case("rnn_hard_sigmoid", "rnn", nonlinearity=HARD_SIGMOID_KERAS, weight_scale=4.0),
    Case("rnn_own_hard_sigmoid", "rnn", nonlinearity=HARD_SIGMOID, weight_scale=3.0),
    Case("rnn_leaky_relu", "rnn", nonlinearity=LEAKY_RELU),
    Case("rnn_thresholded_relu_2_layers", "rnn", num_layers=2, nonlinearity=THRESHOLDED_RELU, weight_scale=2.0),
    Case("rnn_clip_2_layers_bidirectional", "rnn", hidden_size=4, num_layers=2, direction=BOTH, clip=0.5),
    Case("gru_reset_after_hard_sigmoid_candidate", candidate=HARD_SIGMOID),
    Case("gru_reset_after_backwards_lengths", batch=4, direction=REVERSE, lengths=(3, 5, 0, 1)),
    Case("gru_reset_before_3_layers", hidden_size=4, num_layers=3, reset="before"),
    Case("rnn_tanh_backwards_lengths", "rnn", batch=4, direction=REVERSE, lengths=(0, 2, 5, 4)),
]  # fmt: skip


def keras_activation(wanted: dict, clip: float | None) -> Callable | str:
    """Keras's own by its name, or one that is written with Keras's operations."""
    if wanted["name"] == "hard_sigmoid" and wanted != HARD_SIGMOID_KERAS:
        line = lambda a: wanted["alpha"] * a + wanted["beta"]  # noqa: E731
        function = lambda a: keras.ops.clip(line(a), 0.0, 1.0)  # noqa: E731
    elif wanted["name"] == "leaky_relu":
        function = lambda a: keras.activations.leaky_relu(a, negative_slope=wanted["alpha"])  # noqa: E731
    elif wanted["name"] == "thresholded_relu":
        function = lambda a: keras.ops.threshold(a, wanted["theta"], 0.0)  # noqa: E731
    else:
        function = keras.activations.get(wanted["name"])
    return function if clip is None else lambda a: function(keras.ops.clip(a, -clip, clip))


def to_keras(case: Case, values: torch.Tensor) -> torch.Tensor:
    """Rows of the gates r, z, n to columns of z, r, h."""
    if case.cell == "gru":
        r, z, n = values.chunk(3)
        values = torch.cat([z, r, n])
    return values.T if values.dim() == 2 else values


def from_keras(case: Case, values: torch.Tensor) -> torch.Tensor:
    """And back: the order z, r, h is that of r, z, n with the first two swapped."""
    return to_keras(case, values.T).T if values.dim() == 2 else to_keras(case, values)


def biases(case: Case) -> list[str]:
    """The biases that Keras has: a GRU with its reset gate before the product and SimpleRNN have one only."""
    if not case.bias:
        return []
    return ["bias_ih", "bias_hh"] if case.cell == "gru" and case.reset == "after" else ["bias_ih"]


def as_keras_has_it(case: Case, given: Given) -> Given:
    """Without the bias that Keras has not."""
    weights = {
        name: [0.0] * len(values) if name.startswith("bias_hh") and "bias_hh" not in biases(case) else values
        for name, values in given.weights.items()
    }
    return Given(weights, given.x, given.h0, given.d_output, given.d_h_n)


def new_layer(case: Case) -> keras.Layer:
    options = {
        "use_bias": case.bias,
        "return_sequences": True,
        "return_state": True,
        "go_backwards": case.direction == REVERSE,
        "zero_output_for_mask": True,
    }
    if case.cell == "gru":
        layer = keras.layers.GRU(
            case.hidden_size,
            reset_after=case.reset == "after",
            use_cudnn=False,
            **options,
        )
    else:
        layer = keras.layers.SimpleRNN(case.hidden_size, **options)
    return keras.layers.Bidirectional(layer) if case.direction == BOTH else layer


def set_activations(case: Case, cell: keras.Layer) -> None:
    """In the cell itself: Bidirectional copies its layer by way of JSON, where a function has no place."""
    config = case.config()
    if case.cell == "gru":
        cell.activation = keras_activation(config["candidate_activation"], case.clip)
        cell.recurrent_activation = keras_activation(config["gate_activation"], case.clip)
    else:
        cell.activation = keras_activation(config["nonlinearity"], case.clip)


def evaluate(case: Case, given: Given) -> Expected:
    """The outputs, and the gradients of sum(output * d_output) + sum(h_n * d_h_n)."""

    def tensor(values: list[float], shape: tuple[int, ...]) -> torch.Tensor:
        return torch.tensor(values, dtype=torch.float64).reshape(shape)

    def weight(name: str) -> torch.Tensor:
        return to_keras(case, tensor(given.weights[name], case.weight_shapes()[name]))

    def swapped(values: torch.Tensor) -> torch.Tensor:
        """Between this case's layout and Keras's, which is batch-first."""
        return values if case.batch_first else values.swapaxes(0, 1)

    x = tensor(given.x, case.x_shape).requires_grad_()
    h0 = tensor(given.h0, case.h_shape).requires_grad_()
    mask = case.lengths and torch.arange(case.seq_len) < torch.tensor(case.lengths)[:, None]

    output, h_n, cells = swapped(x), [], {}
    for index in range(case.num_layers):
        layer, states = new_layer(case), [h0[index * case.directions + d] for d in range(case.directions)]
        layer.build(output.shape)
        assert layer.compute_dtype == layer.variable_dtype == "float64"
        parts = [layer.forward_layer, layer.backward_layer] if case.direction == BOTH else [layer]
        for part, suffix in zip(parts, case.suffixes[index * case.directions :]):
            cells[suffix] = cell = part.cell
            set_activations(case, cell)
            cell.kernel.assign(weight(f"weight_ih{suffix}"))
            cell.recurrent_kernel.assign(weight(f"weight_hh{suffix}"))
            if case.bias:
                rows = [weight(f"{name}{suffix}") for name in biases(case)]
                cell.bias.assign(torch.stack(rows) if len(rows) == 2 else rows[0])
        output, *final = layer(output, initial_state=states if case.direction == BOTH else states[0], mask=mask)
        h_n += final
        if case.direction == REVERSE:
            # Keras gives the outputs of a layer that goes backwards in the order in which they were made.
            output = output.flip(1)
    output, h_n = swapped(output), torch.stack(h_n)
    d_output, d_h_n = tensor(given.d_output, case.output_shape), tensor(given.d_h_n, case.h_shape)
    ((output * d_output).sum() + (h_n * d_h_n).sum()).backward()

    def flat(value: torch.Tensor) -> list[float]:
        assert value.dtype == torch.float64
        return value.detach().flatten().tolist()

    d_weights = {}
    for suffix, cell in cells.items():
        d_weights[f"weight_ih{suffix}"] = flat(from_keras(case, cell.kernel.value.grad))
        d_weights[f"weight_hh{suffix}"] = flat(from_keras(case, cell.recurrent_kernel.value.grad))
        if case.bias:
            grad = cell.bias.value.grad
            for name, row in zip(biases(case), grad if grad.dim() == 2 else [grad]):
                d_weights[f"{name}{suffix}"] = flat(from_keras(case, row))
    return Expected(flat(output), flat(h_n), flat(x.grad), flat(h0.grad), d_weights)


def precision(case: Case) -> str:
    activations = (case.gate, case.candidate, case.nonlinearity)
    return "f64_rounded_parameter" if HARD_SIGMOID_KERAS in activations else "f64"


def main() -> None:
    # One thread, so that the order of every sum is the same on each run.
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    # On any backend but TensorFlow, Keras rounds the f64 operands of `ops.matmul` to f32, whatever the policy.
    dtypes.BIT64_TO_BIT32_DTYPE["float64"] = "float64"
    assert dtypes.result_type("float64", "float64") == "float64"
    source = f"Keras {keras.__version__} on PyTorch {torch.__version__}"
    folder, total = emptied("keras"), 0
    for seed, case in enumerate(CASES, start=FIRST_SEED):
        given = as_keras_has_it(case, draw(case, seed))
        total += write(folder, source, precision(case), case, given, evaluate(case, given), seed)
    print(f"{len(CASES)} cases, {total} bytes, {source}")


if __name__ == "__main__":
    main()
