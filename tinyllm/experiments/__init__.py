"""Experiments: small programs that show what a gradient, a checker or an optimizer does."""
