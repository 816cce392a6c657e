"""Inputs at which a wrong gradient looks right: what a check at such a point cannot have seen."""

from collections.abc import Iterator

import numpy as np

from tinyllm.autograd.gradcheck.subjects import Subject

__all__ = ["blind_spots"]


def blind_spots(subject: Subject) -> Iterator[str]:
    """One sentence for each; for gradients that were written by hand, where such inputs are usually an accident."""
    for place, name, x in zip(range(len(subject.arrays)), subject.names, map(np.asarray, subject.arrays)):
        if x.dtype.kind in "iu" and x.size > 1 and len(np.unique(x)) == x.size:
            yield f"no number in {name} repeats: if these are indices, gradients that overwrite each other do not show"
        if place not in subject.places:
            continue
        if x.ndim > 1 and x.shape[0] == 1:
            yield f"axis 0 of {name} has length 1: a sum or a 1/N missing there does not show; use 2 rows or more"
        if x.ndim == 2 and len(x) > 1 and x.shape[0] == x.shape[1] and np.array_equal(x, x.T):
            yield f"{name} is symmetric: a missing transpose does not show"
        elif x.ndim > 1 and x.size > 1 and np.ptp(x) == 0:
            yield f"all elements of {name} are equal: rows or columns that are mixed up may not show"
