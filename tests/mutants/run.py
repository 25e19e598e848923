#!/usr/bin/env python3
"""Do the tests notice? Breaks the shaders and the host code on purpose, one place at a time, and runs the GPU tests.

    python3 tests/mutants/run.py                 all; exit code 1 if one survives that survivors.txt does not explain
    python3 tests/mutants/run.py --list          names them without running anything
    python3 tests/mutants/run.py --only matmul   those whose name holds a word
    python3 tests/mutants/run.py --modules "over, discrete layer"   judged by these modules alone

A mutant drops a barrier, ignores an offset, shifts a bound by one, or swaps a pair of operands. One of a shader is a
text that stands in for another when the kernel is made (`WGPU_GRU_MUTANTS` at build time lets `src/kernels/source.rs`
look for it). Those of the host code are all in one build, whose environment chooses one of them: their files are
changed while it is made. So the tests are built once. A mutant whose shader does not compile says nothing and is
listed as invalid.

Tests run module by module, those that know the file best first, and end at the first failure; before anything is
broken all of them have to pass. A mutant whose tests do not end is hung, which is told apart from killed: its limit
is one of the time that its process computes, so that no mutant is hung because the machine is busy.
"""

import argparse
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
# Which modules of tests/gpu and tests/checks know a file, the quick ones first. "discrete": planned as for a GPU.
MODULES = [
    (r"matmul_cooperative", ["cooperative"]),
    (r"shared/(exchange|settlement)", ["exchange"]),
    (
        r"shared/(step|tile|operand|rows|sequence|gru_sequence|rnn_sequence)",
        ["layer", "half", "in_range", "places", "options", "rows", "cuts", "nonfinite", "recurrence", "cells", "chunks",
         "discrete options", "discrete layer", "exchange", "discrete nonfinite"],
    ),
    (r"frame|gather|_unit", ["frame", "stream", "cells", "options", "nonfinite"]),
    (
        r"matmul",
        ["in_range", "long_sums", "options", "nonfinite", "over", "matmul", "discrete layer", "discrete options"],
    ),
    (r"sum_rows|column_sums|sums\.rs", ["single", "in_range", "long_sums", "options", "sums", "discrete options"]),
    (r"mse|bce|loss", ["losses", "optimisers", "in_range"]),
    (r"cross_entropy|weight|mean", ["classes", "losses", "in_range"]),
    (r"embedding|sort_indices", ["embedding", "past_a_grid", "in_range"]),
    (
        r"adam|optimiser|sgd|accumulate|sum_squares|reduce|norm|train",
        ["steps", "passes", "optimisers", "train", "heads", "in_range"],
    ),
    (
        r"move_rows|number|copies",
        ["arrange", "stream", "options", "half", "past_a_grid", "in_range", "discrete options"],
    ),
    (r"find_non_finite", ["finite", "chunks::finite_check", "in_range"]),
    (r"arrange|count", ["arrange", "options", "past_a_grid", "in_range"]),
    (r"pack|f16", ["single", "half", "past_a_grid", "nonfinite", "options", "in_range"]),
    (
        r"",
        ["single", "layer", "half", "in_range", "chunks", "options", "cuts", "nonfinite", "recurrence", "cells",
         "discrete options", "discrete nonfinite", "activations"],
    ),
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
# Seconds that a process may compute before it counts as hung: so many, and so many times what its module takes with
# nothing broken. One that only waits counts as hung after so many times longer.
LIMIT, TIMES, WAITS = 30, 3, 20
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
    """Every mutant of a line of Rust: what is done, and what to replace; BROKEN stands for whether to do it."""
    code = line.split("//")[0]
    if found := re.match(r"\s*(\w*offset): ([^,]+),$", code.rstrip()):
        yield f"{found[1]} ignored", [(*found.span(2), f"if BROKEN {{ 0 }} else {{ {found[2]} }}")]
    for found in re.finditer(r"\.div_ceil\(", code):
        yield "rounds down", [(*found.span(), ".div_ceil_unless(BROKEN, ")]
    if found := re.match(r"\s*accumulate(: (.+))?,$", code.rstrip()):
        whole = (code.index("accumulate"), len(code.rstrip()))
        if found[2] == "false":
            yield "always adds", [(*whole, "accumulate: BROKEN,")]
        elif found[2] != "bool":
            value = f"if BROKEN {{ Default::default() }} else {{ {found[2] or 'accumulate'} }}"
            yield "always replaces", [(*whole, f"accumulate: {value},")]
    for found in re.finditer(r"\[(\w+), (\w+)\]", code):
        if re.search(r"once|dispatch|\.sizes?\b|grid", code):
            if declared := re.match(r"\s*let \[\w+, \w+\] = (.+);$", code.rstrip()):
                places = [declared.start(1), declared.end(1)]
                yield f"{found[0]} swapped", [(places[0],) * 2 + ("swapped_if(BROKEN, ",), (places[1],) * 2 + (")",)]
            else:
                yield f"{found[0]} swapped", [(*found.span(), f"swapped_if(BROKEN, {found[0]})")]


def mutants(patterns, rules):
    seen = {}
    for path in sorted(path for pattern in patterns for path in ROOT.glob(pattern)):
        for index, line in enumerate(path.read_text().split("\n")):
            for what, change in rules(line):
                if change == line:
                    continue
                name = f"{path.relative_to(ROOT)}: {line.strip()}: {what}"
                # A line that comes again, or that has two such places.
                seen[name] = seen.get(name, 0) + 1
                if seen[name] > 1:
                    name += f" ({seen[name]})"
                yield {"name": name, "path": path, "line": index, "change": change}


def environment_of(mutant):
    """What makes the tests run with a mutant."""
    if mutant["path"].suffix != ".wgsl":
        return {"WGPU_GRU_MUTANT_HOST": mutant["name"]}
    lines = mutant["path"].read_text().split("\n")
    # As many lines before it as make the place the only one of its file.
    for first in range(mutant["line"], -1, -1):
        before = lines[first : mutant["line"]]
        find = "\n".join([*before, lines[mutant["line"]]])
        if "\n".join(lines).count(find) == 1:
            break
    replace = "\n".join([*before, mutant["change"]])
    parts = {"FILE": str(mutant["path"].relative_to(ROOT)), "FIND": find, "REPLACE": replace}
    return {f"WGPU_GRU_MUTANT_{part}": text for part, text in parts.items()}


# What stands at the end of a file of host code that has mutants.
SWITCHES = """
fn is_broken(name: &str) -> bool {
    static ASKED: std::sync::OnceLock<Option<String>> = std::sync::OnceLock::new();
    ASKED.get_or_init(|| std::env::var("WGPU_GRU_MUTANT_HOST").ok()).as_deref() == Some(name)
}

fn swapped_if<T>(swap: bool, [a, b]: [T; 2]) -> [T; 2] {
    if swap { [b, a] } else { [a, b] }
}

trait DivCeilUnless: Sized {
    fn div_ceil_unless(self, down: bool, by: Self) -> Self;
}

impl DivCeilUnless for u32 {
    fn div_ceil_unless(self, down: bool, by: u32) -> u32 {
        if down { self / by } else { self.div_ceil(by) }
    }
}

impl DivCeilUnless for usize {
    fn div_ceil_unless(self, down: bool, by: usize) -> usize {
        if down { self / by } else { self.div_ceil(by) }
    }
}
"""


def with_switches(path, of_file):
    """The text of a file of host code in which the environment chooses one of its mutants."""
    lines = path.read_text().split("\n")
    for index in {mutant["line"] for mutant in of_file}:
        pieces = []
        for mutant in of_file:
            if mutant["line"] == index:
                is_broken = f"is_broken({json.dumps(mutant['name'])})"
                pieces += [(begin, end, text.replace("BROKEN", is_broken)) for begin, end, text in mutant["change"]]
        # From the right, so that those to the left stay where they are.
        for begin, end, text in sorted(pieces, key=lambda piece: piece[:2], reverse=True):
            lines[index] = lines[index][:begin] + text + lines[index][end:]
    return "\n".join(lines) + SWITCHES


def build(of_host):
    """Builds the tests; host code stands with its switches while it does."""
    command = ["cargo", "test", "--release", "--locked", "--no-run", "--message-format=json", "--test", "gpu"]
    command[2:2] = os.environ.get("MUTANTS_CARGO_FLAGS", "").split()
    environment = {**os.environ, "WGPU_GRU_MUTANTS": "1"}
    originals = {path: path.read_text() for path in {mutant["path"] for mutant in of_host}}
    try:
        for path in originals:
            path.write_text(with_switches(path, [mutant for mutant in of_host if mutant["path"] == path]))
        done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
    finally:
        for path, text in originals.items():
            path.write_text(text)
    if done.returncode != 0:
        messages = [json.loads(line).get("message") for line in done.stdout.splitlines() if line.startswith("{")]
        errors = [message["rendered"] for message in messages if message and message.get("level") == "error"]
        sys.exit("\n".join(["the tests do not build", *errors]))
    messages = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    found = [message["executable"] for message in messages if message.get("target", {}).get("name") == "gpu"]
    return next(path for path in found if path)


def run(binary, module, mutant, limit=1800):
    """What a module says of a mutant: survived, killed, hung, invalid; not run if the adapter lacks what it needs."""
    plan, _, module = module.rpartition(" ")
    environment = {**os.environ, "WGPU_GRU_REQUIRE_GPU": "1"}
    if plan:
        environment["WGPU_GRU_PLAN_AS"] = plan
    if mutant:
        environment |= environment_of(mutant)
    else:
        # What is not broken must not take less time because its kernels were compiled before.
        environment["MESA_SHADER_CACHE_DISABLE"] = "true"
    with tempfile.TemporaryFile("w+") as output:
        limited = ["sh", "-c", 'ulimit -S -t "$0" && exec "$@"', str(int(limit))]
        process = subprocess.Popen(
            [*limited, binary, module if "::" in module else f"{module}::", *SKIPPED],
            cwd=ROOT, env=environment, start_new_session=True, stdout=output, stderr=output,
        )
        end, text = time.monotonic() + WAITS * limit, ""
        while process.poll() is None and time.monotonic() < end and "FAILED" not in text:
            time.sleep(0.1)
            output.seek(0)
            text = output.read()
        killed = process.poll() != 0
        hung = "FAILED" not in text and process.poll() in (None, -signal.SIGXCPU)
        if process.poll() is None:
            time.sleep(0.3)  # for the rest of the message
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        output.seek(0)
        text = output.read()
    if killed and re.search(r"Shader '|parsing error|ShaderParse|Entry point .* invalid|naga", text):
        return "invalid"
    if "running 0 tests" in text:
        return "no such module"
    if hung:
        return "hung"
    if not killed and re.search(r" 0 passed;.* [1-9]\d* ignored", text):
        return "not run"
    return "killed" if killed else "survived"


def seconds_of_children():
    """What the processes that have ended have computed."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def modules_of(mutant, wanted):
    name = str(mutant["path"].relative_to(ROOT))
    return wanted or next(modules for pattern, modules in MODULES if re.search(pattern, name))


def judge(binary, mutant, modules, limits):
    verdicts = set()
    for module in modules:
        verdict = run(binary, module, mutant, limits[module])
        if verdict in ("killed", "hung", "invalid"):
            return f"{verdict} by {module}"
        verdicts.add(verdict)
    return "survived" if "survived" in verdicts else verdicts.pop()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--list", action="store_true", help="name the mutants and stop")
    parser.add_argument("--only", default="", help="a regular expression that the name must hold")
    parser.add_argument("--modules", default="", help="judge by these modules or tests (default: by a file's)")
    parser.add_argument("--every", type=int, default=1, help="take one of so many (default: all)")
    parser.add_argument("--binary", help="where to leave the tests, or where they are: then nothing is built")
    parser.add_argument("--jobs", type=int, default=1, help="how many mutants to run at a time (default: 1)")
    parser.add_argument("--no-host", action="store_true", help="leave the host code alone")
    arguments = parser.parse_args()
    wanted = [module.strip() for module in arguments.modules.split(",") if module.strip()]
    of_host = list(mutants(HOST, host_rules))
    of_shaders = list(mutants(FILES, shader_rules))
    chosen = of_shaders + ([] if arguments.no_host else of_host)
    chosen = [mutant for mutant in chosen if re.search(arguments.only, mutant["name"])][:: arguments.every]
    if arguments.list:
        print("\n".join(mutant["name"] for mutant in chosen))
        print(f"{len(chosen)} mutants")
        return 0
    lines = (HERE / "survivors.txt").read_text().splitlines()
    explained = [line.split(" => ")[0].strip() for line in lines if " => " in line and not line.startswith("#")]
    names = {mutant["name"] for mutant in of_shaders + of_host}
    if stale := [name for name in explained if name not in names]:
        sys.exit("\n".join(["survivors.txt explains what is no mutant:", *stale]))
    binary, bad, counts = arguments.binary, [], {}
    if not binary or not Path(binary).exists():
        built = build(of_host)
        binary = shutil.copy(built, binary) if binary else built
    limits = {}
    for module in sorted({module for mutant in chosen for module in modules_of(mutant, wanted)}):
        begin = seconds_of_children()
        if (verdict := run(binary, module, None)) not in ("survived", "not run"):
            sys.exit(f"{module} with nothing broken: {verdict}")
        limits[module] = LIMIT + TIMES * (seconds_of_children() - begin)

    def tell(number, mutant, verdict, seconds):
        counts[verdict.split()[0]] = counts.get(verdict.split()[0], 0) + 1
        known = " (explained)" if mutant["name"] in explained else ""
        if verdict == "survived" and not known:
            bad.append(mutant["name"])
        print(f"{number}/{len(chosen)} {verdict}{known} in {seconds:.0f} s: {mutant['name']}", flush=True)

    def timed(mutant):
        begin = time.monotonic()
        return judge(binary, mutant, modules_of(mutant, wanted), limits), time.monotonic() - begin

    with ThreadPoolExecutor(arguments.jobs) as pool:
        futures = {pool.submit(timed, mutant): mutant for mutant in chosen}
        for number, done in enumerate(as_completed(futures), 1):
            tell(number, futures[done], *done.result())
    print("; ".join(f"{count} {verdict}" for verdict, count in sorted(counts.items())))
    print("\n".join(["not explained:", *bad]) if bad else "every survivor is explained in tests/mutants/survivors.txt")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
