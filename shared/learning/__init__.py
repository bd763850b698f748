"""Editors that are trained: their tasks, their training, and what they do to a model."""
