"""Scores of our own: what an evaluator says of a call."""
