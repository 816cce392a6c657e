"""A student's code answers from a process of its own, and whatever it does there, the grader goes on."""

import io
import os
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyllm.lessons.grading import Lost, wire
from tinyllm.lessons.grading.sessions import Ended, Worker, _Direct, answers
from tinyllm.lessons.grading.student import Student


def test_functions_code_and_classes_are_asked(ask):
    student = ask("class Box:\n    def __init__(self, x): self.x = x\ndef add(a, b=1): return a + b")
    assert student.add(2) == 3 and student.add(2, b=5) == 7
    np.testing.assert_array_equal(student.add(np.arange(3.0)), [1.0, 2.0, 3.0])
    assert student.run("result = [Box(x).x, y]", x=(1, "a"), y=None) == [(1, "a"), None]


def test_an_argument_changed_over_there_stays_here(ask):
    x = np.zeros(2)
    assert ask("def f(x):\n    x += 1\n    return x").f(x).tolist() == [1, 1] and x.tolist() == [0, 0]


def test_an_exception_is_told_with_its_line(ask):
    student = ask("def f(x):\n    y = x\n    return y / 0")
    with pytest.raises(Lost, match=r"f raised ZeroDivisionError: division by zero \(file.py, line 3: return y / 0\)"):
        student.f(1)
    with pytest.raises(Lost, match="g raised NameError: there is no 'g' in it"):
        student.g()
    with pytest.raises(Lost, match=r"it raised SyntaxError: .*\(file.py, line 2: y = = 2\)"):
        ask("x = 1\ny = = 2")


def test_a_demanded_exception_gives_its_message(ask):
    student = ask("def f(x):\n    if x: raise FileNotFoundError('no ' + x)\ndef g(): raise NotImplementedError")
    assert student.raises(OSError).f("file") == "no file"
    with pytest.raises(Lost, match="f must raise OSError; it returned None"):
        student.raises(OSError).f("")
    with pytest.raises(Lost, match="ValueError or KeyError was asked; f raised FileNotFoundError"):
        student.raises(ValueError, KeyError).f("file")
    with pytest.raises(Lost, match="not written yet"):
        student.raises(RuntimeError).g()


def test_a_warning_of_numpy_is_a_fault_unless_it_is_silenced_on_purpose(ask):
    student = ask(
        "import numpy as np\n"
        "def f(x): return np.exp(x)\n"
        "def g(x):\n    with np.errstate(over='ignore'): return np.exp(x)"
    )
    with pytest.raises(Lost, match="RuntimeWarning: overflow"):
        student.f(1000.0)
    assert student.g(1000.0) == np.inf


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("while True: pass", "longer than 0.5 s"),
        ("import time; time.sleep(60)", "longer than 0.5 s"),
        ("import os; os._exit(3)", "in the middle, with exit code 3"),
        ("import os; os.abort()", "SIGABRT"),
        (
            "import os\n    for i in range(3, 99):\n        try: os.write(i, b'garbage')\n        except OSError: pass",
            "no answer",
        ),
    ],
)
def test_an_abnormal_end_is_told_and_the_next_process_is_well(ask, body, why):
    student = ask(f"def f():\n    {body}", seconds=0.5)
    for _ in range(2):  # and it stays so
        with pytest.raises(Ended, match=why):
            student.f()
    assert ask("def f(): return 1").f() == 1


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("import tinyllm", "may import the standard library, NumPy; found 'tinyllm'"),
        ("import pytest", "found 'pytest'"),
        ("import tinyllm.lessons.exercises", "tinyllm.lessons has the solutions|found 'tinyllm"),
        ("import os; os.fork()", "may not start processes"),
        ("import subprocess; subprocess.run(['true'])", "may not start processes"),
        ("import os, signal; os.kill(os.getppid(), signal.SIGKILL)", "may not reach other processes"),
        ("import socket; socket.create_connection(('127.0.0.1', 9))", "may not use the network"),
        ("import ctypes; ctypes.CDLL(None)", "may not reach around Python"),
        (f"open({__file__!r})", "in its own folder only"),
        ("open('/proc/self/maps')", "in its own folder only"),
        ("import os; os.remove('/etc/hostname')", "in its own folder only"),
        ("open('big', 'wb').write(bytes(2**25))", "File too large"),
        ("bytearray(2**40)", "MemoryError"),
        ("input()", "EOFError"),
    ],
)
@pytest.mark.skipif(os.name == "nt", reason="Windows has a time limit, and none of the others")
def test_what_an_exercise_may_not_do_is_said(ask, body, message):
    with pytest.raises(Lost, match=message):
        ask(f"def f():\n    {body}").f()


def test_what_an_exercise_may_do_works(ask):
    student = ask(
        "import tempfile, json, random, dataclasses, asyncio.events, decimal\nfrom numpy.polynomial import Polynomial\n"
        "def f():\n    open('a', 'w').write('x')\n    return open('a').read()\n"
        "def g():\n    import tinyllm\n    return float(tinyllm.Tensor(2.0).data)",
        modules=("tinyllm",),
    )
    assert student.f() == "x" and student.g() == 2.0
    for steal in ("import tinyllm.lessons", "from tinyllm import lessons"):
        with pytest.raises(Lost, match=r"tinyllm\.lessons has the solutions"):
            student.run(steal)
    with pytest.raises(Lost, match="folder only"):
        student.run("import importlib\nimportlib.import_module('tinyllm.lessons')")


def test_the_folder_is_empty_at_first_and_gone_afterwards(worker):
    with worker.session((), 10.0) as session:
        student = Student(session, "x")
        folder = student.run("import os\nprint('printed')\nresult = os.getcwd()")
        assert student.run("result = os.listdir()") == ["output"]
        assert os.path.isdir(folder) and session.output() == "printed\n"
        assert not {"USER", "SSH_AUTH_SOCK", "VIRTUAL_ENV"} & set(student.run("result = list(os.environ)"))
    assert not os.path.exists(folder)


def test_a_worker_whose_process_was_killed_makes_another(worker):
    with worker.session((), 10.0) as session:
        assert Student(session, "x").run("result = 1") == 1
    for fork in worker._forks.values():
        fork.process.kill()
        fork.process.wait()
    with worker.session((), 10.0) as session:
        assert Student(session, "x").run("result = 1") == 1


def test_without_a_fork_it_is_the_same(monkeypatch, tmp_path):
    monkeypatch.setattr("tinyllm.lessons.grading.sessions.FORKS", False)
    worker = Worker()
    with worker.session((), 10.0) as session:
        assert isinstance(session.process, _Direct)
        student = Student(session, "x")
        student.load([["a", "import numpy as np\ndef f(x):\n    print('hello')\n    return x + np.ones(2)", True]])
        assert student.f(1).tolist() == [2, 2] and session.output() == "hello\n"
    with worker.session((), 0.5) as session, pytest.raises(Ended, match=r"longer than 0\.5 s"):
        Student(session, "x").run("while True: pass")
    with worker.session((), 10.0) as session, pytest.raises(Ended, match="exit code 3"):
        Student(session, "x").run("import os; os._exit(3)")


def test_nothing_of_a_session_is_left_running(worker):
    with worker.session((), 10.0) as session:
        pid = Student(session, "x").run("import os\nresult = os.getpid()")
    with pytest.raises(ProcessLookupError):
        for _ in range(100):
            os.kill(pid, 0)
            time.sleep(0.01)


@given(
    st.lists(
        st.sampled_from(["value", "raised", "unfit"]) | st.text() | st.integers() | st.lists(st.text() | st.integers()),
        max_size=7,
    )
)
def test_any_reply_is_told_in_a_line_or_is_no_answer(reply):
    if not answers(reply):
        return
    for student in (Student(None, "x"), Student(None, "x").raises(ValueError)):
        try:
            student._value("f", reply)
        except Lost as error:
            assert "\n" not in str(error)


@pytest.mark.parametrize(
    "reply",
    [
        *([], ["value"], ["value", 1, 2], ["unfit"], ["unfit", 1], ["passed", 1], ["raised"]),
        *(["raised", [], "", "", 1, ""], ["raised", ["E", 1], "", "", 1, ""], ["raised", ["E"], "", "", None, ""]),
        ["raised", [np.ones(2)], "", "", 1, ""],
    ],
    ids=repr,
)
def test_a_malformed_reply_has_no_points(ask, reply):
    student = ask(
        "import os\n"
        "def f(data):\n    for i in range(3, 20):\n        try: os.write(i, data)\n        except OSError: pass"
    )
    data = io.BytesIO()
    wire.write(data, reply)
    with pytest.raises(Ended, match="no answer"):
        student.f(data.getvalue())
