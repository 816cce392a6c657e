"""Twenty random steps beside Keras's own optimisers, which are made from our configurations."""

import importlib.util
import json
import os
import subprocess
import sys

import numpy as np
import pytest

from tests.optimizers.cases import CASES, random_steps, walk
from tinyllm.optimizers import SGD, Adam

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(
        not (importlib.util.find_spec("keras") and importlib.util.find_spec("torch")), reason="needs keras and torch"
    ),
]

PROGRAM = """
import json, sys
import numpy as np
import keras
keras.config.set_floatx("float64")
asked = json.load(sys.stdin)
answers = []
for class_name, config in asked["optimizers"]:
    if isinstance(config["learning_rate"], dict):
        config["learning_rate"]["module"] = "keras.optimizers.schedules"
    optimizer = keras.optimizers.deserialize({"class_name": class_name, "config": config})
    weights = [keras.Variable(np.array(w), name=f"w{i}") for i, w in enumerate(asked["start"])]
    if config["name"] == "without decay":
        optimizer.exclude_from_weight_decay(var_names=["w1"])
    path = []
    for step in asked["gradients"]:
        optimizer.apply([keras.ops.convert_to_tensor(np.array(g)) for g in step], weights)
        path.append([w.numpy().tolist() for w in weights])
    answers.append(path)
json.dump(answers, sys.stdout)
"""


def keras_paths(optimizers, start, gradients):
    """Keras in a process of its own: it wants its backend chosen before it is imported."""
    asked = {
        "optimizers": [(type(o).__name__, o.get_config()) for o in optimizers],
        "start": [w.tolist() for w in start],
        "gradients": [[g.tolist() for g in step] for step in gradients],
    }
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"KERAS_BACKEND": "torch"},
    )
    assert run.returncode == 0, run.stderr[-2000:]
    return json.loads(run.stdout)


def worst(found, expected):
    return max(float(np.abs(a - b).max()) for x, y in zip(found, expected, strict=True) for a, b in zip(x, y))


def test_twenty_random_steps_are_those_of_keras():
    start, gradients = random_steps()
    names = [name for name in CASES if name != "GD"]
    excluded = Adam(0.0625, weight_decay=0.25, name="without decay", beta_1=0.875, beta_2=0.96875)
    paths = keras_paths([*(CASES[name]() for name in names), excluded], start, gradients)
    off = {name: worst(walk(CASES[name](), start, gradients), path) for name, path in zip(names, paths)}
    rounded = {name for name in names if CASES[name]().clipnorm or CASES[name]().global_clipnorm}  # norms, to float32
    assert {name: d for name, d in off.items() if d > (1e-6 if name in rounded else 1e-12)} == {}
    ours = Adam(**excluded.get_config(), groups=[{"match": [1], "weight_decay": 0.0}])
    assert worst(walk(ours, start, gradients), paths[-1]) < 1e-12


def test_the_default_rates_are_those_of_keras():
    start, gradients = random_steps()
    made = [SGD(), Adam()]
    for ours, path in zip(made, keras_paths(made, start, gradients)):
        assert worst(walk(type(ours)(), start, gradients), path) < 1e-6
