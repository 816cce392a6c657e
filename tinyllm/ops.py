"""Differentiable functions that NumPy lacks, and the list of everything that has a derivative."""

from tinyllm.autograd.kernels import binary_cross_entropy_with_logits, cross_entropy_with_logits, embedding_lookup, lstm
from tinyllm.autograd.rules import (
    differentiable,
    log_softmax,
    logsumexp,
    relu,
    scatter_add,
    sigmoid,
    softmax,
    softplus,
)

__all__ = [
    "binary_cross_entropy_with_logits",
    "cross_entropy_with_logits",
    "differentiable",
    "embedding_lookup",
    "log_softmax",
    "logsumexp",
    "lstm",
    "relu",
    "scatter_add",
    "sigmoid",
    "softmax",
    "softplus",
]
