"""Writing: from a model's scores to the next token, and on to texts, streams of text and the most probable texts."""

from tinyllm.generation.beams import Beam, beam_search
from tinyllm.generation.explaining import Candidate, Step
from tinyllm.generation.sampling import Sampling, distinct, distribution, sample
from tinyllm.generation.writing import Generated, Stream, generate, stream

__all__ = [
    "Beam",
    "Candidate",
    "Generated",
    "Sampling",
    "Step",
    "Stream",
    "beam_search",
    "distinct",
    "distribution",
    "generate",
    "sample",
    "stream",
]
