"""Makes optimisers.json with PyTorch's own optimisers and learning-rate schedulers in f64. See README.md.

    python generate_optimisers.py
"""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from torch.nn.utils import clip_grad_norm_, clip_grad_value_
from torch.optim import SGD, AdamW
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, SequentialLR, StepLR
from vectors import Uniform

FILE = Path(__file__).resolve().parent / "optimisers.json"
FIRST_SEED = 2001
STEPS = 20
# After which steps the parameters are written: the first ones, and the last one.
LOOKS = (1, 2, 3, STEPS)
# Of the two parameters.
SHAPES = ((5,), (2, 3))

ADAM = {"lr": 0.0625, "betas": [0.875, 0.96875], "eps": 2.0**-6, "weight_decay": 0.0}
DESCENT = {"lr": 0.125, "weight_decay": 0.0, "momentum": 0.0, "dampening": 0.0, "nesterov": False}


@dataclass(frozen=True)
class Case:
    """One optimiser, two parameters, 20 steps. All numbers are f32 numbers."""

    name: str
    optimiser: str
    options: dict
    # The weight decay of each parameter; None: that of the options.
    weight_decays: tuple[float | None, float | None] = (None, None)
    max_norm: float | None = None
    clip_value: float | None = None
    # Backward passes a step, and whether it takes the mean or the sum of their gradients.
    passes: int = 1
    accumulate: str | None = None
    # By the number of the step, the two parameters one behind the other.
    after: dict = field(default_factory=dict)


# The seed of a case is its place in this list, from FIRST_SEED, so new ones go at the end.
CASES = [
    Case("adam", "adam", ADAM),
    Case("adam_decay", "adam", ADAM | {"weight_decay": 0.125}),
    Case("adam_decay_of_one", "adam", ADAM | {"weight_decay": 0.25}, weight_decays=(0.0, None)),
    Case("adam_clip_value", "adam", ADAM, clip_value=0.25),
    Case("adam_clip_norm_and_value", "adam", ADAM, max_norm=1.0, clip_value=0.375),
    Case("adam_decay_mean", "adam", ADAM | {"weight_decay": 0.125}, max_norm=1.0, passes=3, accumulate="mean"),
    Case("descent", "sgd", DESCENT),
    Case("descent_decay", "sgd", DESCENT | {"weight_decay": 0.125}, max_norm=1.0),
    Case("descent_decay_of_one", "sgd", DESCENT | {"momentum": 0.5}, weight_decays=(None, 0.25)),
    Case("descent_momentum", "sgd", DESCENT | {"momentum": 0.875}),
    Case("descent_dampening", "sgd", DESCENT | {"momentum": 0.75, "dampening": 0.25, "weight_decay": 0.0625}),
    Case("descent_nesterov", "sgd", DESCENT | {"momentum": 0.875, "nesterov": True, "weight_decay": 0.0625}),
    Case("descent_sum", "sgd", DESCENT | {"momentum": 0.5}, clip_value=0.5, passes=2, accumulate="sum"),
]


def evaluate(case: Case, seed: int) -> dict:
    """Draws the parameters, then the gradients pass by pass, and takes the steps."""
    uniform = Uniform(seed)

    def tensor(shape: tuple[int, ...]) -> torch.Tensor:
        return torch.tensor(uniform.vec(torch.Size(shape).numel(), 1.0), dtype=torch.float64).reshape(shape)

    parameters = [tensor(shape).requires_grad_() for shape in SHAPES]
    groups = [
        {"params": [parameter]} | ({} if decay is None else {"weight_decay": decay})
        for parameter, decay in zip(parameters, case.weight_decays, strict=True)
    ]
    optimiser = {"adam": AdamW, "sgd": SGD}[case.optimiser](groups, **case.options)
    after = {}
    for step in range(1, STEPS + 1):
        optimiser.zero_grad()
        for _ in range(case.passes):
            # The gradient of the loss is what is drawn.
            loss = sum((parameter * tensor(parameter.shape)).sum() for parameter in parameters)
            (loss / case.passes if case.accumulate == "mean" else loss).backward()
        if case.max_norm is not None:
            clip_grad_norm_(parameters, case.max_norm)
        if case.clip_value is not None:
            clip_grad_value_(parameters, case.clip_value)
        optimiser.step()
        if step in LOOKS:
            after[str(step)] = [value for parameter in parameters for value in parameter.detach().flatten().tolist()]
    return after


# What the schedulers are made of: base rate, then the schedule, then the warm-up.
RATES = [
    {"rate": 0.5},
    {"rate": 0.5, "every": 7, "factor": 0.25},
    {"rate": 0.5, "steps": 20, "least": 0.125},
    {"rate": 0.25, "steps": 9, "least": 0.0},
    {"rate": 0.5, "warm_up": 6, "from": 0.25},
    {"rate": 0.5, "every": 1, "factor": 0.875, "warm_up": 5, "from": 0.5},
    {"rate": 0.75, "steps": 30, "least": 0.0625, "warm_up": 10, "from": 0.125},
]
RATE_STEPS = 60


def rates(case: dict) -> list[float]:
    """The rate of each step, by PyTorch's recursions."""
    optimiser = SGD([torch.zeros(1, requires_grad=True)], lr=case["rate"])
    if "every" in case:
        main = StepLR(optimiser, case["every"], case["factor"])
    elif "steps" in case:
        main = CosineAnnealingLR(optimiser, case["steps"], case["least"])
    else:
        main = StepLR(optimiser, RATE_STEPS + 1)
    scheduler = main
    if "warm_up" in case:
        warm_up = LinearLR(optimiser, case["from"], total_iters=case["warm_up"])
        scheduler = SequentialLR(optimiser, [warm_up, main], [case["warm_up"]])
    made = []
    for _ in range(RATE_STEPS):
        made.append(float(optimiser.param_groups[0]["lr"]))
        optimiser.step()
        scheduler.step()
    return made


def main() -> None:
    torch.set_num_threads(1)
    lines = []
    for seed, case in enumerate(CASES, start=FIRST_SEED):
        lines.append(json.dumps(asdict(case) | {"seed": seed, "after": evaluate(case, seed)}))
    schedules = [json.dumps(case | {"rates": rates(case)}) for case in RATES]
    text = (
        f'{{\n"torch": {json.dumps(str(torch.__version__))},\n"steps": [\n'
        + ",\n".join(lines)
        + '\n],\n"rates": [\n'
        + ",\n".join(schedules)
        + "\n]\n}\n"
    )
    FILE.write_text(text, encoding="ascii", newline="\n")
    print(f"{len(CASES)} optimisers, {len(RATES)} schedules, {len(text)} bytes, PyTorch {torch.__version__}")


if __name__ == "__main__":
    main()
