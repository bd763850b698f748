"""Edit the survey's cases by several methods in one process: rows of all answers, costs, and sequences' numbers.

    python -m papers.survey.edit_cases --model results/models/world-small --moments world-small.safetensors \\
        --records counterfact=records.jsonl --pools counterfact=pool.jsonl --others counterfact=others.jsonl \\
        --job '{"protocol": "single", "cases": 60}' \\
        --methods '{"rome": {}, "mend": {"file": {"counterfact": "mend.safetensors"}}}' --out rows.jsonl \\
        --costs costs.jsonl --sequences sequences.jsonl

A method whose setting `file` is a mapping takes the file of each form, and is not run in a form without one.
"""

import argparse
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from papers.survey.contract import batch_protocol
from papers.survey.costs import time_single
from papers.survey.findings import Findings
from papers.survey.listening import Listener, all_probes, few_probes
from papers.survey.methods import CONTROL, CONTROLLED, Remembering, make_method
from papers.survey.protocols import batch, sequence, single, text_entropy
from papers.survey.records import cases_of, read_survey
from shared import runtime
from shared.data.requests import Case
from shared.editing.editors import Editor
from shared.editing.evaluate import EvaluationOptions
from shared.errors import ConfigError, reported
from shared.model.models import LM, load_lm
from shared.records import write_jsonl

log = logging.getLogger(__name__)
PROTOCOLS = ("single", "batch", "sequence")


@dataclass(frozen=True)
class Job:
    """What one process does with each of its methods, in each form.

    Attributes:
        protocol: `single`, `batch` or `sequence`.
        cases: test cases that are edited.
        others: by form, how many further facts a batch may edit beside them, which are not asked about.
        in_blocks: of these, so many are edited in batches that are smaller.
        sizes: of batches; or checkpoints of a sequence, in ascending order.
        limits: the largest of these sizes for a method, where it has one.
        timed: single edits whose seconds and memory are measured.
        block: cases that single edits are made and asked in together.
        text_every, text_length: texts of a sequence, see `protocols.sequence`.
        new_tokens: most tokens of a free answer.
        max_tokens: bound on the padded tokens of one pass.
    """

    protocol: str
    cases: int
    sizes: Sequence[int] = ()
    others: Mapping[str, int] = field(default_factory=dict)
    limits: Mapping[str, int] = field(default_factory=dict)
    in_blocks: int = 40
    timed: int = 2
    block: int = 20
    text_every: int = 10
    text_length: int = 60
    new_tokens: int = 12
    max_tokens: int = 4096

    def __post_init__(self) -> None:
        if self.protocol not in PROTOCOLS:
            raise ConfigError(f"job protocol {self.protocol!r}: expected one of {', '.join(PROTOCOLS)}")
        if (self.protocol == "single") == bool(self.sizes):
            raise ConfigError(f"job sizes {list(self.sizes)}: batches and sequences need some, single edits none")
        if self.others and self.protocol != "batch":
            raise ConfigError(f"job others {dict(self.others)}: only batches edit facts that are not asked about")

    def sizes_of(self, method: str, available: int) -> list[int]:
        """Return the sizes that a method is run at, given so many cases."""
        return [size for size in self.sizes if size <= min(self.limits.get(method, available), available)]

    def blocks_of(self, size: int, cases: Sequence[Case]) -> Sequence[Case]:
        """Return the cases that are edited in batches of a size: whole batches, one at least."""
        return cases[: max(size, self.in_blocks // size * size)]


@dataclass(frozen=True)
class Material:
    """The cases of a form.

    Attributes:
        cases: edited and asked about.
        pool: what methods may learn from.
        others: edited beside the cases in large batches, and not asked about.
    """

    cases: list[Case]
    pool: list[Case] = field(default_factory=list)
    others: list[Case] = field(default_factory=list)


def settings_in(form: str, given: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return a method's settings in a form: the trained file of the form, or None where there is none for it."""
    own = dict(given)
    if isinstance(own.get("file"), Mapping):
        own["file"] = own["file"].get(form)
        return None if own["file"] is None else own
    return own


def run_method(job: Job, listener: Listener, name: str, editor: Editor, given: Material, found: Findings) -> None:
    """Run one method in one form."""
    lm, form, cases = listener.lm, listener.form, given.cases
    if job.protocol == "single":
        if name not in ("none", CONTROL):
            seconds, peak = time_single(lm, editor, [case.request for case in cases[: job.timed]])
            found.cost(form, name, "single", seconds, peak)
        found.rows += single(listener, name, editor, cases, all_probes, job.block)
    elif job.protocol == "batch":
        known, edited = {case.case_id for case in cases}, [*cases, *given.others[: job.others.get(form, 0)]]
        for size in job.sizes_of(name, len(edited)):
            costs: list[tuple[float, float]] = []
            found.rows += batch(
                listener,
                name,
                editor,
                job.blocks_of(size, edited if size > len(cases) else cases),
                lambda case: few_probes(case) if case.case_id in known else [],
                size,
                costs,
            )
            seconds, peaks = zip(*costs, strict=True)
            found.cost(form, name, batch_protocol(size), sum(seconds) / len(seconds), max(peaks))
    else:
        _run_sequence(job, listener, name, editor, cases, found)


def _run_sequence(job: Job, listener: Listener, name: str, editor: Editor, cases: list[Case], found: Findings) -> None:
    checkpoints = job.sizes_of(name, len(cases))
    texts = {"text_every": job.text_every, "text_length": job.text_length}
    made = sequence(listener, name, editor, cases, few_probes, checkpoints=checkpoints, **texts)
    found.rows += made.rows
    found.sequences += [{"form": listener.form, "editor": name} | line for line in made.edits]


def run_form(
    job: Job,
    lm: LM,
    form: str,
    methods: Mapping[str, Any],
    given: Material,
    moments: Path | None,
    settings_of: str | None = None,
) -> Iterator[Findings]:
    """Yield what each method leaves in one form, after the answers of the unedited model.

    Args:
        settings_of: the model whose settings in the methods' rooms hold for this one; its own if absent.
    """
    cases = given.cases
    listener = Listener(lm, form, EvaluationOptions("survey", max_tokens=job.max_tokens), job.new_tokens)
    asked = all_probes if job.protocol == "single" else few_probes
    yield Findings(rows=listener.introduce([probe for case in cases for probe in asked(case)]))
    if job.protocol == "sequence":
        texts = [text_entropy(lm, case, job.text_length) for case in cases[:: job.text_every]]
        line = {"form": form, "editor": "none", "edits": 0, "norm_growth": 0.0, "update_norm": 0.0}
        yield Findings(sequences=[line | {"entropy": sum(texts) / len(texts)}])
    controlled = None
    for name, own in sorted(methods.items(), key=lambda item: item[0] == CONTROL):  # the control comes last
        settings = settings_in(form, own)
        if settings is None:
            log.warning("%s has no trained file for %s: not run", name, form)
            continue
        found = Findings()
        log.info("%s on %d cases of %s", name, len(cases), form)
        place = {"moments": moments, "pool": given.pool, "settings_of": settings_of}
        editor = make_method(lm, name, settings, controlled=controlled, **place)
        if name == CONTROLLED and CONTROL in methods and job.protocol == "single":
            editor = controlled = Remembering(editor)
        run_method(job, listener, name, editor, given, found)
        yield found


def _named(text: str) -> tuple[str, Path]:
    form, _, path = text.partition("=")
    return form, Path(path)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m papers.survey.edit_cases", description=__doc__.split("\n")[0])
    parser.add_argument("--model", required=True, help="folder or hub id of a decoder")
    parser.add_argument("--moments", type=Path, help="second moments of the model's keys")
    parser.add_argument("--records", type=_named, nargs="+", required=True, metavar="FORM=FILE")
    parser.add_argument("--pools", type=_named, nargs="+", required=True, metavar="FORM=FILE")
    parser.add_argument("--others", type=_named, nargs="+", default=[], metavar="FORM=FILE")
    parser.add_argument("--settings-of", help="model whose settings in the methods' rooms are taken, if not its own")
    parser.add_argument("--job", type=json.loads, required=True, help="JSON object: the fields of Job")
    parser.add_argument("--methods", type=json.loads, required=True, help="JSON object: method → settings")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", choices=["float32", "bfloat16", "float16"], default="float32")
    parser.add_argument("--out", type=Path, required=True, help="rows to write, JSON lines")
    parser.add_argument("--costs", type=Path, required=True, help="costs to write, JSON lines")
    parser.add_argument("--sequences", type=Path, required=True, help="numbers of each edit of a sequence, JSON lines")
    return parser


@reported(log)
def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    options = _parser().parse_args(arguments)
    device = runtime.start(options.threads, options.device)
    job = Job(**options.job)
    lm = load_lm(options.model, dtype=getattr(torch, options.dtype), device=device)
    pools, others, all_found = dict(options.pools), dict(options.others), Findings()
    for form, path in options.records:
        more = read_survey(others[form]) if form in job.others else []
        given = Material(cases_of(read_survey(path)[: job.cases]), cases_of(read_survey(pools[form])), cases_of(more))
        for found in run_form(job, lm, form, options.methods, given, options.moments, options.settings_of):
            all_found.extend(found)
    write_jsonl(options.out, (row.to_json() for row in all_found.rows))
    write_jsonl(options.costs, all_found.costs)
    write_jsonl(options.sequences, all_found.sequences)


if __name__ == "__main__":
    main()
