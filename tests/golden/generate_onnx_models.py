"""Makes onnx/: models that exporters wrote, and what ONNX Runtime makes of them. See README.md.

    python generate_onnx_models.py pytorch    # torch, onnxscript, onnx, onnxruntime
    python generate_onnx_models.py keras      # tensorflow-cpu, tf_keras, tf2onnx, onnxruntime
    python generate_onnx_models.py helper     # onnx, onnxruntime

From a model nothing is taken but the places in the source code that PyTorch's exporter notes at each node.
"""

import json
import os
import sys
import warnings
from pathlib import Path

import numpy as np
import onnx
import onnx.reference
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

FOLDER = Path(__file__).resolve().parent / "onnx"
T, B, I, H = 5, 2, 3, 4
warnings.simplefilter("ignore")
onnxruntime.set_default_logger_severity(4)


def array(value):
    value = np.asarray(value)
    if value.dtype == np.float32:
        # The shortest text that reads back as the same f32.
        values = [float(np.format_float_positional(v, unique=True)) for v in value.flatten()]
    else:
        values = value.flatten().tolist()
    return {"shape": list(value.shape), "values": values}


def strip(model):
    """Without the notes of PyTorch's exporter, which hold paths."""
    model.ClearField("metadata_props")
    graph = model.graph
    for part in [graph, *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer]:
        part.ClearField("doc_string")
        if hasattr(part, "metadata_props"):
            part.ClearField("metadata_props")


def save(name, source, inputs, weights=None, outputs=None):
    """Beside the model that is there already."""
    path = FOLDER / f"{name}.onnx"
    model = onnx.load(path, load_external_data=False)
    strip(model)
    onnx.save(model, path)
    if outputs is None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        names = [output.name for output in session.get_outputs()]
        outputs = dict(zip(names, session.run(names, inputs)))
        source = f"{source}, run by ONNX Runtime {onnxruntime.__version__}"
    data = {"source": source}
    for key, arrays in (("inputs", inputs), ("outputs", outputs), ("weights", weights or {})):
        data[key] = {name: array(value) for name, value in arrays.items()}
    lines = ",\n".join(f'"{key}": {json.dumps(value)}' for key, value in data.items())
    (FOLDER / f"{name}.json").write_text("{\n" + lines + "\n}\n")
    beside = path.with_suffix(".onnx.data")
    if beside.exists() and not beside.stat().st_size:
        # Made for nothing: the exporter leaves small numbers in the model.
        beside.unlink()
    print(name, path.stat().st_size, (FOLDER / f"{name}.json").stat().st_size)


def pytorch():
    import torch
    from torch import nn

    class Model(nn.Module):
        def __init__(self, kind=nn.GRU, head=True, packed=False, **options):
            super().__init__()
            self.rnn = kind(I, H, **options)
            self.head = nn.Linear(H * (2 if options.get("bidirectional") else 1), 2) if head else None
            self.packed = packed

        def forward(self, x, more=None):
            if self.packed:
                x, more = nn.utils.rnn.pack_padded_sequence(x, more), None
            output, h_n = self.rnn(x, more)
            if self.packed:
                output, _ = nn.utils.rnn.pad_packed_sequence(output)
            return (output, h_n, self.head(output)) if self.head else (output, h_n)

    def export(name, model, dynamo, h0=False, dynamic=True, **options):
        torch.manual_seed(sum(name.encode()))
        model = model.eval()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.uniform_(-0.8, 0.8)
        batch_first = model.rnn.batch_first
        inputs = {"x": torch.rand((B, T, I) if batch_first else (T, B, I)) * 2 - 1}
        cells = model.rnn.num_layers * (2 if model.rnn.bidirectional else 1)
        if h0:
            inputs["h0"] = torch.rand((cells, B, H)) * 2 - 1
        if model.packed:
            inputs["lengths"] = torch.tensor([T, 3])
        sizes = {"x": [0, 1], "h0": [1], "lengths": [0]}
        names = ["output", "h_n"] + (["y"] if model.head else [])
        path = str(FOLDER / f"{name}.onnx")
        if dynamo:
            ends = {0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC}
            shapes = tuple({at: ends[at] for at in sizes[key]} for key in inputs) if dynamic else None
            shapes = shapes and (shapes if len(shapes) == 2 else (*shapes, None))[: len(inputs)]
            torch.onnx.export(
                model, tuple(inputs.values()), path, dynamo=True, verbose=False, input_names=list(inputs),
                output_names=names, dynamic_shapes=shapes, **options,
            )  # fmt: skip
        else:
            axes = {key: sizes[key] for key in inputs} if dynamic else None
            torch.onnx.export(
                model, tuple(inputs.values()), path, dynamo=False, input_names=list(inputs), output_names=names,
                dynamic_axes=axes, **options,
            )  # fmt: skip
        exporter = "dynamo" if dynamo else "TorchScript"
        weights = {key: value.numpy() for key, value in model.state_dict().items()}
        source = f"PyTorch {torch.__version__.split('+')[0]}, {exporter} exporter"
        save(name, source, {key: value.numpy() for key, value in inputs.items()}, weights)

    both = {"num_layers": 2, "bidirectional": True}
    export("torchscript_gru", Model(num_layers=2, batch_first=True), False)
    export("torchscript_gru_bidirectional", Model(**both), False, h0=True)
    relu = {"nonlinearity": "relu", "bias": False, "num_layers": 3, "head": False}
    export("torchscript_rnn", Model(nn.RNN, **relu), False, opset_version=11, do_constant_folding=False)
    export("torchscript_rnn_bidirectional", Model(nn.RNN, batch_first=True, head=False, **both), False, opset_version=9)
    export("torchscript_gru_packed", Model(packed=True, head=False, **both), False)
    export("dynamo_gru", Model(num_layers=2, batch_first=True), True)
    # Numbers in another file.
    export("dynamo_gru_bidirectional", Model(**both), True, h0=True)
    # As it leaves weights that are too large to be folded.
    export("dynamo_gru_as_it_stands", Model(**both), True, dynamic=False, optimize=False, external_data=False)


def keras():
    os.environ.update(TF_CPP_MIN_LOG_LEVEL="3", TF_USE_LEGACY_KERAS="1")
    import tensorflow
    import tf_keras
    from tf_keras import layers

    # Names that NumPy no longer has.
    np.object, np.cast = object, {}
    import tf2onnx

    def export(name, recurrent, dense):
        tf_keras.utils.set_random_seed(sum(name.encode()))
        x = tf_keras.Input((None, I))
        output = x
        for layer in recurrent:
            output = layer(output)
        model = tf_keras.Model(x, [output, dense(output)] if dense else [output])
        random = np.random.default_rng(1)
        model.set_weights([random.uniform(-0.8, 0.8, value.shape).astype("f") for value in model.get_weights()])
        tf2onnx.convert.from_keras(model, output_path=str(FOLDER / f"{name}.onnx"))
        source = f"Keras {tf_keras.__version__}, tf2onnx {tf2onnx.__version__}"
        session = onnxruntime.InferenceSession(FOLDER / f"{name}.onnx", providers=["CPUExecutionProvider"])
        x = random.uniform(-1, 1, (B, T, I)).astype("f")
        save(name, source, {session.get_inputs()[0].name: x})

    gru = {"units": H, "return_sequences": True}
    export("keras_gru", [layers.GRU(**gru), layers.GRU(**gru)], layers.Dense(2))
    two = [layers.Bidirectional(layers.GRU(**gru)), layers.Bidirectional(layers.GRU(**gru))]
    export("keras_gru_bidirectional", two, None)


RANDOM = np.random.default_rng(7)


def draw(*shape, scale=0.8):
    return RANDOM.uniform(-scale, scale, shape).astype("f")


def number(name, value, kind=TensorProto.FLOAT, raw=True):
    value = np.asarray(value)
    if kind == TensorProto.BFLOAT16:
        # Written by hand, cut off: older NumPy has no such type.
        bits = value.astype("f").view(np.uint32) >> 16
        if raw:
            return helper.make_tensor(name, kind, value.shape, bits.astype("<u2").tobytes(), raw=True)
        tensor = TensorProto(name=name, data_type=kind, dims=value.shape)
        tensor.int32_data.extend(bits.flatten().tolist())
        return tensor
    typed = value.astype(helper.tensor_dtype_to_np_dtype(kind))
    if raw:
        return helper.make_tensor(name, kind, value.shape, typed.tobytes(), raw=True)
    return helper.make_tensor(name, kind, value.shape, typed.flatten())


def weights_of(name, op, size=I, directions=1, bias=True, **options):
    rows = H * (3 if op == "GRU" else 1)
    arrays = {"W": (directions, rows, size), "R": (directions, rows, H)}
    if bias:
        arrays["B"] = (directions, 2 * rows)
    return [number(f"{name}.{letter}", draw(*shape), **options) for letter, shape in arrays.items()]


def build(name, nodes, initializers, inputs, outputs, opset=14):
    def infos(values):
        return [helper.make_tensor_value_info(key, kind, shape) for key, (kind, shape) in values.items()]

    graph = helper.make_graph(nodes, name, infos(inputs), infos(outputs), initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    onnx.save(model, FOLDER / f"{name}.onnx")
    return model


F = TensorProto.FLOAT
SEQUENCE = {"x": (F, ["T", "B", I])}


def helper_files():
    # Every attribute, activations of each direction, a row of length 0, first states of the file.
    names = ["hardSIGMOID", "elu", "Sigmoid", "LeakyRelu"]
    attributes = {
        "hidden_size": H, "direction": "bidirectional", "activations": names, "activation_alpha": [0.3, 0.7, 0.05],
        "activation_beta": [0.4], "clip": 0.9, "linear_before_reset": 0,
    }  # fmt: skip
    node = helper.make_node("GRU", ["x", "g.W", "g.R", "g.B", "lengths", "g.h0"], ["Y", "Y_h"], "g", **attributes)
    numbers = [*weights_of("g", "GRU", directions=2), number("g.h0", draw(2, 3, H))]
    inputs = {"x": (F, ["T", 3, I]), "lengths": (TensorProto.INT32, [3])}
    build("every_attribute", [node], numbers, inputs, {"Y": (F, None), "Y_h": (F, None)})
    source = f"onnx {onnx.__version__}, helper"
    lengths = np.array([3, 0, T], np.int32)
    save("every_attribute", source, {"x": draw(T, 3, I, scale=2.0), "lengths": lengths})

    # The defaults of the oldest opset; without a name. (ONNX Runtime insists on the size, which R has as well.)
    node = helper.make_node("RNN", ["x", "W", "R"], ["Y", "Y_h"], hidden_size=H)
    numbers = [number("W", draw(1, H, I)), number("R", draw(1, H, H))]
    build("defaults", [node], numbers, SEQUENCE, {"Y": (F, None), "Y_h": (F, None)}, opset=7)
    save("defaults", source, {"x": draw(T, B, I)})

    # ONNX Runtime has no layout of 1; the package's own evaluator has.
    node = helper.make_node("GRU", ["x", "g.W", "g.R", "g.B", "", "h0"], ["Y", "Y_h"], "g", hidden_size=H, layout=1)
    inputs = {"x": (F, ["B", "T", I]), "h0": (F, ["B", 1, H])}
    model = build("layout_1", [node], weights_of("g", "GRU"), inputs, {"Y": (F, None), "Y_h": (F, None)}, opset=22)
    given = {"x": draw(B, T, I), "h0": draw(B, 1, H)}
    made = dict(zip(["Y", "Y_h"], onnx.reference.ReferenceEvaluator(model).run(None, given)))
    save("layout_1", f"{source}, its reference evaluator", given, outputs=made)

    # Every type of numbers and way to write them, in nodes of their own.
    kinds = {
        "float": TensorProto.FLOAT, "float16": TensorProto.FLOAT16, "bfloat16": TensorProto.BFLOAT16,
        "double": TensorProto.DOUBLE,
    }  # fmt: skip
    nodes, numbers = [], []
    for kind, code in kinds.items():
        for raw in (True, False):
            name = f"{kind}_{'raw' if raw else 'typed'}"
            numbers += weights_of(name, "RNN", kind=code, raw=raw)
            letters = [f"{name}.{letter}" for letter in "WRB"]
            nodes.append(helper.make_node("RNN", ["x", *letters], [f"{name}.Y"], name))
    # A double that no f32 is.
    numbers.append(number("fine.W", np.full((1, H, I), 0.1), TensorProto.DOUBLE))
    nodes.append(helper.make_node("RNN", ["x", "fine.W", "float_raw.R"], ["fine.Y"], "fine", hidden_size=H))
    build("types", nodes, numbers, SEQUENCE, {})
    exact = {}
    for tensor in numbers[:-1]:
        if tensor.data_type == TensorProto.BFLOAT16:
            bits = list(tensor.int32_data) or np.frombuffer(tensor.raw_data, "<u2").tolist()
            exact[tensor.name] = (np.array(bits, np.uint32) << 16).view("f").reshape(tensor.dims)
        else:
            exact[tensor.name] = numpy_helper.to_array(tensor).astype("f")
    save("types", source, {}, exact, outputs={})

    refused(source)
    branches(source)


def refused(source):
    """Nodes that no layer here can be, each by its name."""
    nodes, numbers = [], [*weights_of("g", "GRU"), *weights_of("r", "RNN")]
    numbers += [number("short.R", draw(1, 3 * H, H - 1)), number("wide.B", draw(1, 3 * H))]
    numbers += [number("whole.W", np.ones((1, H, I)), TensorProto.INT64), number("l.W", draw(1, 4 * H, I))]
    numbers.append(number("l.R", draw(1, 4 * H, H)))
    numbers.append(number("two", np.array(2.0)))

    def node(name, op="GRU", letters=None, **attributes):
        g = "g" if op == "GRU" else "r"
        letters = letters or [f"{g}.W", f"{g}.R", f"{g}.B"]
        nodes.append(helper.make_node(op, ["x", *letters], [f"{name}.Y"], name, **{"hidden_size": H, **attributes}))

    node("scaled_tanh", activations=["Sigmoid", "ScaledTanh"], activation_alpha=[1.0], activation_beta=[1.0])
    node("swish", "RNN", activations=["Swish"])
    node("affine", "RNN", activations=["Affine"], activation_alpha=[2.0], activation_beta=[0.0])
    node("affine_of_what", "RNN", activations=["Affine"])
    node("one_activation", activations=["Sigmoid"])
    node("placeholders", activations=["Sigmoid", "HardSigmoid"], activation_alpha=[0.0, 0.3], activation_beta=[0.4])
    node("sideways", direction="sideways")
    node("negative_size", hidden_size=-1)
    node("other_size", hidden_size=H + 1)
    node("clip_0", clip=0.0)
    node("reset_2", linear_before_reset=2)
    node("before_reset", "RNN", linear_before_reset=1)
    node("more", input_forget=1)
    node("short_r", letters=["g.W", "short.R", "g.B"])
    node("wide_b", letters=["g.W", "g.R", "wide.B"])
    node("whole_w", "RNN", letters=["whole.W", "r.R"])
    nodes.append(helper.make_node("Mul", ["r.W", "two"], ["twice.W"], "twice"))
    node("computed_w", "RNN", letters=["twice.W", "r.R"])
    node("given_w", "RNN", letters=["given", "r.R"])
    node("no_r", "RNN", letters=["r.W"])
    node("lstm", "LSTM", letters=["l.W", "l.R"])
    build("refused", nodes, numbers, {**SEQUENCE, "given": (F, [1, H, I])}, {})
    save("refused", source, {}, outputs={})


def branches(source):
    """Nodes that stand on each other, and why some of them are no layers of one."""
    nodes, numbers = [], [number("axis", np.array([1]), TensorProto.INT64)]

    def layer(name, reads, size=I, op="GRU", **attributes):
        numbers.extend(weights_of(name, op, size))
        letters = [f"{name}.{letter}" for letter in "WRB"]
        attributes = {"hidden_size": H, **attributes}
        nodes.append(helper.make_node(op, [reads, *letters], [f"{name}.Y", f"{name}.Y_h"], name, **attributes))
        nodes.append(helper.make_node("Squeeze", [f"{name}.Y", "axis"], [f"{name}.out"]))

    layer("lowest", "x")
    layer("middle", "lowest.out", H)
    nodes.append(helper.make_node("Dropout", ["middle.out"], ["middle.dropped"]))
    layer("highest", "middle.dropped", H)
    # Another reset gate.
    layer("after", "highest.out", H, linear_before_reset=1)
    # Its output is an output of the graph as well.
    layer("seen", "x")
    layer("on_seen", "seen.out", H)
    # Two stand on it.
    layer("forked", "x")
    layer("left", "forked.out", H)
    layer("right", "forked.out", H)
    # Its input is turned in another way.
    layer("turned", "x")
    nodes.append(helper.make_node("Transpose", ["turned.out"], ["turned.round"], perm=[1, 0, 2]))
    layer("on_turned", "turned.round", H)
    # Something else reads it as well.
    layer("watched", "x")
    nodes.append(helper.make_node("Relu", ["watched.out"], ["watched.relu"]))
    layer("on_watched", "watched.out", H)
    names = ("after.out", "on_seen.out", "seen.out", "left.out", "right.out", "on_watched.out")
    outputs = {name: (F, None) for name in names}
    build("branches", nodes, numbers, SEQUENCE, {**outputs, "on_turned.out": (F, None)})
    save("branches", source, {"x": draw(T, B, I)})


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    {"pytorch": pytorch, "keras": keras, "helper": helper_files}[sys.argv[1]]()
