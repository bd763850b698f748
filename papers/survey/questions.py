"""Edit an encoder-decoder's answers by all methods in one process: rows of all answers, and costs.

    python -m papers.survey.questions --model results/models/world-qa \\
        --records counterfact=results/data/counterfact.json --facts results/data/facts.json \\
        --held-out zsre_validation.jsonl --trained zsre_train.jsonl --register papers.mend.method \\
        --job '{"cases": 60}' --methods '{"none": {}, "mend": {"how": "trained", "file": "mend.safetensors"}}' \\
        --out rows.jsonl --costs costs.jsonl --known known.json

What is edited: facts that no trained editor has seen, and that the model answers rightly before (`questions_cases`).
"""

import argparse
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from papers.survey.contract import FORMS, batch_protocol
from papers.survey.costs import measured, time_single
from papers.survey.findings import Findings
from papers.survey.listening import all_probes, few_probes
from papers.survey.protocols import Carrier, blocks
from papers.survey.questions_asking import QuestionListener
from papers.survey.questions_cases import question_cases
from papers.survey.questions_methods import MemoryEdit, make_question_method
from shared import runtime
from shared.data.probes import Probe, ProbeRow
from shared.data.requests import Case
from shared.editing.edit_cases import import_methods
from shared.editing.editors import Editor
from shared.edits.deltas import UNEDITED
from shared.errors import ConfigError, reported
from shared.model.lean import fused_gelu
from shared.model.models import load_model
from shared.records import write_json, write_jsonl
from shared.world.factbook import FactBook

log = logging.getLogger(__name__)
SINGLE, BATCH, SEQUENCE = KINDS = ("single", "batch", "sequence")
Asked = Callable[[Case], list[Probe]]


@dataclass(frozen=True)
class Job:
    """What is done with the methods.

    Attributes:
        cases: single edits.
        block: those that are made and asked together.
        batches: sizes of batches; every case available up to the largest one is in one batch of each size.
        checkpoints: after how many edits of a sequence all cases so far are asked, in ascending order.
        batch_forms, sequence_forms: forms that batches and sequences are made in.
        limits: the longest sequence of a method, where it has one.
        timed: single edits whose seconds and memory are measured.
        new_tokens: most tokens of a free answer.
        max_tokens: bound on the padded tokens of one pass.
    """

    cases: int = 60
    block: int = 60
    batches: Sequence[int] = ()
    checkpoints: Sequence[int] = ()
    batch_forms: Sequence[str] = FORMS
    sequence_forms: Sequence[str] = FORMS
    limits: Mapping[str, int] = field(default_factory=dict)
    timed: int = 3
    new_tokens: int = 8
    max_tokens: int = 8192

    def __post_init__(self) -> None:
        counts = (self.cases, self.block, self.timed, self.new_tokens, self.max_tokens)
        if min([*counts, *self.batches, *self.checkpoints]) < 1:
            raise ConfigError("job: every number is at least 1")

    @property
    def wanted(self) -> int:
        """Cases that the largest part of the job takes."""
        return max([self.cases, *self.batches, *self.checkpoints])


def ask_singles(listener: QuestionListener, name: str, editor: Editor, cases: Sequence[Case], block: int) -> list:
    """Edit each case on its own, from the unedited model, and return the rows of all its probes."""
    rows = []
    for chosen in blocks(cases, block):
        edits = editor.edit_each(listener.lm, [case.request for case in chosen])
        asked = [(probe, index) for index, case in enumerate(chosen) for probe in all_probes(case)]
        probes, owners = zip(*asked, strict=True)
        rows += listener.ask(probes, name, SINGLE, edits, owners)
    return rows


def ask_batch(listener: QuestionListener, name: str, editor: Editor, cases: Sequence[Case], n: int) -> list[ProbeRow]:
    """Edit blocks of `n` cases together, each from the unedited model, and return the rows of each block's probes."""
    groups = blocks(cases[: len(cases) // n * n], n)
    if n == 1:
        edits = editor.edit_each(listener.lm, [case.request for case in cases])
    else:
        edits = [editor.edit(listener.lm, [case.request for case in group]) for group in groups]
    asked = [(probe, index) for index, group in enumerate(groups) for case in group for probe in few_probes(case)]
    probes, owners = zip(*asked, strict=True)
    return listener.ask(probes, name, batch_protocol(n), edits, owners)


def ask_sequence(
    listener: QuestionListener, name: str, editor: Editor, cases: Sequence[Case], checkpoints: Sequence[int]
) -> list[ProbeRow]:
    """Edit one case after another in one model that keeps every edit.

    Returns:
        rows of `sequence:immediate` (each case right after its own edit) and of `sequence:checkpoint:<T>`.
    """
    rows = []
    with Carrier(listener.lm, name, editor) as carrier:
        for place, case in enumerate(cases[: max(checkpoints)], start=1):
            edit = carrier.carry(case)
            # Weights and neurons are in the model already; a memory stands beside it.
            held = [edit if isinstance(edit, MemoryEdit) else UNEDITED]
            rows += _asked_now(listener, name, "sequence:immediate", held, [case])
            if place in checkpoints:
                rows += _asked_now(listener, name, f"sequence:checkpoint:{place}", held, cases[:place])
    return rows


def _asked_now(listener: QuestionListener, name: str, protocol: str, held: list, cases: Sequence[Case]) -> list:
    probes = [probe for case in cases for probe in few_probes(case)]
    return listener.ask(probes, name, protocol, held, [0] * len(probes))


def run_method(
    job: Job, listener: QuestionListener, name: str, editor: Editor, cases: Sequence[Case], protocols: Sequence[str]
) -> Findings:
    """Run one method in one form."""
    lm, form, found = listener.lm, listener.form, Findings()
    if SINGLE in protocols:
        if name != "none":
            timed = [case.request for case in cases[: job.timed]]
            found.cost(form, name, SINGLE, *time_single(lm, editor, timed))
        found.rows += ask_singles(listener, name, editor, cases[: job.cases], job.block)
    if BATCH in protocols and form in job.batch_forms:
        most = max(job.batches, default=0)
        for n in (n for n in job.batches if n <= len(cases)):
            requests = [case.request for case in cases[:n]]
            _, seconds, peak = measured(lm, lambda chosen=requests: editor.edit(lm, chosen))
            found.cost(form, name, batch_protocol(n), seconds / n, peak)
            found.rows += ask_batch(listener, name, editor, cases[:most], n)
    longest = min(len(cases), job.limits.get(name, len(cases)))
    checkpoints = [count for count in job.checkpoints if count <= longest]
    if SEQUENCE in protocols and form in job.sequence_forms and checkpoints:
        found.rows += ask_sequence(listener, name, editor, cases, checkpoints)
    return found


def _named(text: str) -> tuple[str, Path]:
    form, _, path = text.partition("=")
    if form not in FORMS or not path:
        raise argparse.ArgumentTypeError(f"{text!r}: expected FORM=FILE with a form of {', '.join(FORMS)}")
    return form, Path(path)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m papers.survey.questions", description=__doc__.split("\n")[0])
    parser.add_argument("--model", required=True, help="folder or hub id of an encoder-decoder")
    parser.add_argument("--records", type=_named, nargs="+", required=True, metavar="FORM=FILE")
    parser.add_argument("--facts", type=Path, help="fact book of the records; without it there are no families")
    parser.add_argument("--held-out", type=Path, required=True, help="zsRE file of the trained editors' test")
    parser.add_argument("--trained", type=Path, required=True, help="zsRE file of their training")
    parser.add_argument("--register", nargs="+", default=[], help="modules that register trained and direct methods")
    parser.add_argument("--job", type=json.loads, required=True, help="JSON object: the fields of Job")
    parser.add_argument(
        "--methods", type=json.loads, required=True, help="JSON object: method → settings, and `protocols` it is run in"
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", choices=["float32", "bfloat16", "float16"], default="float32")
    parser.add_argument("--out", type=Path, required=True, help="rows to write, JSON lines")
    parser.add_argument("--costs", type=Path, required=True, help="costs to write, JSON lines")
    parser.add_argument("--known", type=Path, required=True, help="how many facts the model knew, JSON")
    return parser


@reported(log)
def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    options = _parser().parse_args(arguments)
    device = runtime.start(options.threads, options.device)
    job = Job(**options.job)
    import_methods(options.register, [])
    lm = load_model(options.model, kind="seq2seq", dtype=getattr(torch, options.dtype), device=device)
    book = FactBook.load(options.facts) if options.facts else None
    found, known = Findings(), {}
    with fused_gelu(lm):
        for form, path in options.records:
            drawn = question_cases(
                lm,
                form,
                records=path,
                book=book,
                held_out=options.held_out,
                trained=options.trained,
                count=job.wanted,
            )
            known[form] = {"held_out": drawn.held_out, "known": drawn.known, "edited": len(drawn.cases)}
            listener = QuestionListener(lm, form, max_tokens=job.max_tokens, new_tokens=job.new_tokens)
            found.rows += listener.introduce([probe for case in drawn.cases for probe in all_probes(case)])
            for name, given in options.methods.items():
                log.info("%s on %d cases of %s", name, len(drawn.cases), form)
                found.extend(run_one(job, listener, name, given, drawn.cases, drawn.pool))
    write_jsonl(options.out, (row.to_json() for row in found.rows))
    write_jsonl(options.costs, found.costs)
    write_json(options.known, known)


def run_one(
    job: Job,
    listener: QuestionListener,
    name: str,
    given: Mapping[str, Any],
    cases: Sequence[Case],
    pool: Sequence[Case],
) -> Findings:
    """Build a method from its settings, of which `protocols` says what it is run in, and run it."""
    settings = {key: value for key, value in given.items() if key != "protocols"}
    protocols = given.get("protocols", [SINGLE])
    if unknown := sorted(set(protocols) - set(KINDS)):
        raise ConfigError(f"method {name!r}: protocols {unknown} are unknown; expected some of {', '.join(KINDS)}")
    editor = make_question_method(listener.lm, name, settings, pool)
    return run_method(job, listener, name, editor, cases, protocols)


if __name__ == "__main__":
    main()
