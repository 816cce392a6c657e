"""A small file of exercises, and processes to ask."""

import pytest

from tinyllm.lessons.grading.exercises import load
from tinyllm.lessons.grading.sessions import Worker
from tinyllm.lessons.grading.student import Student

SMALL = '''# %% [markdown] tags=["en"]
# # Exercises to lesson 90
# %% [markdown] tags=["zh"]
# # 第 90 课练习
# %%
import numpy as np

from tinyllm.lessons.grading import (
    Mistake,
    check,
    close,
)

# %% [markdown] tags=["en"]
# ## 90.1 Twice
# %% [markdown] tags=["zh"]
# ## 90.1 两倍


# %% tags=["exercise"]
# exercise 90.1 (2 points): twice
def twice(x):
    ### BEGIN SOLUTION
    return 2 * x
    ### END SOLUTION


# %% tags=["checks"]
@check("90.1", points=2, catches=[Mistake("half", "2 * x", "x / 2")])
def it_doubles(student, rng):
    """Twice as much."""
    x = rng.normal(size=3)
    close(student.twice(x), 2 * x, "twice(x)")


# %% [markdown] tags=["en", "hint"]
# Multiply.
# %% [markdown] tags=["zh", "hint"]
# 乘。
# %% tags=["exercise"]
# exercise 90.2 (1 point): a constant
### BEGIN SOLUTION
answer = 42
### END SOLUTION


# %% tags=["checks"]
@check("90.2", points=1)
def it_is_42(student, rng):
    """42."""
    close(student.run("result = answer"), 42, "answer")
'''


@pytest.fixture
def small(tmp_path):
    def write(text=SMALL):
        path = tmp_path / "lesson_90.py"
        path.write_text(text, encoding="utf-8")
        return load(path)

    return write


@pytest.fixture(scope="module")
def worker():
    with Worker() as worker:
        yield worker


@pytest.fixture
def ask(worker):
    """Run code in a student's process; returns a Student of it."""

    def start(source, modules=(), seconds=10.0):
        close()  # one at a time
        context = worker.session(modules, seconds)
        opened.append(context)
        student = Student(context.__enter__(), "exercise 90.1")
        student.load([["file.py", source, True]])
        return student

    def close():
        while opened:
            opened.pop().__exit__(None, None, None)

    opened: list = []
    yield start
    close()
