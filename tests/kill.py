"""Training that is killed at random moments ends with the same bits.

    python -m tests.kill 50       50 kills; prints what was found, exit code 1 if anything differs

A child process trains a small model with a checkpoint every other step. SIGKILL hits it at a random moment, it is
started again with resume=, several times in one training, until it may come to its end. Then weights, optimizer,
history and CSV log are compared with those of a training that nobody interrupted.
"""

import hashlib
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tinyllm import checkpoints
from tinyllm.callbacks import Checkpoint, CSVLogger, EarlyStopping, ReduceLROnPlateau
from tinyllm.layers import LSTM, Dense, Dropout, Embedding
from tinyllm.models import Sequential
from tinyllm.optimizers import Adam

ROOT = Path(__file__).parents[1]


class Found(NamedTuple):
    """What a training that was killed a few times came to."""

    kills: int
    unreadable: int
    equal: bool


def train(folder: str, epochs: int) -> str:
    """A training with everything that draws or remembers; its end as one line of JSON."""
    rng = np.random.default_rng(0)
    x = rng.integers(1, 20, (150, 8))
    y = (x.sum(axis=1) > 80).astype(int)
    model = Sequential([Embedding(20, 8), LSTM(8), Dropout(0.3), Dense(1, "sigmoid")], seed=1)
    model.build((None, 8))
    model.compile(Adam(0.01), "binary_crossentropy", ["accuracy"])
    watchers = [
        EarlyStopping("loss", patience=1000, restore_best_weights=True),
        ReduceLROnPlateau("val_loss", factor=0.9, patience=1),
        CSVLogger(f"{folder}.csv"),
        Checkpoint(folder, every=2),
    ]
    options = {"batch_size": 16, "validation_split": 0.1, "verbose": 0}
    history = model.fit(x, y, epochs=epochs, callbacks=watchers, resume=folder, **options)
    numbers = [*model.get_weights(), *(s for slots in model.optimizer.get_state() for s in slots.values())]
    digest = hashlib.sha256(b"".join(each.tobytes() for each in numbers)).hexdigest()
    return json.dumps([digest, model.optimizer.iterations, history.epoch, history.history])


def child(folder: str, epochs: int) -> subprocess.Popen:
    """A process that trains; it says when it begins."""
    command = [sys.executable, "-W", "error", "-m", "tests.kill", "--child", folder, str(epochs)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    process.stdout.readline()
    return process


def unreadable_in(folder: str) -> int:
    """Checkpoints that have their JSON and cannot be read."""
    count = 0
    for step in checkpoints.steps_in(folder):
        try:
            checkpoints.read(folder, step)
        except FileNotFoundError:  # its arrays were there, its JSON not yet
            continue
        except ValueError:
            count += 1
    return count


def chain(folder: Path, kills: int, seed: int, epochs: int = 12) -> Found:
    """One training, killed so many times, beside one that is not."""
    moment = random.Random(seed)
    quiet, torn = str(folder / "quiet"), str(folder / "torn")
    began = time.perf_counter()
    expected = child(quiet, epochs).communicate()[0]
    span = (time.perf_counter() - began) / 2  # some of it went by before the training began
    done = unreadable = 0
    while True:
        process = child(torn, epochs)
        if done < kills:
            time.sleep(moment.uniform(0, 2 * span / kills))
            done += process.poll() is None
            process.kill()
            process.communicate()
            unreadable += unreadable_in(torn)
            if process.returncode == 0:  # it was faster; what it came to is in its checkpoints
                done = kills
            continue
        found = process.communicate()[0]
        same_table = Path(f"{quiet}.csv").read_bytes() == Path(f"{torn}.csv").read_bytes()
        return Found(done, unreadable, bool(found) and found == expected and same_table)


def main(total: int) -> int:
    kills = unreadable = 0
    trainings = differing = 0
    while kills < total:
        with tempfile.TemporaryDirectory() as folder:
            found = chain(Path(folder), min(5, total - kills), seed=trainings)
        trainings, kills = trainings + 1, kills + found.kills
        unreadable, differing = unreadable + found.unreadable, differing + (not found.equal)
    print(f"{kills} kills and resumes in {trainings} trainings: {unreadable} unreadable, {differing} ends that differ")
    return int(bool(unreadable or differing))


if __name__ == "__main__":
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    if sys.argv[1] == "--child":
        print("begin", flush=True)
        print(train(sys.argv[2], int(sys.argv[3])))
    else:
        sys.exit(main(int(sys.argv[1])))
