"""Makes options/onnx_runtime, options/onnx_reference and options/onnx_node. See README.md.

    python generate_onnx.py

Forward only: ONNX's GRU and RNN have no gradients.
"""

import importlib

import numpy as np
import onnx
import onnxruntime
from onnx import helper
from onnx.reference import ReferenceEvaluator
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
    write,
)

RUNTIME_SEED, REFERENCE_SEED = 3001, 4001
BOTH, REVERSE = "bidirectional", "reverse"
HARD_SIGMOID = activation("hard_sigmoid", alpha=0.2, beta=0.5)
STEEP_HARD_SIGMOID = activation("hard_sigmoid", alpha=0.75, beta=0.25)
LEAKY_RELU = activation("leaky_relu", alpha=0.01)
ELU = activation("elu", alpha=0.7)
THRESHOLDED_RELU = activation("thresholded_relu", theta=0.3)
# ONNX's names, in the files' spelling of them; ONNX calls theta alpha too.
ONNX_NAMES = {
    "sigmoid": "Sigmoid",
    "tanh": "Tanh",
    "relu": "Relu",
    "hard_sigmoid": "HardSigmoid",
    "leaky_relu": "LeakyRelu",
    "elu": "Elu",
    "thresholded_relu": "ThresholdedRelu",
    "softsign": "Softsign",
    "softplus": "Softplus",
    "linear": "Affine",
}

# The seed of a case is its place in its list, from RUNTIME_SEED or REFERENCE_SEED, so new ones go at the end.
RUNTIME_CASES = [
    Case("gru_reset_before", reset="before"),
    Case("gru_reset_after", reset="after"),
    Case("gru_reset_before_no_bias_no_h0", reset="before", bias=False, given_h0=False),
    Case("gru_reset_after_no_bias_no_h0", bias=False, given_h0=False),
    Case("gru_reset_before_reverse", direction=REVERSE, reset="before"),
    Case("gru_reset_after_reverse", direction=REVERSE),
    Case("gru_reset_before_bidirectional", direction=BOTH, reset="before"),
    Case("gru_reset_after_bidirectional", direction=BOTH),
    # sequence_lens
    Case("gru_reset_before_lengths", batch=4, reset="before", lengths=(2, 5, 1, 4)),
    Case("gru_reset_after_lengths", batch=4, lengths=(3, 1, 5, 2)),
    Case("gru_reset_before_reverse_lengths", batch=4, direction=REVERSE, reset="before", lengths=(4, 2, 5, 1)),
    Case("gru_reset_after_reverse_lengths", batch=4, direction=REVERSE, lengths=(1, 5, 3, 4)),
    Case("gru_reset_before_bidirectional_lengths", batch=4, direction=BOTH, reset="before", lengths=(5, 3, 1, 2)),
    Case("gru_reset_after_bidirectional_lengths", batch=4, direction=BOTH, lengths=(2, 4, 5, 3)),
    Case("gru_reset_after_length_0", batch=4, lengths=(3, 0, 5, 1)),
    Case("gru_reset_before_bidirectional_length_0", batch=4, direction=BOTH, reset="before", lengths=(4, 5, 0, 2)),
    # Activations
    Case("gru_reset_before_hard_sigmoid", reset="before", gate=HARD_SIGMOID, weight_scale=4.0),
    Case("gru_reset_after_hard_sigmoid", gate=HARD_SIGMOID, weight_scale=4.0),
    Case("gru_reset_before_steep_hard_sigmoid_softsign", reset="before", gate=STEEP_HARD_SIGMOID, candidate=SOFTSIGN),
    Case("gru_reset_after_steep_hard_sigmoid_bidirectional", direction=BOTH, gate=STEEP_HARD_SIGMOID),
    Case("gru_reset_before_relu", reset="before", candidate=RELU),
    Case("gru_reset_after_relu", candidate=RELU),
    Case("gru_reset_before_leaky_relu", reset="before", candidate=LEAKY_RELU),
    Case("gru_reset_after_leaky_relu", candidate=LEAKY_RELU),
    Case("gru_reset_before_thresholded_relu", reset="before", candidate=THRESHOLDED_RELU, weight_scale=2.0),
    Case("gru_reset_after_thresholded_relu", candidate=THRESHOLDED_RELU, weight_scale=2.0),
    Case("gru_reset_after_softsign_gates_softplus", gate=SOFTSIGN, candidate=SOFTPLUS),
    Case("gru_reset_before_softplus_gates", reset="before", gate=SOFTPLUS),
    Case("gru_reset_after_linear", candidate=LINEAR),
    Case("gru_reset_before_linear", reset="before", candidate=LINEAR),
    Case("gru_reset_after_tanh_gates", gate=TANH, candidate=SIGMOID),
    Case("gru_reset_before_relu_gates", reset="before", gate=RELU),
    # Clip
    Case("gru_reset_before_clip", reset="before", clip=0.4, weight_scale=2.0),
    Case("gru_reset_after_clip", clip=0.4, weight_scale=2.0),
    Case("gru_reset_after_clip_no_bias_bidirectional", direction=BOTH, bias=False, clip=0.3, weight_scale=2.0),
    Case(
        "gru_reset_before_clip_bidirectional_lengths_hard_sigmoid", batch=4, direction=BOTH, reset="before",
        gate=HARD_SIGMOID, clip=0.6, weight_scale=2.0, lengths=(5, 2, 3, 4),
    ),
    Case("rnn_tanh", "rnn"),
    Case("rnn_relu_reverse", "rnn", direction=REVERSE, nonlinearity=RELU),
    Case("rnn_tanh_bidirectional_lengths", "rnn", batch=4, direction=BOTH, lengths=(3, 5, 1, 2)),
    Case("rnn_tanh_length_0", "rnn", batch=4, lengths=(3, 0, 1, 2)),
    Case("rnn_sigmoid_no_bias_no_h0", "rnn", bias=False, given_h0=False, nonlinearity=SIGMOID),
    Case("rnn_hard_sigmoid", "rnn", nonlinearity=STEEP_HARD_SIGMOID),
    Case("rnn_leaky_relu", "rnn", nonlinearity=LEAKY_RELU),
    Case("rnn_thresholded_relu", "rnn", nonlinearity=THRESHOLDED_RELU, weight_scale=2.0),
    Case("rnn_softsign_bidirectional", "rnn", direction=BOTH, nonlinearity=SOFTSIGN),
    Case("rnn_softplus", "rnn", nonlinearity=SOFTPLUS),
    Case("rnn_linear", "rnn", nonlinearity=LINEAR),
    Case("rnn_clip", "rnn", clip=0.3, weight_scale=2.0),
    Case("rnn_relu_clip_reverse_lengths", "rnn", direction=REVERSE, nonlinearity=RELU, clip=0.5, lengths=(2, 5, 4)),
    Case("gru_reset_before_elu_gates", reset="before", gate=ELU),
    Case("gru_reset_after_elu", candidate=ELU, weight_scale=2.0),
    Case("rnn_elu_bidirectional", "rnn", direction=BOTH, nonlinearity=ELU),
    # Activations of the reverse direction's own
    Case(
        "gru_reset_after_directions_apart", direction=BOTH, gate=HARD_SIGMOID, candidate=SOFTSIGN, weight_scale=2.0,
        reverse={"gate_activation": SIGMOID, "candidate_activation": LEAKY_RELU},
    ),
    Case(
        "gru_reset_before_directions_apart_lengths", batch=4, direction=BOTH, reset="before", lengths=(3, 5, 1, 4),
        reverse={"gate_activation": STEEP_HARD_SIGMOID, "candidate_activation": ELU},
    ),
    Case("rnn_directions_apart", "rnn", direction=BOTH, nonlinearity=ELU, reverse={"nonlinearity": THRESHOLDED_RELU}),
]  # fmt: skip

# The reference evaluator has the default activations of GRU, Tanh and Affine of RNN, no sequence_lens and no clip.
REFERENCE_CASES = [
    Case("gru_reset_before", reset="before"),
    Case("gru_reset_after"),
    Case("gru_reset_before_no_bias_no_h0", reset="before", bias=False, given_h0=False),
    Case("gru_reset_before_reverse", direction=REVERSE, reset="before"),
    Case("gru_reset_after_reverse_batch_first", direction=REVERSE, batch_first=True),
    Case("gru_reset_before_bidirectional_batch_first", direction=BOTH, reset="before", batch_first=True),
    Case("gru_reset_after_bidirectional", direction=BOTH),
    Case("rnn_tanh", "rnn"),
    Case("rnn_tanh_reverse_no_bias", "rnn", direction=REVERSE, bias=False),
    Case("rnn_tanh_bidirectional_batch_first", "rnn", direction=BOTH, batch_first=True),
    Case("rnn_linear", "rnn", nonlinearity=LINEAR),
]


def swap_gates(case: Case, rows: np.ndarray) -> np.ndarray:
    """Rows of the gates r, z, n to z, r, h, and back."""
    if case.cell == "rnn":
        return rows
    r, z, n = np.split(rows, 3)
    return np.concatenate([z, r, n])


def model_and_inputs(case: Case, given: Given, dtype: np.dtype) -> tuple[onnx.ModelProto, dict[str, np.ndarray]]:
    """One node, and what it reads."""
    shapes = case.weight_shapes()

    def of_every_direction(*names: str) -> np.ndarray:
        """The rows of these weights, one after the other, `[D, ...]`."""

        def rows(name: str) -> np.ndarray:
            return swap_gates(case, np.array(given.weights[name], dtype).reshape(shapes[name]))

        return np.stack([np.concatenate([rows(f"{name}{suffix}") for name in names]) for suffix in case.suffixes])

    inputs = {
        "X": np.array(given.x, dtype).reshape(case.x_shape),
        "W": of_every_direction("weight_ih"),
        "R": of_every_direction("weight_hh"),
    }
    if case.bias:
        inputs["B"] = of_every_direction("bias_ih", "bias_hh")
    if case.lengths is not None:
        inputs["sequence_lens"] = np.array(case.lengths, np.int32)
    if case.given_h0:
        h0 = np.array(given.h0, dtype).reshape(case.h_shape)
        inputs["initial_h"] = h0.swapaxes(0, 1) if case.batch_first else h0

    config, attributes = case.config(), {"hidden_size": case.hidden_size, "direction": case.direction}
    own = ("gate_activation", "candidate_activation") if case.cell == "gru" else ("nonlinearity",)
    functions = [config[name] for name in own]
    functions += [config.get(f"reverse_{name}", config[name]) for name in own] * (case.directions - 1)
    attributes["activations"] = [ONNX_NAMES[function["name"]] for function in functions]
    # One entry for each function that has such a parameter. The reference evaluator wants one for each direction.
    affine = {"linear": {"alpha": 1.0, "beta": 0.0}}
    functions = [{**function, **affine.get(function["name"], {})} for function in functions]
    alphas = [f.get("alpha", f.get("theta")) for f in functions if "alpha" in f or "theta" in f]
    betas = [f["beta"] for f in functions if "beta" in f]
    attributes |= {"activation_alpha": alphas} if alphas else {}
    attributes |= {"activation_beta": betas} if betas else {}
    attributes |= {"clip": case.clip} if case.clip is not None else {}
    attributes |= {"layout": 1} if case.batch_first else {}
    if case.cell == "gru":
        attributes["linear_before_reset"] = int(case.reset == "after")

    slots = [name if name in inputs else "" for name in ("X", "W", "R", "B", "sequence_lens", "initial_h")]
    while not slots[-1]:
        slots.pop()
    node = helper.make_node(case.cell.upper(), slots, ["Y", "Y_h"], **attributes)

    def info(name: str, dtype: np.dtype, shape: tuple[int, ...]) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), shape)

    d, b, h = case.h_shape
    y_shape, y_h_shape = (case.seq_len, d, b, h), (d, b, h)
    if case.batch_first:
        y_shape, y_h_shape = (b, case.seq_len, d, h), (b, d, h)
    graph = helper.make_graph(
        [node],
        case.name,
        [info(name, value.dtype, value.shape) for name, value in inputs.items()],
        [info("Y", dtype, y_shape), info("Y_h", dtype, y_h_shape)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)
    return model, inputs


def expected(case: Case, y: np.ndarray | None, y_h: np.ndarray) -> Expected:
    """Y `[T, D, B, H]` to `[T, B, DH]`; batch-first it is `[B, T, D, H]` already, and Y_h `[B, D, H]`."""
    if y is not None:
        y = (y if case.batch_first else y.swapaxes(1, 2)).flatten().tolist()
    return Expected(y, (y_h.swapaxes(0, 1) if case.batch_first else y_h).flatten().tolist())


def run_runtime(case: Case, given: Given) -> Expected:
    model, inputs = model_and_inputs(case, given, np.float32)
    onnx.checker.check_model(model, full_check=True)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    y, y_h = session.run(None, inputs)
    ended = [row for row, length in enumerate(case.lengths or ()) if length == 0]
    if ended:
        # ONNX Runtime sets the last state of a row of length 0 to zero, where Keras and this crate leave the first
        # state. ONNX does not say. Only the outputs of such a case are taken.
        assert not y_h[:, ended].any() and not y[:, :, ended].any() and inputs["initial_h"][:, ended].all()
        return Expected(expected(case, y, y_h).output, None)
    return expected(case, y, y_h)


def run_reference(case: Case, given: Given) -> Expected:
    model, inputs = model_and_inputs(case, given, np.float64)
    onnx.checker.check_model(model, full_check=True)
    y, y_h = ReferenceEvaluator(model).run(None, inputs)
    assert y.dtype == y_h.dtype == np.float64
    return expected(case, y, y_h)


def node_tests() -> list[tuple[Case, Given, Expected]]:
    """The node tests of GRU and RNN that ship with the package, numbers and all."""
    from onnx.backend.test.case.node import _NodeTestCases

    for module in ("gru", "rnn"):
        importlib.import_module(f"onnx.backend.test.case.node.{module}")
    tests = []
    for test in _NodeTestCases:
        (node,) = test.model.graph.node if len(test.model.graph.node) == 1 else (None,)
        if node is None or node.op_type not in ("GRU", "RNN"):
            continue
        ((inputs, outputs),) = test.data_sets
        inputs = dict(zip((name for name in node.input if name), inputs))
        outputs = dict(zip((name for name in node.output if name), outputs))
        attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        known = {"hidden_size", "direction", "layout", "linear_before_reset"}
        assert not attributes.keys() - known and not inputs.keys() - set("XWRB"), f"{test.name} has more options"
        x, w = inputs["X"], inputs["W"]
        batch_first = attributes.get("layout", 0) == 1
        case = Case(
            test.name.removeprefix("test_"),
            node.op_type.lower(),
            seq_len=x.shape[int(batch_first)],
            batch=x.shape[int(not batch_first)],
            input_size=x.shape[2],
            hidden_size=attributes["hidden_size"],
            direction=attributes.get("direction", b"forward").decode(),
            bias="B" in inputs,
            batch_first=batch_first,
            reset="after" if attributes.get("linear_before_reset", 0) else "before",
            given_h0=False,
        )
        assert all(value.dtype == np.float32 for value in inputs.values())
        weights = {}
        for direction, suffix in enumerate(case.suffixes):
            weights[f"weight_ih{suffix}"] = swap_gates(case, w[direction])
            weights[f"weight_hh{suffix}"] = swap_gates(case, inputs["R"][direction])
            if case.bias:
                for name, rows in zip(("bias_ih", "bias_hh"), np.split(inputs["B"][direction], 2)):
                    weights[f"{name}{suffix}"] = swap_gates(case, rows)
        weights = {name: values.flatten().tolist() for name, values in weights.items()}
        given = Given(weights, x.flatten().tolist(), [0.0] * int(np.prod(case.h_shape)), [], [])
        tests.append((case, given, expected(case, outputs.get("Y"), outputs["Y_h"])))
    return tests


def main() -> None:
    total = 0
    for name, source, precision, cases, first_seed, run in (
        ("onnx_runtime", f"ONNX Runtime {onnxruntime.__version__}", "f32", RUNTIME_CASES, RUNTIME_SEED, run_runtime),
        (
            "onnx_reference", f"ONNX {onnx.__version__} reference evaluator", "f64", REFERENCE_CASES, REFERENCE_SEED,
            run_reference,
        ),
    ):  # fmt: skip
        folder = emptied(name)
        for seed, case in enumerate(cases, start=first_seed):
            given = draw(case, seed)
            total += write(folder, source, precision, case, given, run(case, given), seed)
        print(f"{len(cases)} cases, {source}")

    folder, tests = emptied("onnx_node"), node_tests()
    for case, given, results in tests:
        total += write(folder, f"ONNX {onnx.__version__} node tests", "f32", case, given, results, None)
    print(f"{len(tests)} cases, ONNX {onnx.__version__} node tests; {total} bytes in all")


if __name__ == "__main__":
    main()
