"""The engine: Tensor, the table of derivatives, the backward walk, fused kernels, the gradient checker."""

from tinyllm.autograd import kernels, network, rules
from tinyllm.autograd.gradcheck import gradcheck
from tinyllm.autograd.graph import no_grad
from tinyllm.autograd.tensor import Tensor

__all__ = ["Tensor", "gradcheck", "kernels", "network", "no_grad", "rules"]
