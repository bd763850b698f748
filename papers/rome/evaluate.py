"""Edit cases one at a time with several editors and ask each edited model the paper's questions.

    python -m papers.rome.evaluate --model results/models/world-small --dataset counterfact --cases cases.json \\
        --moments results/moments/world-small.safetensors --variants '{"rome": {"editor": "rome", "layers": [2]}}' \\
        --out probes.jsonl

All variants see the same cases, and the unedited model is asked once. The result has one line per probe; its numbers
become metrics with `python -m papers.rome.measure`.
"""

import argparse
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

import papers.rome.baselines
import papers.rome.editor  # noqa: F401 (both register their methods)
from papers.rome.runs import DEFAULT_CONTEXTS, Variant, expand, shard_bounds
from shared import runtime
from shared.editors import Editor, make_editor
from shared.errors import ConfigError, DataError, EditingError
from shared.evaluate import EvaluationOptions, GenerationOptions, OtherFacts, evaluate_single
from shared.models import LM, load_lm
from shared.probes import POST, PRE, ProbeRow
from shared.records import read_json, write_jsonl
from shared.requests import Case, QuestionAnswer, read_counterfact, read_requests, read_zsre
from shared.second_moment import SecondMoments
from shared.world.factbook import STATEMENTS, FactBook

log = logging.getLogger(__name__)

# Dataset → reader and protocol; `requests` are facts of one's own (JSON array or .jsonl).
DATASETS = {
    "counterfact": (read_counterfact, "counterfact"),
    "zsre": (lambda path: read_zsre(path)[0], "zsre"),
    "requests": (read_requests, "counterfact"),
}


def evaluate_variants(
    lm: LM,
    editors: Mapping[str, Editor],
    cases: Sequence[Case],
    options: EvaluationOptions,
    other_facts: OtherFacts | None = None,
) -> Iterator[ProbeRow]:
    """Yield the rows of all variants, case by case: the unedited model's, then each variant's.

    Args:
        editors: variant's name → editor.
        cases: edited independently of each other, in batches of `options.edit_batch`.
        options: what is asked; both phases.
        other_facts: questions about other facts of each case's subject.

    Memory: the rows of all cases, since variants run one after another.
    """
    by_case: dict[int, list[ProbeRow]] = {case.case_id: [] for case in cases}
    for place, (name, editor) in enumerate(editors.items()):
        log.info("%s on %d cases", name, len(cases))
        phases = (PRE, POST) if place == 0 else (POST,)
        asked = EvaluationOptions(**{**vars(options), "phases": phases})
        for row in evaluate_single(lm, editor, cases, asked, label=name, other_facts=other_facts):
            by_case[row.case_id].append(row)
    for rows in by_case.values():
        yield from rows


def make_editors(
    variants: Sequence[Variant], moments: SecondMoments | None, contexts: Mapping[str, Sequence[str]]
) -> dict[str, Editor]:
    """Build the editor of each variant; those that read keys get the second moments and their contexts.

    Raises:
        ConfigError: a setting is unknown, or a variant names contexts that were not given.
    """
    editors = {}
    for variant in variants:
        settings = dict(variant.settings)
        if variant.editor == "rome":
            settings["moments"] = moments
            if contexts:
                settings["contexts"] = _contexts_of(variant, contexts)
        editors[variant.name] = make_editor(variant.editor, **settings)
    return editors


def _contexts_of(variant: Variant, contexts: Mapping[str, Sequence[str]]) -> Sequence[str]:
    if variant.contexts not in contexts:
        raise ConfigError(
            f"variant {variant.name!r} uses contexts {variant.contexts!r}; given are {', '.join(contexts)}: "
            f"add --contexts {variant.contexts}=FILE"
        )
    return contexts[variant.contexts]


def other_facts_of(cases: Sequence[Case], book: FactBook) -> dict[int, list[QuestionAnswer]]:
    """Return, per case, one question for each fact about its subject that the edit does not concern.

    Raises:
        DataError: a case's subject is not in the book.
    """
    by_subject: dict[str, list] = {}
    for fact in book.facts:
        by_subject.setdefault(fact.subject, []).append(fact)
    questions = {}
    for case in cases:
        request = case.request
        if request.subject not in by_subject:
            raise DataError(
                f"case_id {case.case_id}: subject {request.subject!r} is not in the fact book {book.name!r}; "
                "give the facts.json that belongs to the cases, or none"
            )
        questions[case.case_id] = [
            QuestionAnswer(
                prompt=book.forms(fact, STATEMENTS, held_out=False)[0].text.replace("{}", fact.subject),
                answer=fact.object,
            )
            for fact in by_subject[request.subject]
            if fact.relation_id != request.relation_id
        ]
    return questions


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m papers.rome.evaluate", description=__doc__.split("\n")[0])
    parser.add_argument("--model", required=True, help="folder or hub id of the model")
    parser.add_argument("--dataset", choices=DATASETS, required=True, help="format of the cases, which sets the probes")
    parser.add_argument("--cases", type=Path, required=True, help="file of cases")
    parser.add_argument("--first", type=int, help="only the first N cases of the file (default: all)")
    parser.add_argument(
        "--variants",
        type=_json,
        required=True,
        help="JSON object, or a file of one: name → {editor, its settings, contexts, grid}",
    )
    parser.add_argument("--moments", type=Path, help="second moments (python -m shared.moments), for ROME")
    parser.add_argument(
        "--contexts",
        type=_named_file,
        nargs="*",
        default=[],
        metavar="NAME=FILE",
        help="context templates; a lone FILE is `default`; without any, they are sampled",
    )
    parser.add_argument("--facts", type=Path, help="fact book: also ask for the subjects' other facts")
    parser.add_argument("--generate", action="store_true", help="also continue the generation prompts")
    parser.add_argument("--max-length", type=int, default=100, help="total tokens of a generated text")
    parser.add_argument("--top-k", type=int, default=5, help="tokens sampled from")
    parser.add_argument("--shard", default="1-of-1", help="which part of the cases, e.g. 2-of-8")
    parser.add_argument("--block", type=int, default=25, help="cases edited and scored together")
    parser.add_argument("--max-tokens", type=int, default=8192, help="padded tokens of one forward pass")
    parser.add_argument("--seed", type=int, default=0, help="enters the seed of every generated text")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", choices=["float32", "bfloat16", "float16"], default="float32")
    parser.add_argument("--out", type=Path, required=True, help="probes.jsonl to write")
    return parser


def _json(text: str) -> dict[str, Any]:
    return json.loads(text) if text.lstrip().startswith("{") else read_json(text)


def _named_file(text: str) -> tuple[str, Path]:
    name, _, file = text.rpartition("=")
    return name or DEFAULT_CONTEXTS, Path(file)


def run(options: argparse.Namespace) -> int:
    """Evaluate as the command line says and return the number of rows written."""
    device = runtime.start(options.threads, options.device)
    read, protocol = DATASETS[options.dataset]
    cases = read(options.cases)[: options.first]
    start, stop = shard_bounds(options.shard, len(cases), options.block)
    cases = cases[start:stop]
    lm = load_lm(options.model, dtype=getattr(torch, options.dtype), device=device)
    moments = SecondMoments.load(options.moments) if options.moments else None
    contexts = {name: read_json(path) for name, path in options.contexts}
    editors = make_editors(expand(options.variants, lm.arch.n_layers), moments, contexts)
    asked = EvaluationOptions(
        protocol=protocol,
        generation=GenerationOptions(options.max_length, options.top_k) if options.generate else None,
        edit_batch=options.block,
        max_tokens=options.max_tokens,
        seed=options.seed,
    )
    other_facts = other_facts_of(cases, FactBook.load(options.facts)) if options.facts else None
    rows = evaluate_variants(lm, editors, cases, asked, other_facts)
    return write_jsonl(options.out, (row.to_json() for row in rows))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    options = _parser().parse_args(arguments)
    try:
        count = run(options)
    except EditingError as error:
        log.error("%s", error)
        raise SystemExit(1) from None
    log.info("%d rows written to %s", count, options.out)


if __name__ == "__main__":
    main()
