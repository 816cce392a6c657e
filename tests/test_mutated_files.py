"""A small sample of tests/mutated_files.py, which reads thousands."""

import pytest

pytest.importorskip("h5py")


def test_sixty_changed_files_do_no_harm_and_no_changed_byte_is_accepted():
    from tests.mutated_files import run, wrong

    found = list(run(60, seed=1))
    assert not [each for each in found if wrong(each)]
    assert sum(each.outcome == "refused" for each in found) > 40
