"""Running a lesson as a script; the command line's tests run a real one."""

import subprocess
import sys

import pytest

FIGURES = """
import matplotlib.pyplot as plt
plt.plot([1, 2])
plt.figure()
plt.show()
plt.plot([2, 1])
plt.show()
print("open:", plt.get_fignums())
"""


def test_every_figure_that_is_shown_is_saved_under_a_number_of_its_own(tmp_path):
    pytest.importorskip("matplotlib")
    (tmp_path / "05_waves.py").write_text(FIGURES)
    command = [sys.executable, "-m", "tinyllm.lessons.script", str(tmp_path / "05_waves.py"), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    names = [f"05_waves_{i}.png" for i in (1, 2, 3)]
    assert done.stdout.splitlines() == [*(f"saved {tmp_path / name}" for name in names), "open: []"]
    assert sorted(path.name for path in tmp_path.glob("*.png")) == names
