"""Write torch_schedules.json: rates and momenta of PyTorch's schedulers. Run with PyTorch installed.

python -m tests.data.make_torch_schedules
"""

import pathlib
import warnings

from tests.data.make_schedules import lines

STEPS = 200
RATE = 0.1  # of the optimizer, which most of the schedulers multiply

ONE = {"max_lr": 0.5, "total_steps": 200}
CYCLE = {"base_lr": 0.01, "max_lr": 0.2}


def _one(**more):
    return ("OneCycle", {**ONE, **more}, "OneCycleLR", {**ONE, **more})


def _cycle(**more):
    return ("Cyclical", {**CYCLE, **more}, "CyclicLR", {**CYCLE, **more})


def _start(**more):
    return {"initial_learning_rate": RATE, **more}


#: our class and config, PyTorch's class and arguments
CASES = [
    _one(),
    _one(anneal_strategy="linear"),
    _one(three_phase=True),
    _one(three_phase=True, anneal_strategy="linear", pct_start=0.41, div_factor=10.0, final_div_factor=100.0),
    _one(pct_start=0.123, base_momentum=0.7, max_momentum=0.99),
    _one(pct_start=1.0),
    ("OneCycle", {"max_lr": 1.0, "epochs": 8, "steps_per_epoch": 25},
     "OneCycleLR", {"max_lr": 1.0, "epochs": 8, "steps_per_epoch": 25}),
    _cycle(step_size_up=20),
    _cycle(step_size_up=20, step_size_down=7),
    _cycle(step_size_up=15, mode="triangular2", base_momentum=0.6),
    _cycle(step_size_up=13, step_size_down=31, mode="exp_range", gamma=0.99),
    ("StepDecay", _start(step_size=30, gamma=0.5), "StepLR", {"step_size": 30, "gamma": 0.5}),
    ("MultiStepDecay", _start(milestones=[10, 50, 50, 120], gamma=0.3),
     "MultiStepLR", {"milestones": [10, 50, 50, 120], "gamma": 0.3}),
    ("ExponentialDecay", _start(decay_steps=1, decay_rate=0.98), "ExponentialLR", {"gamma": 0.98}),
    ("PolynomialDecay", _start(decay_steps=150, end_learning_rate=0.0, power=2.0),
     "PolynomialLR", {"total_iters": 150, "power": 2.0}),
    ("CosineDecayRestarts", _start(first_decay_steps=20, t_mul=2.0, alpha=0.1),
     "CosineAnnealingWarmRestarts", {"T_0": 20, "T_mult": 2, "eta_min": 0.01}),
    ("PowerDecay", _start(decay_steps=25, power=1.7), "LambdaLR", {"lr_lambda": "(1 + t / 25) ** -1.7"}),
    ("PowerDecay", _start(decay_steps=25, power=0.5, staircase=True),
     "LambdaLR", {"lr_lambda": "(1 + t // 25) ** -0.5"}),
    ("Warmup", {"schedule": {"class_name": "CosineDecay", "config": _start(decay_steps=170)}, "warmup_steps": 30,
                "initial_learning_rate": 0.02},
     "SequentialLR", {"milestones": [30], "schedulers": [
         ("LinearLR", {"start_factor": 0.2, "total_iters": 30}), ("CosineAnnealingLR", {"T_max": 170})]}),
    ("Joined", {"schedules": [0.05, {"class_name": "StepDecay", "config": _start(step_size=9, gamma=0.7)},
                              {"class_name": "ExponentialDecay", "config": _start(decay_steps=1, decay_rate=0.9)}],
                "boundaries": [20, 90]},
     "SequentialLR", {"milestones": [20, 90], "schedulers": [
         ("ConstantLR", {"factor": 0.5, "total_iters": 1000}), ("StepLR", {"step_size": 9, "gamma": 0.7}),
         ("ExponentialLR", {"gamma": 0.9})]}),
]  # fmt: skip


def scheduler(torch, optimizer, name: str, arguments: dict):
    arguments = dict(arguments)
    if name == "LambdaLR":
        text = arguments["lr_lambda"]
        arguments["lr_lambda"] = lambda t: eval(text, {"t": t})
    if name == "SequentialLR":
        arguments["schedulers"] = [scheduler(torch, optimizer, *part) for part in arguments["schedulers"]]
    return getattr(torch.optim.lr_scheduler, name)(optimizer, **arguments)


def values(torch) -> list[dict]:
    cases = []
    for name, config, theirs, arguments in CASES:
        weight = torch.nn.Parameter(torch.zeros(1))
        optimizer = torch.optim.SGD([weight], lr=RATE, momentum=0.9)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # SequentialLR warns about PyTorch's own calls
            schedule = scheduler(torch, optimizer, theirs, arguments)
            rates, momenta = [], []
            for _ in range(STEPS):
                rates.append(optimizer.param_groups[0]["lr"])
                momenta.append(optimizer.param_groups[0]["momentum"])
                optimizer.step()
                if len(rates) < STEPS:
                    schedule.step()
        cases.append({"class_name": name, "config": config, "rates": [float(r) for r in rates]})
        if name in ("OneCycle", "Cyclical"):
            cases[-1]["momenta"] = [float(m) for m in momenta]
    return cases


if __name__ == "__main__":
    import torch

    record = {"torch": torch.__version__, "cases": values(torch)}
    pathlib.Path(__file__).with_name("torch_schedules.json").write_text(lines(record))
