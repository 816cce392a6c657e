"""Exercises that cannot be fooled: the student's code runs in a process of its own, every comparison in the grader's.

A file of exercises imports from here; docs/exercises.md has its form.
"""

from tinyllm.lessons.grading.declarations import Check, Mistake, check
from tinyllm.lessons.grading.helpers import Lost, close, expect, laboratory, same

__all__ = ["Check", "Lost", "Mistake", "check", "close", "expect", "laboratory", "same"]
