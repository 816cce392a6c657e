"""Submissions that try to get points without an answer, made for any exercise."""

import ast
from collections.abc import Iterator

from tinyllm.lessons.grading.exercises import FOLDER, Exercise

__all__ = ["TRIVIAL", "batches", "constant", "endless", "tampered"]

TRIVIAL = ["0.0", "1", "args[0]", "args[-1]", "np.zeros_like(args[0])"]

LIAR = """
class Liar(np.ndarray):
    def _yes(self, *args, **kwargs):
        return True
    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = __bool__ = __contains__ = _yes
    __array__ = __array_ufunc__ = __array_function__ = _yes

class Text(str):
    __hash__ = str.__hash__
    def __eq__(self, other):
        return True
"""

# What every function of the exercise does instead of answering; and what is done before, with a wrong answer after it.
INSIDE = {
    "leaves with SystemExit": "raise SystemExit(0)",
    "leaves without a word": "import os; os._exit(0)",
    "aborts": "import os; os.abort()",
    "calls itself": "return answer(*args)",
    "kills its process group": "import os, signal; os.killpg(0, signal.SIGKILL)",
    "returns what equals everything": "return np.zeros(3).view(Liar)",
    "returns text that equals everything": "return Text('passed')",
    "returns an object": "return object()",
    "returns itself, nested for ever": "loop = []; loop.append(loop); return loop",
    "returns 100 MB": "return np.zeros(100_000_000, np.uint8)",
    "eats memory": "eaten = [np.empty(2**25) for _ in range(100_000)]",
    "writes to every descriptor": """import os
    for descriptor in range(256):
        try: os.write(descriptor, b'passed' * 100)
        except OSError: pass""",
    "forges answers": """import os, json
    data = json.dumps(['value', True]).encode()
    for descriptor in range(256):
        try: os.write(descriptor, (len(data).to_bytes(4, 'big') + data) * 20)
        except OSError: pass""",
    "closes every descriptor": "import os; os.closerange(0, 256)",
}
FIRST = {
    "overwrites NumPy": """import numpy
for name in ('allclose', 'isclose', 'array_equal', 'all', 'any', 'shape'):
    setattr(numpy, name, lambda *args, **kwargs: True)""",
    "overwrites builtins": """import builtins
for name in ('abs', 'all', 'any', 'max', 'float', 'isinstance', 'AssertionError'):
    setattr(builtins, name, lambda *args, **kwargs: True)""",
    "says that it passed": """print('passed', '100 %')
check = same = close = expect = lambda *args, **kwargs: True""",
    "ends with exit code 0": "import sys\nsys.exit(0)",
    "ends without a word": "import os\nos._exit(0)",
    "changes its frame": """import sys
frame = sys._getframe(2)
frame.f_globals['told'] = frame.f_globals['answer'] = lambda *_: ['value', True]""",
}
STOLEN = {  # ways to the solutions
    "imports the solutions": """from tinyllm.lessons.grading.exercises import Library
source = Library().exercise(NUMBER).solution""",
    "imports them by name": """import importlib
source = importlib.import_module('tinyllm.lessons.grading.exercises').Library().exercise(NUMBER).solution""",
    "reads them": "source = open(PATH).read()",
    "lets another process read them": """import subprocess
source = subprocess.run(['cat', PATH], capture_output=True, text=True).stdout""",
}
ALWAYS = [
    *("leaves with SystemExit", "kills its process group", "eats memory", "writes to every descriptor"),
    *("overwrites NumPy", "overwrites builtins", "says that it passed", "ends with exit code 0", "ends without a word"),
    "imports the solutions",
]


def constant(exercise: Exercise, value: str) -> str:
    """Everything that the exercise's cell defines returns this."""
    return f"{LIAR}\ndef answer(*args, **kwargs):\n    return {value}\n{_given(exercise, 'answer')}"


def endless(exercise: Exercise) -> str:
    return f"def answer(*args, **kwargs):\n    while True: pass\n{_given(exercise, 'answer')}"


def tampered(exercise: Exercise, tamper: str) -> str:
    """An answer that does this."""
    if tamper in STOLEN:
        path = FOLDER / f"lesson_{exercise.number[:2]}.py"
        steal = STOLEN[tamper].replace("NUMBER", repr(exercise.number)).replace("PATH", repr(str(path)))
        return f"{exercise.stub}\n{steal}\nexec(source)"
    if tamper in FIRST:
        return f"{FIRST[tamper]}\n{constant(exercise, 'np.full(3, 12345.678)')}"
    return f"{LIAR}\ndef answer(*args, **kwargs):\n    {INSIDE[tamper]}\n{_given(exercise, 'answer')}"


def _given(exercise: Exercise, value: str) -> str:
    """Every name that the solution's cell defines, given to something else."""
    names = set()
    for node in ast.parse(exercise.solution).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names |= {each.id for target in node.targets for each in ast.walk(target) if isinstance(each, ast.Name)}
    return "\n".join(f"{name} = {value}" for name in sorted(names))


def batches(exercises: int) -> Iterator[tuple[int, dict[int, str]]]:
    """Submissions: which exercise is solved, and what is done to the others.

    Every exercise suffers every tamper of ALWAYS, and every lesson all the others.
    """
    others = [each for each in (*INSIDE, *FIRST, *STOLEN) if each not in ALWAYS]
    waiting = {i: [*ALWAYS, *others[i::exercises]] for i in range(exercises)}
    k = 0
    while any(waiting.values()):
        solved = k % exercises
        yield solved, {i: waiting[i].pop() for i in waiting if i != solved and waiting[i]}
        k += 1
