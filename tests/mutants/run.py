#!/usr/bin/env python3
"""Do the tests notice? Breaks the shaders and the host code on purpose, one place at a time, and runs the GPU tests.

    python3 tests/mutants/run.py                 all mutants; exit code 1 if one survives that survivors.txt does not explain
    python3 tests/mutants/run.py --list          names them without running anything
    python3 tests/mutants/run.py --only matmul   those whose name holds a word

A mutant drops a barrier, ignores an offset, shifts a bound by one, or swaps a pair of operands. One of a shader is a text
that stands in for another when the kernel is made (`WGPU_GRU_MUTANTS` at build time lets `src/kernels/source.rs` look for it), so
the tests are built once. One of the host code is built anew. A mutant whose shader does not compile says nothing and is
listed as invalid. Tests run module by module, those that know the file best first, and end at the first failure; before
anything is broken all of them have to pass.
"""

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
# Which modules of tests/gpu and tests/checks know a file, the quick ones first.
MODULES = [
    (r"matmul_cooperative", ["cooperative"]),
    (r"shared/(exchange|settlement)", ["exchange"]),
    (r"shared/(step|tile)", ["cells", "cuts", "recurrence", "exchange", "options", "nonfinite"]),
    (r"shared/(operand|rows|sequence|gru_sequence|rnn_sequence)", ["rows", "cells", "recurrence", "exchange", "options", "chunks", "nonfinite"]),
    (r"frame|gather|_unit", ["frame", "stream", "cells", "options", "nonfinite"]),
    (r"matmul", ["matmul", "over", "long_sums", "in_range", "options", "nonfinite"]),
    (r"sum_rows|column_sums", ["single", "sums", "long_sums", "in_range", "options"]),
    (r"mse|bce|loss", ["losses", "optimisers", "in_range"]),
    (r"cross_entropy|weight|mean", ["classes", "losses", "in_range"]),
    (r"embedding|sort_indices", ["embedding", "past_a_grid", "in_range"]),
    (r"adam|optimiser|sgd|accumulate|sum_squares|reduce|norm|train", ["steps", "passes", "optimisers", "train", "heads", "in_range"]),
    (r"move_rows|number|copies", ["arrange", "stream", "past_a_grid", "in_range"]),
    (r"arrange|count", ["arrange", "options", "past_a_grid", "in_range"]),
    (r"pack|f16", ["single", "half", "past_a_grid", "nonfinite", "options", "in_range"]),
    (r"", ["recurrence", "cells", "activations", "options", "half", "chunks", "cuts", "nonfinite", "in_range"]),
]
FILES = ["shaders/*.wgsl", "shaders/shared/*.wgsl"]
HOST = ["src/lower/*.rs", "src/plan/passes.rs"]
# Names that somebody may take for each other.
PAIRS = [
    (r"at\.before", "at.after"), ("beta1", "beta2"), ("moment1", "moment2"), ("CORRECTION1", "CORRECTION2"),
    ("quarter01", "quarter10"), ("rows0", "rows1"), ("slab_a", "slab_b"), (r"local\.x", "local.y"),
    (r"workgroup\.x", "workgroup.y"), ("source_stride_t", "source_stride_b"), (r"(?<!\.)z", "r"),
    (r"2u \* hidden", "hidden"), ("GATE_ALPHA", "GATE_BETA"), (r"at\.d_h_n", "at.d_h0"),
]
# Seconds that a module may take before it counts as hung: so many, and so many times what it takes with nothing broken.
LIMIT, TIMES = 60, 4
# A build whose texts may be changed makes no kernel without runtime checks, which is what this test looks for.
SKIPPED = ["--skip", "in_range::without_checks"]


def shader_rules(line):
    """Every mutant of a line of WGSL: what was done, and the new line."""
    code = line.split("//")[0]
    # Declarations: what is broken there does not compile.
    if re.match(r"\s*(@|override|var<|const|alias|struct|fn|enable|\w+: [\w<>, ]+,$)", code.rstrip()):
        return
    if re.match(r"\s*(workgroupBarrier|storageBarrier)\(\);", code):
        yield "no barrier", re.sub(r"(workgroupBarrier|storageBarrier)\(\);", "", line)
    for found in re.finditer(r"params\.\w*offset", code):
        yield f"{found[0]} ignored", line[: found.start()] + "0u" + line[found.end():]
    for found in re.finditer(r"(?<![<>=-])(<=|>=|<|>)(?![<>=])", code):
        # Types and shifts are no comparisons.
        if re.search(r"(var|array|vec\d|mat\dx\d|ptr|bitcast|atomic)$", code[: found.start()]) or not re.search(
            r"\b(if|for|while|select|return|else)\b|&&|\|\|", code
        ):
            continue
        if found[0] in ("<", ">") and re.search(r"(vec\d|array|bitcast|ptr|mat\dx\d)<[^(;]*$", code[: found.end()]):
            continue
        other = {"<": "<=", "<=": "<", ">": ">=", ">=": ">"}[found[0]]
        yield f"{found[0]} is {other}", line[: found.start()] + other + line[found.end():]
    for found in re.finditer(r"select\((\w[\w.\[\]]*), (\w[\w.\[\]()]*), ", code):
        yield "select swapped", line[: found.start()] + f"select({found[2]}, {found[1]}, " + line[found.end():]
    for found in re.finditer(r"(\w+) - (\w+)\b", code):
        if found[2] != "1u" and not found[0].startswith("0"):
            yield f"{found[0]} swapped", line[: found.start()] + f"{found[2]} - {found[1]}" + line[found.end():]
    for one, other in PAIRS:
        found = re.search(rf"\b{one}\b", code)
        if found and not re.search(r"\b(let|var) $", code[: found.start()]):
            yield f"{one} is {other}", line[: found.start()] + other + line[found.end():]


def host_rules(line):
    """Every mutant of a line of Rust."""
    code = line.split("//")[0]
    if found := re.match(r"(\s*)(\w*offset): [^,]+,$", code.rstrip()):
        yield f"{found[2]} ignored", f"{found[1]}{found[2]}: 0,"
    for found in re.finditer(r"\.div_ceil\(", code):
        yield "rounds down", line[: found.start()] + ".wrapping_div(" + line[found.end():]
    if found := re.match(r"(\s*)accumulate(: (.+))?,$", code.rstrip()):
        if found[3] == "false":
            yield "always adds", f"{found[1]}accumulate: true,"
        elif found[3] != "bool":
            yield "always replaces", f"{found[1]}accumulate: Default::default(),"
    for found in re.finditer(r"\[(\w+), (\w+)\]", code):
        if re.search(r"once|dispatch|\.sizes?\b|grid", code):
            yield f"{found[0]} swapped", line[: found.start()] + f"[{found[2]}, {found[1]}]" + line[found.end():]


def mutants(patterns, rules):
    for path in sorted(path for pattern in patterns for path in ROOT.glob(pattern)):
        lines = path.read_text().split("\n")
        for index, line in enumerate(lines):
            for what, changed in rules(line):
                if changed == line:
                    continue
                # As many lines around it as make the place the only one of its file.
                for around in range(0, 12):
                    first = max(0, index - around)
                    find = "\n".join(lines[first : index + 1])
                    if "\n".join(lines).count(find) == 1:
                        break
                replace = "\n".join([*lines[first:index], changed])
                name = f"{path.relative_to(ROOT)}: {line.strip()}: {what}"
                yield {"name": name, "path": path, "line": index, "find": find, "replace": replace, "changed": changed}


def build():
    command = ["cargo", "test", "--release", "--locked", "--no-run", "--message-format=json", "--test", "gpu"]
    command[2:2] = os.environ.get("MUTANTS_CARGO_FLAGS", "").split()
    environment = {**os.environ, "WGPU_GRU_MUTANTS": "1", "CARGO_INCREMENTAL": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        return None
    messages = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    found = [message["executable"] for message in messages if message.get("target", {}).get("name") == "gpu"]
    return next(path for path in found if path)


def run(binary, module, mutant, limit=3600):
    """What a module says of a mutant: survived, killed, or invalid."""
    environment = {**os.environ, "WGPU_GRU_REQUIRE_GPU": "1"}
    if mutant:
        parts = {"FILE": str(mutant["path"].relative_to(ROOT)), "FIND": mutant["find"], "REPLACE": mutant["replace"]}
        environment |= {f"WGPU_GRU_MUTANT_{part}": text for part, text in parts.items()}
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(
            [*binary.split(), f"{module}::", *SKIPPED], cwd=ROOT, env=environment, start_new_session=True, stdout=output, stderr=output
        )
        end, text = time.monotonic() + limit, ""
        while process.poll() is None and time.monotonic() < end and "FAILED" not in text:
            time.sleep(0.1)
            output.seek(0)
            text = output.read()
        killed = process.poll() != 0
        if process.poll() is None:
            time.sleep(0.3)  # for the rest of the message
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        output.seek(0)
        text = output.read()
    if killed and re.search(r"Shader '|parsing error|ShaderParse|Entry point .* invalid|naga", text):
        return "invalid"
    if not killed and re.search(r" 0 passed;.* [1-9]\d* ignored", text):
        return "not run: the adapter lacks what its tests need,"
    return "killed" if killed else "survived"


def modules_of(mutant):
    name = str(mutant["path"].relative_to(ROOT))
    return next(modules for pattern, modules in MODULES if re.search(pattern, name))


def judge(binary, mutant, limits):
    shader = mutant if mutant["path"].suffix == ".wgsl" else None
    for module in modules_of(mutant):
        verdict = run(binary, module, shader, limits[module])
        if verdict != "survived":
            return f"{verdict} by {module}"
    return "survived"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--list", action="store_true", help="name the mutants and stop")
    parser.add_argument("--only", default="", help="a regular expression that the name must hold")
    parser.add_argument("--every", type=int, default=1, help="take one of so many (default: all)")
    parser.add_argument("--binary", help="GPU tests that were built with WGPU_GRU_MUTANTS=1, to build none; leaves the host code alone")
    parser.add_argument("--jobs", type=int, default=1, help="how many shader mutants to run at a time (default: 1)")
    parser.add_argument("--no-host", action="store_true", help="leave the host code alone")
    arguments = parser.parse_args()
    chosen = list(mutants(FILES, shader_rules))
    if not arguments.no_host and not arguments.binary:
        chosen += list(mutants(HOST, host_rules))
    chosen = [mutant for mutant in chosen if re.search(arguments.only, mutant["name"])][:: arguments.every]
    if arguments.list:
        print("\n".join(mutant["name"] for mutant in chosen))
        print(f"{len(chosen)} mutants")
        return 0
    explained = [line.split(" => ")[0].strip() for line in (HERE / "survivors.txt").read_text().splitlines() if " => " in line]
    binary, bad, counts = arguments.binary or build(), [], {}
    if not binary:
        sys.exit("the tests do not build")
    limits = {}
    for module in sorted({module for mutant in chosen for module in modules_of(mutant)}):
        begin = time.monotonic()
        if run(binary, module, None) in ("killed", "invalid"):
            sys.exit(f"{module} fails with nothing broken")
        limits[module] = LIMIT + TIMES * (time.monotonic() - begin)

    def tell(number, mutant, verdict, seconds):
        counts[verdict.split()[0]] = counts.get(verdict.split()[0], 0) + 1
        known = " (explained)" if verdict == "survived" and mutant["name"] in explained else ""
        if verdict == "survived" and not known:
            bad.append(mutant["name"])
        print(f"{number}/{len(chosen)} {verdict}{known} in {seconds:.0f} s: {mutant['name']}", flush=True)

    def timed(mutant, with_binary):
        begin = time.monotonic()
        return judge(with_binary, mutant, limits), time.monotonic() - begin

    of_shaders = [mutant for mutant in chosen if mutant["path"].suffix == ".wgsl"]
    with ThreadPoolExecutor(arguments.jobs) as pool:
        futures = {pool.submit(timed, mutant, binary): mutant for mutant in of_shaders}
        for number, done in enumerate(as_completed(futures), 1):
            tell(number, futures[done], *done.result())
    for number, mutant in enumerate(chosen[len(of_shaders) :], len(of_shaders) + 1):
        original = mutant["path"].read_text()
        lines = original.split("\n")
        lines[mutant["line"]] = mutant["changed"]
        try:
            mutant["path"].write_text("\n".join(lines))
            built = build()
            verdict, seconds = timed(mutant, built) if built else ("invalid: does not build", 0)
        finally:
            mutant["path"].write_text(original)
        tell(number, mutant, verdict, seconds)
    print("; ".join(f"{count} {verdict}" for verdict, count in sorted(counts.items())))
    print("\n".join(["not explained:", *bad]) if bad else "every survivor is explained in tests/mutants/survivors.txt")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
