"""Experiments: small programs that show what a gradient, a checker or an optimizer does, with a picture each.

Each is a function; what it returns prints as a table, shows its picture in a notebook, and gives the picture with
.plot(), the numbers with .to_dict(). All of them with their pictures: docs/experiments.md.
"""

from tinyllm.experiments.capacity import capacity_sweep
from tinyllm.experiments.descent import WeightPath, clipping, landscape, record_path
from tinyllm.experiments.differences import cancellation, kinks, step_size
from tinyllm.experiments.flow import depth, gradient_flow, sequence_length
from tinyllm.experiments.norms import gradient_norms

__all__ = [
    "WeightPath",
    "cancellation",
    "capacity_sweep",
    "clipping",
    "depth",
    "gradient_flow",
    "gradient_norms",
    "kinks",
    "landscape",
    "record_path",
    "sequence_length",
    "step_size",
]
