#!/usr/bin/env python3
"""PyTorch and ONNX Runtime at the sizes of this bench, for its table.

The same weights and inputs as the Rust side (its generator is written out here), the same protocol: everybody runs once,
then warm-up rounds, then rounds in turn, in each of which a pass is repeated until some time is spent. Prints JSON that
`--merge` of the Rust side reads, with probes of what was computed, which that side checks.

    python.py [--sizes s1,s4] [--rounds 7] [--warmup 1] [--min-ms 20] [--threads 2] [--passes forward,training] > python.json

Needs torch and numpy; onnxruntime and onnx where ONNX Runtime is to take part. Where torch sees a CUDA device, cuDNN takes
part too, with TF32 off and on.
"""

import argparse
import json
import math
import os
import sys
import time

# (T, B, I, H), as in src/case.rs.
SIZES = {
    "s1": (64, 32, 128, 128),
    "s2": (128, 32, 256, 256),
    "s3": (64, 64, 512, 512),
    "s4": (100, 1, 64, 64),
    "s5": (32, 64, 1024, 1024),
    "s6": (480, 1, 64, 96),
}
# TF32 keeps 10 bits of f32's 23.
TF32_BUDGET = 2.0**13


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sizes", default=",".join(SIZES))
    parser.add_argument("--passes", default="forward,training")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--warmup", type=int, default=1)
    parser.add_argument("--min-ms", type=float, default=20.0)
    parser.add_argument("--threads", type=int, default=2)
    return parser.parse_args()


class Uniform:
    """wgpu_gru::Uniform: SplitMix64, of which the upper 24 bits become a number from [-1, 1)."""

    def __init__(self, seed):
        self.state = np.uint64(seed)

    def array(self, shape, bound):
        count = math.prod(shape)
        with np.errstate(over="ignore"):
            gamma = np.uint64(0x9E3779B97F4A7C15)
            z = self.state + gamma * np.arange(1, count + 1, dtype=np.uint64)
            self.state = z[-1]
            z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            z = z ^ (z >> np.uint64(31))
        bits = (z >> np.uint64(40)).astype(np.int32) - (1 << 23)
        numbers = bits.astype(np.float32) / np.float32(1 << 23)
        return (numbers * np.float32(bound)).reshape(shape)


class Case:
    """The numbers of one size, as in src/case.rs."""

    def __init__(self, size):
        self.t, self.b, self.i, self.h = t, b, i, h = SIZES[size]
        bound = np.float32(1.0) / np.sqrt(np.float32(h))
        weights = Uniform(1)
        shapes = {"weight_ih_l0": (3 * h, i), "weight_hh_l0": (3 * h, h), "bias_ih_l0": (3 * h,), "bias_hh_l0": (3 * h,)}
        self.weights = {name: weights.array(shape, bound) for name, shape in shapes.items()}
        batch = Uniform(2)
        self.x = batch.array((t, b, i), 1.0)
        self.h0 = batch.array((1, b, h), 1.0)
        self.d_output = batch.array((t, b, h), 1.0)


def probe(tensor, values):
    """Some 64 elements of an array."""
    flat = np.asarray(values, dtype=np.float64).reshape(-1)
    stride = max(1, flat.size // 64)
    return {"tensor": tensor, "stride": stride, "values": flat[::stride].tolist()}


class Torch:
    """nn.GRU on a device."""

    def __init__(self, case, training, device="cpu", tf32=False):
        self.training, self.device, self.tf32 = training, device, tf32
        self.net = torch.nn.GRU(case.i, case.h).to(device)
        with torch.no_grad():
            for name, array in case.weights.items():
                getattr(self.net, name).copy_(torch.from_numpy(array))
        to = lambda array: torch.from_numpy(array).to(device)
        self.x, self.h0, self.d_output = to(case.x), to(case.h0), to(case.d_output)
        self.net.train(training)

    def run(self):
        torch.backends.cudnn.allow_tf32 = self.tf32
        torch.backends.cuda.matmul.allow_tf32 = self.tf32
        if not self.training:
            with torch.no_grad():
                _, h_n = self.net(self.x, self.h0)
                return h_n.cpu().numpy()
        self.net.zero_grad(set_to_none=True)
        output, _ = self.net(self.x, self.h0)
        output.backward(self.d_output)
        if self.device != "cpu":
            torch.cuda.synchronize()
        return self.net.bias_hh_l0.grad.cpu().numpy()

    def gradients(self):
        return {f"d_{name}": parameter.grad.cpu().numpy() for name, parameter in self.net.named_parameters()}


class OnnxRuntime:
    """One GRU node on the CPU."""

    def __init__(self, case, threads):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        model = onnx_model(case).SerializeToString()
        self.session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self.feed = {"X": case.x, "initial_h": case.h0}

    def run(self):
        return self.session.run(["Y_h"], self.feed)[0]


def onnx_model(case):
    """X and initial_h go in, Y_h comes out. ONNX's gates are z, r, h."""
    from onnx import TensorProto, helper, numpy_helper

    def gates(array):
        r, z, n = np.split(array, 3)
        return np.concatenate([z, r, n])

    weights = [gates(array) for array in case.weights.values()]
    w, r, b = weights[0][None], weights[1][None], np.concatenate(weights[2:])[None]
    node = helper.make_node(
        "GRU", ["X", "W", "R", "B", "", "initial_h"], ["", "Y_h"], hidden_size=case.h, linear_before_reset=1
    )
    value = lambda name, shape: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
    graph = helper.make_graph(
        [node],
        "gru",
        [value("X", case.x.shape), value("initial_h", case.h0.shape)],
        [value("Y_h", case.h0.shape)],
        [numpy_helper.from_array(array, name) for array, name in [(w, "W"), (r, "R"), (b, "B")]],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)


def contestants(case, training, threads):
    """Names, and what makes them."""
    yield "torch-cpu", lambda: Torch(case, training)
    if onnxruntime and not training:
        yield "onnxruntime-cpu", lambda: OnnxRuntime(case, threads)
    if torch.cuda.is_available():
        yield "torch-cuda", lambda: Torch(case, training, "cuda", tf32=False)
        yield "torch-cuda-tf32", lambda: Torch(case, training, "cuda", tf32=True)


def milliseconds(runner, at_least):
    """The mean time of a run, over as many as fill some time."""
    start, runs = time.perf_counter(), 0
    while runs == 0 or (time.perf_counter() - start) * 1e3 < at_least:
        runner.run()
        runs += 1
    return (time.perf_counter() - start) * 1e3 / runs


def measure(size, pass_name, args):
    """Everybody in one pass over one size."""
    case, training = Case(size), pass_name == "training"
    entries = []
    for name, make in contestants(case, training, args.threads):
        runner = make()
        start = time.perf_counter()
        read = runner.run()
        first = (time.perf_counter() - start) * 1e3
        made = runner.gradients() if training else {"h_n": read}
        row = {"contestant": name, "size": size, "pass": pass_name, "rounds_ms": [], "first_call_ms": first}
        row["probes"] = [probe(tensor, values) for tensor, values in made.items()]
        row["budget_scale"] = TF32_BUDGET if name.endswith("tf32") else 1.0
        entries.append((runner, row))
    for _ in range(args.warmup):
        for runner, _ in entries:
            runner.run()
    for turn in range(args.rounds):
        for index in range(len(entries)):
            runner, row = entries[(turn + index) % len(entries)]
            row["rounds_ms"].append(milliseconds(runner, args.min_ms))
    for _, row in entries:
        median = sorted(row["rounds_ms"])[len(row["rounds_ms"]) // 2]
        print(f"{size} {pass_name}, {row['contestant']}: {median:.3f} ms", file=sys.stderr)
    return [row for _, row in entries]


def main():
    torch.set_num_threads(args.threads)
    about = [["PyTorch", f"{torch.__version__}, {torch.get_num_threads()} threads"]]
    if onnxruntime:
        about.append(["ONNX Runtime", f"{onnxruntime.__version__}, {args.threads} threads"])
    if torch.cuda.is_available():
        about.append(["CUDA device", f"{torch.cuda.get_device_name()}, cuDNN {torch.backends.cudnn.version()}"])
    rows = []
    for size in args.sizes.split(","):
        for pass_name in args.passes.split(","):
            rows += measure(size, pass_name, args)
    json.dump({"about": about, "rows": rows}, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    args = arguments()
    # Read by the thread pools when the libraries are loaded.
    os.environ["OMP_NUM_THREADS"] = str(args.threads)
    import numpy as np
    import torch

    try:
        import onnx  # noqa: F401
        import onnxruntime
    except ImportError:
        onnxruntime = None
    main()
