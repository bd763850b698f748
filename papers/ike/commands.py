"""What the paper's command line does: edit one fact by context, export that context, evaluate a file of cases."""

import argparse

from papers.ike import PAPER
from papers.ike.editor import IkeEditor
from shared.data.requests import Case, read_counterfact, read_requests
from shared.editing import command
from shared.editing.command import load, say
from shared.model.models import LM
from shared.records import write_text

READERS = {"counterfact": read_counterfact, "requests": read_requests}
# What the shared command line knows besides and an edit by context does not have.
NOT_SAVED = {"save_edit": None, "save_adapter": None, "save_model": None}


def read_pool(options: argparse.Namespace) -> list[Case]:
    """Return the records that demonstrations are taken from."""
    return [] if options.pool is None else READERS[options.pool_format](options.pool)


def build_editor(options: argparse.Namespace, lm: LM) -> IkeEditor:
    """Return the editor that the options describe.

    Raises:
        ConfigError: demonstrations are wanted, and there is no pool.
    """
    encoder = options.encoder if options.encoder == "tfidf" else {"model": options.encoder, "device": options.device}
    return IkeEditor(
        read_pool(options),
        k=options.k,
        ratio=options.ratio,
        order=options.order,
        selection=options.selection,
        append_target_copy=not options.without_target_copy,
        encoder=encoder,
        overflow=options.overflow,
        seed=options.seed,
    )


def edit(options: argparse.Namespace) -> None:
    """Edit one fact; show the model's answers before and after."""
    command.edit(argparse.Namespace(**vars(options) | NOT_SAVED, editor="ike"), build_editor, paper=PAPER.key)


def export(options: argparse.Namespace) -> None:
    """Write the context of one edit; a prompt goes directly behind it."""
    request = command.request_of(options)
    made = build_editor(options, lm := load(options)).edit(lm, [request])
    write_text(options.out, made.context)
    say(f"{options.out}: {made.info['demonstrations']} demonstrations, {made.info['context_tokens']} tokens")


def evaluate(options: argparse.Namespace) -> None:
    """Edit the cases of a file, ask the paper's questions before and after, and print the metrics."""
    settings = {"dataset": "counterfact", "protocol": "single", "editor": "ike"}
    command.evaluate(argparse.Namespace(**vars(options) | settings), build_editor)
