"""Seeing the recorded computation: a picture of the graph, and the backward walk one node at a time."""

from tinyllm.visualize.drawing import Box, Graph, graph
from tinyllm.visualize.stepping import Contribution, Step, Trace, trace

__all__ = ["Box", "Contribution", "Graph", "Step", "Trace", "graph", "trace"]
