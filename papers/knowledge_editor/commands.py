"""What the paper's command line does: train KnowledgeEditor for one's own model, and edit with it."""

import argparse

from papers.knowledge_editor.method import KnowledgeEditor
from shared.learning.learned_commands import edit_with, train_one

SMALL = {"lstm_hidden": 64, "hidden": 64, "condition": 128}
FASTER = {"steps": 250, "lr": 1e-3, "edit_weight": 0.25, "validate_every": 25, "validation_edits": 20}


def train(options: argparse.Namespace) -> None:
    """Train KnowledgeEditor; settings that are not given are those for small models."""
    train_one(options, lambda lm, modules, settings: KnowledgeEditor(lm, modules, **SMALL | dict(settings)), FASTER)


def edit(options: argparse.Namespace) -> None:
    """Edit one input."""
    edit_with(options)
