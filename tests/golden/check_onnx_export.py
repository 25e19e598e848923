"""Runs the models in onnx/exported, which the crate wrote, in ONNX Runtime, and keeps what comes out. See README.md.

    WGPU_GRU_WRITE_EXPORTS=1 cargo test --release --test onnx -- exports_have
    python check_onnx_export.py

Also checked: that onnx's own checker takes them, and for each, against an implementation in NumPy that shares nothing
with the crate, that the numbers are those of the weights in the file.
"""

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from generate_onnx_models import array
from onnx import helper, numpy_helper

FOLDER = Path(__file__).resolve().parent / "onnx" / "exported"
T, B = 5, 3
FUNCTIONS = {
    "Sigmoid": lambda x, a, b: 1 / (1 + np.exp(-x)),
    "Tanh": lambda x, a, b: np.tanh(x),
    "Relu": lambda x, a, b: np.maximum(x, 0),
    "HardSigmoid": lambda x, a, b: np.clip(a * x + b, 0, 1),
    "LeakyRelu": lambda x, a, b: np.where(x >= 0, x, a * x),
    "ThresholdedRelu": lambda x, a, b: np.where(x > a, x, 0),
    "Elu": lambda x, a, b: np.where(x > 0, x, a * (np.exp(np.minimum(x, 0)) - 1)),
    "Softsign": lambda x, a, b: x / (1 + np.abs(x)),
    "Affine": lambda x, a, b: a * x + b,
}


def layer(node, numbers, x, h0, lengths):
    """One node, straight from ONNX's definition: x [T, B, I] to the states [T, B, D, H] and the last ones [D, B, H]."""
    attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    names = [name.decode() for name in attributes["activations"]]
    alphas, betas = list(attributes.get("activation_alpha", [])), list(attributes.get("activation_beta", []))
    with_alpha, with_beta = {"HardSigmoid", "LeakyRelu", "ThresholdedRelu", "Elu", "Affine"}, {"HardSigmoid", "Affine"}
    functions = [
        (FUNCTIONS[n], alphas.pop(0) if n in with_alpha else 0, betas.pop(0) if n in with_beta else 0) for n in names
    ]
    assert not alphas and not betas
    clip, hidden = attributes.get("clip"), attributes["hidden_size"]

    def apply(function, value):
        name, alpha, beta = function
        return name(value if clip is None else np.clip(value, -clip, clip), alpha, beta)

    w, r = (numbers[name].astype("d") for name in node.input[1:3])
    has_b = len(node.input) > 3 and node.input[3]
    b = numbers[node.input[3]].astype("d") if has_b else np.zeros((len(w), 2 * w.shape[1]))
    each = len(functions) // len(w)
    states, last = np.zeros((*x.shape[:2], len(w), hidden)), h0.copy()
    is_reverse = {b"forward": [False], b"reverse": [True], b"bidirectional": [False, True]}[attributes["direction"]]
    for d, reverse in enumerate(is_reverse):
        own = functions[d * each :][:each]
        wb, rb = np.split(b[d], 2)
        for row in range(x.shape[1]):
            h = h0[d, row]
            steps = range(lengths[row])
            for t in reversed(steps) if reverse else steps:
                gates = w[d] @ x[t, row] + wb
                if node.op_type == "RNN":
                    h = apply(own[0], gates + r[d] @ h + rb)
                else:
                    (xz, xr, xn), (rz, rr, rn), (bz, br, bn) = (np.split(v, 3) for v in (gates, r[d], rb))
                    z, reset = apply(own[0], xz + rz @ h + bz), apply(own[0], xr + rr @ h + br)
                    after = attributes["linear_before_reset"]
                    n = apply(own[1], xn + (reset * (rn @ h + bn) if after else rn @ (reset * h) + bn))
                    h = (1 - z) * n + z * h
                states[t, row, d] = h
            last[d, row] = h
    return states, last


def expected(model, inputs):
    numbers = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    nodes = [node for node in model.graph.node if node.op_type in ("GRU", "RNN")]
    batch_first = any(node.op_type == "Transpose" and "input" in node.input for node in model.graph.node)
    x = inputs["input"].astype("d")
    x = x.swapaxes(0, 1) if batch_first else x
    lengths, cells = inputs.get("lengths", [T] * B), len(numbers["R_l0"])
    h0 = inputs.get("h0", np.zeros((cells * len(nodes), B, numbers["R_l0"].shape[2]))).astype("d")
    last = []
    for number, node in enumerate(nodes):
        states, state = layer(node, numbers, x, h0[number * cells :][:cells], lengths)
        x = states.reshape(*states.shape[:2], -1)
        last.append(state)
    if any(node.op_type == "Slice" and "output" in node.output for node in model.graph.node):
        x = x[::-1]
    return x.swapaxes(0, 1) if batch_first else x, np.concatenate(last)


def main():
    onnxruntime.set_default_logger_severity(4)
    random = np.random.default_rng(3)
    for path in sorted(FOLDER.glob("*.onnx")):
        model = onnx.load(path)
        onnx.checker.check_model(model, full_check=True)
        batch_first = any(node.op_type == "Transpose" and "input" in node.input for node in model.graph.node)
        inputs = {}
        for value in model.graph.input:
            sizes = {"seq_len": T, "batch": B}
            dims = value.type.tensor_type.shape.dim
            shape = [sizes[dim.dim_param] if dim.dim_param else dim.dim_value for dim in dims]
            is_lengths = value.name == "lengths"
            drawn = random.uniform(-1, 1, shape).astype("f")
            inputs[value.name] = np.array([4, 0, T], np.int32) if is_lengths else drawn
        assert inputs["input"].shape[:2] == ((B, T) if batch_first else (T, B))
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        made = dict(zip(["output", "h_n"], session.run(["output", "h_n"], inputs)))
        for (name, actual), wanted in zip(made.items(), expected(model, inputs)):
            error = np.abs(actual - wanted).max()
            print(f"{path.stem}: {name} {actual.shape}, within {error:.1e}")
            assert actual.shape == wanted.shape and error < 2e-6, path
        source = f"ONNX Runtime {onnxruntime.__version__}"
        data = {"source": source, "weights": {}}
        data |= {key: {name: array(value) for name, value in arrays.items()} for key, arrays in
                 (("inputs", inputs), ("outputs", made))}  # fmt: skip
        lines = ",\n".join(f'"{key}": {json.dumps(value)}' for key, value in data.items())
        path.with_suffix(".json").write_text("{\n" + lines + "\n}\n")


if __name__ == "__main__":
    main()
