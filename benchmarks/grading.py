"""What grading a class costs, and whether a run that is killed half way goes on to the same grades.

    python benchmarks/grading.py [--jobs 2]

100 submissions of four exercises each, scripts and notebooks: solutions, untouched files, seeded mistakes, mixtures,
and ten that leave, die, eat memory or write to the pipe. They are graded, then again in a copy of the folder where the
grader is killed (kill -9) after 50 and started anew.
"""

import argparse
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tinyllm.lessons.grading.exercises import Exercise, Library
from tinyllm.lessons.grading.student_files import student_notebook, student_script

MISCHIEF = (
    "import sys; sys.exit(0)",
    "import os; os._exit(0)",
    "import os; os.abort()",
    "eaten = [np.empty(2**25) for _ in range(1000)]",
    "import os\nfor i in range(3, 99):\n    try: os.write(i, b'passed')\n    except OSError: pass",
)
KINDS = ("solution", "stub", "mistake", "mistake", "mistake", "mixed", "mixed", "mixed", "solution", "mischief")


def answer(exercise: Exercise, kind: str, rng: random.Random) -> str:
    if kind == "mixed":
        kind = rng.choice(KINDS[:3])
    if kind == "mistake":
        return rng.choice(exercise.mistakes)[1].applied(exercise.solution)
    return {
        "solution": exercise.solution,
        "stub": exercise.stub,
        "mischief": f"{exercise.stub}\n{rng.choice(MISCHIEF)}",
    }[kind]


def write_class(folder: Path) -> None:
    rng, library = random.Random(0), Library()
    folder.mkdir()
    for i in range(100):
        lesson = library.lesson(("01", "02")[i % 2])
        make, suffix = (student_notebook, "ipynb") if i % 3 == 0 else (student_script, "py")
        text = make(lesson, "en", lambda exercise, i=i: answer(exercise, KINDS[i // 2 % 10], rng))
        (folder / f"student_{i:02}.{suffix}").write_text(text, encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description="Grade 100 submissions; kill the grader half way.")
    parser.add_argument("--jobs", default="2", help="submissions at a time (default: %(default)s)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        first, second = Path(folder, "first"), Path(folder, "second")
        tables = []
        for place in (first, second):
            write_class(place)
            command = [sys.executable, "-m", "tinyllm", "grade", str(place), "--csv", "--jobs", options.jobs]
            if place is second:
                with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as run:
                    for _ in range(50):
                        run.stderr.readline()
                    run.kill()
                print(f"killed with {len(list(place.glob('grades/*.json')))} of 100 graded")
            began = time.perf_counter()
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            known = done.stderr.count("(known)")
            print(f"graded {100 - known} in {time.perf_counter() - began:.1f} s, {known} known before")
            tables.append(done.stdout)
        print("the same grades" if tables[0] == tables[1] else "OTHER GRADES")


if __name__ == "__main__":
    main()
