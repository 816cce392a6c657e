"""The engine: Tensor, the table of derivatives, the backward walk, fused kernels, the gradient checker."""

from tinyllm.autograd import kernels, network, rules
from tinyllm.autograd.gradcheck import gradcheck
from tinyllm.autograd.graph import no_grad
from tinyllm.autograd.tensor import Tensor
from tinyllm.autograd.transforms import grad, hessian, hvp, jacobian, jvp, value_and_grad, vjp

__all__ = [
    "Tensor",
    "grad",
    "gradcheck",
    "hessian",
    "hvp",
    "jacobian",
    "jvp",
    "kernels",
    "network",
    "no_grad",
    "rules",
    "value_and_grad",
    "vjp",
]
