"""What the paper's command line does: train MEND for one's own model, and edit with it."""

import argparse

from papers.mend.method import Mend
from shared.learning.learned_commands import edit_with, train_one

SMALL = {"rank": 256, "rate": 1e-3, "rate_lr": 1e-4}
FASTER = {"steps": 200, "lr": 1e-4, "validate_every": 20, "validation_edits": 20}


def train(options: argparse.Namespace) -> None:
    """Train MEND; settings that are not given are those for small models."""
    train_one(options, lambda lm, modules, settings: Mend(lm, modules, **SMALL | dict(settings)), FASTER)


def edit(options: argparse.Namespace) -> None:
    """Edit one input, or the inputs of a file together."""
    edit_with(options)
