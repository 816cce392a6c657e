"""tinyllm: understand a language model by reading, breaking and checking one. Pure NumPy."""

from tinyllm.autograd import Tensor, gradcheck, no_grad

__all__ = ["Tensor", "gradcheck", "no_grad"]
__version__ = "0.1.0"
