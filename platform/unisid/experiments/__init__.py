"""Experiments: many methods on one catalogue, under several seeds, in one table; docs/decisions/0005-experiments.md."""
