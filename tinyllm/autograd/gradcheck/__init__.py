"""Is a gradient right? And if not, what is wrong with it?"""

from tinyllm.autograd.gradcheck.check import gradcheck
from tinyllm.autograd.gradcheck.report import Argument, Report

__all__ = ["Argument", "Report", "gradcheck"]
