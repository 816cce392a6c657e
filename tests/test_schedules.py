"""Schedules: the rates of Keras and PyTorch, and the corners between the phases."""

import importlib.util
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyllm import schedules
from tinyllm.optimizers import SGD
from tinyllm.schedules import (
    CosineDecay,
    ExponentialDecay,
    InverseTimeDecay,
    OneCycle,
    PiecewiseConstantDecay,
    PolynomialDecay,
)

TRUTH = json.loads((Path(__file__).parent / "golden" / "optimizers.json").read_text(encoding="utf-8"))["schedules"]
EXAMPLES = [schedules.get(case) for case in TRUTH]


@pytest.mark.parametrize("case", TRUTH, ids=lambda case: f"{case['class_name']}({case['config']})")
def test_the_rates_are_those_of_keras_and_pytorch(case):
    schedule = schedules.get(case)
    np.testing.assert_allclose(
        [schedule(step) for step in range(len(case["rates"]))], case["rates"], rtol=1e-12, atol=1e-15
    )


@pytest.mark.parametrize("schedule", EXAMPLES, ids=repr)
def test_a_configuration_goes_through_json_and_makes_an_equal_schedule(schedule):
    assert schedules.get(json.loads(json.dumps(schedules.serialize(schedule)))) == schedule


@pytest.mark.parametrize("schedule", EXAMPLES, ids=repr)
@given(step=st.integers(0, 10**6))
def test_every_rate_is_one_that_an_optimizer_takes(schedule, step):
    optimizer = SGD(schedule)
    optimizer.iterations = step
    assert optimizer.learning_rate == schedule(step) >= 0


def test_kerass_own_description_is_read():
    described = {
        "module": "keras.optimizers.schedules",
        "class_name": "ExponentialDecay",
        "config": {"initial_learning_rate": 0.5, "decay_steps": 2, "decay_rate": 0.25, "name": "ExponentialDecay"},
        "registered_name": None,
    }
    assert schedules.get(described) == ExponentialDecay(0.5, 2, 0.25)


def test_a_number_and_a_function_of_ones_own_pass_through():
    for mine in (0.1, math.sqrt):
        assert schedules.get(mine) is mine and schedules.serialize(mine) is mine


def test_warm_up_rises_in_a_line_to_the_target_and_the_cosine_begins_there():
    rate = CosineDecay(0.0, 10, warmup_target=1.0, warmup_steps=4)
    assert [rate(step) for step in range(5)] == [0, 0.25, 0.5, 0.75, 1]
    assert rate(5) < 1 and rate(14) == rate(10**9) == 0


def test_one_cycle_begins_at_the_start_peaks_and_ends_far_below():
    rate = OneCycle(1.0, 101, pct_start=0.25, div_factor=10.0, final_div_factor=100.0)
    rates = [rate(step) for step in range(200)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == pytest.approx(1.0, abs=1e-3) and 23 <= int(np.argmax(rates)) <= 25
    assert rates[100:] == [pytest.approx(0.001)] * 100


@pytest.mark.parametrize("steps, start", [(1, 0.3), (2, 0.5), (3, 0.0), (5, 1.0), (10, 0.1)])
@pytest.mark.parametrize("three_phase", [False, True])
def test_one_cycle_has_no_step_without_a_rate(steps, start, three_phase):
    rate = OneCycle(1.0, steps, pct_start=min(start, 0.5) if three_phase else start, three_phase=three_phase)
    assert all(0 < rate(step) <= 1 for step in range(steps + 2))


def test_a_boundary_belongs_to_the_value_before_it():
    rate = PiecewiseConstantDecay([2], [1.0, 0.5])
    assert [rate(step) for step in (1, 2, 3)] == [1, 1, 0.5]


def test_lists_and_zeros_are_taken():
    assert PiecewiseConstantDecay([0], [0, 1]) == PiecewiseConstantDecay((0,), (0, 1))


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: ExponentialDecay(0.1, 0, 0.5), "ExponentialDecay: decay_steps must be positive; found 0"),
        (lambda: ExponentialDecay(-0.1, 5, 0.5), "ExponentialDecay: initial_learning_rate must be 0 or a positive"),
        (lambda: InverseTimeDecay(0.1, 5, float("nan")), "InverseTimeDecay: decay_rate must be .*; found nan"),
        (lambda: PolynomialDecay("0.1", 5), "PolynomialDecay: initial_learning_rate must be .*; found '0.1'"),
        (lambda: CosineDecay(0.1, -5), "CosineDecay: decay_steps must be"),
        (lambda: CosineDecay(0.1, 5, warmup_steps=3), "CosineDecay: warmup_steps=3 without a warmup_target"),
        (lambda: CosineDecay(0.1, 5, warmup_target=-1.0), "CosineDecay: warmup_target must be"),
        (
            lambda: PiecewiseConstantDecay([1, 2], [0.1, 0.2]),
            "PiecewiseConstantDecay: 2 boundaries part 3 values; found 2",
        ),
        (
            lambda: PiecewiseConstantDecay([2, 1], [1, 2, 3]),
            r"PiecewiseConstantDecay: boundaries must rise; found \(2, 1\)",
        ),
        (lambda: PiecewiseConstantDecay(["1"], [1, 2]), "PiecewiseConstantDecay: found '1' where"),
        (lambda: PiecewiseConstantDecay([1], [1, -2]), "PiecewiseConstantDecay: found -2 where"),
        (lambda: PiecewiseConstantDecay([1, 1], [1, 2, 3]), "PiecewiseConstantDecay: boundaries must rise"),
        (lambda: PiecewiseConstantDecay([1], [1, math.inf]), "PiecewiseConstantDecay: found inf where"),
        (lambda: ExponentialDecay(math.inf, 5, 0.5), "ExponentialDecay: initial_learning_rate must be"),
        (lambda: OneCycle(0.1, 0), "OneCycle: total_steps must be positive"),
        (lambda: OneCycle(0.1, 5, 1.5), "OneCycle: pct_start must be between 0 and 1; found 1.5"),
        (lambda: OneCycle(0.1, 5, 0.6, three_phase=True), "OneCycle: pct_start must be between 0 and 0.5"),
        (lambda: OneCycle(0.1, 5, anneal_strategy="sin"), "unknown OneCycle anneal_strategy 'sin'; known: cos, linear"),
        (lambda: OneCycle(0.1, 5, div_factor=0), "OneCycle: div_factor must be positive"),
        (lambda: schedules.get({"class_name": "Nope"}), "unknown schedule 'Nope'; known: CosineDecay, "),
    ],
)
def test_a_bad_argument_is_named(make, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        make()


# -- live -----------------------------------------------------------------------------------------------------------


PROGRAM = """
import json, sys
import keras
keras.config.set_floatx("float64")
rates = []
for case in json.load(sys.stdin):
    schedule = getattr(keras.optimizers.schedules, case["class_name"])(**case["config"])
    rates.append([float(schedule(step)) for step in range(40)])
json.dump(rates, sys.stdout)
"""


@pytest.mark.interop
@pytest.mark.skipif(
    not (importlib.util.find_spec("keras") and importlib.util.find_spec("torch")), reason="needs keras and torch"
)
def test_forty_rates_are_those_of_keras():
    ours = [schedule for schedule in EXAMPLES if not isinstance(schedule, OneCycle)]
    ours += [CosineDecay(0.5, 17, 0.2), CosineDecay(0.0, 20, 0.2, warmup_target=0.3, warmup_steps=7)]
    ours += [PolynomialDecay(0.5, 7, 0.1, 3.0), PolynomialDecay(0.5, 7, 0.1, 3.0, cycle=True)]
    ours += [PiecewiseConstantDecay([3, 9, 30], [1.0, 0.5, 0.25, 0.125])]
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM],
        input=json.dumps([schedules.serialize(schedule) for schedule in ours]),
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"KERAS_BACKEND": "torch"},
    )
    assert run.returncode == 0, run.stderr[-2000:]
    for schedule, rates in zip(ours, json.loads(run.stdout), strict=True):
        np.testing.assert_allclose([schedule(step) for step in range(40)], rates, rtol=1e-12, atol=1e-15)


def torch_rates(make, steps):
    torch = pytest.importorskip("torch")
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.5)
    scheduler, rates = make(torch.optim.lr_scheduler, optimizer), []
    for step in range(steps):
        rates.append(scheduler.get_last_lr()[0])
        optimizer.step()
        if step < steps - 1:
            scheduler.step()
    return rates


@pytest.mark.torch
@pytest.mark.parametrize("steps", [2, 7, 40])
@pytest.mark.parametrize("anneal", ["cos", "linear"])
@pytest.mark.parametrize("three_phase, start", [(False, 0.3), (False, 0.55), (True, 0.25), (True, 0.4)])
def test_one_cycle_is_that_of_pytorch(steps, anneal, three_phase, start):
    options = {"pct_start": start, "anneal_strategy": anneal, "div_factor": 7.0, "three_phase": three_phase}
    rates = torch_rates(lambda s, o: s.OneCycleLR(o, 0.5, steps, cycle_momentum=False, **options), steps)
    rate = OneCycle(0.5, steps, **options)
    np.testing.assert_allclose([rate(step) for step in range(steps)], rates, rtol=1e-12)


@pytest.mark.torch
def test_cosine_exponential_and_step_decay_are_those_of_pytorch():
    pairs = [
        (CosineDecay(0.5, 20, 0.2), lambda s, o: s.CosineAnnealingLR(o, 20, eta_min=0.1)),
        (ExponentialDecay(0.5, 1, 0.9), lambda s, o: s.ExponentialLR(o, 0.9)),
        (ExponentialDecay(0.5, 3, 0.5, staircase=True), lambda s, o: s.StepLR(o, 3, 0.5)),
        (PolynomialDecay(0.5, 20, 0.0, 2.0), lambda s, o: s.PolynomialLR(o, 20, 2.0)),
    ]
    for rate, make in pairs:
        np.testing.assert_allclose([rate(step) for step in range(20)], torch_rates(make, 20), rtol=1e-11, atol=1e-15)
