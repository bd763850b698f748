"""Edit cases with several editors, each case on its own or in joint batches, and ask each edited model questions.

    python -m shared.editing.edit_cases --methods papers.rome.editor papers.rome.baselines --dataset counterfact \\
        --model results/models/world-small --moments results/moments/world-small.safetensors \\
        --cases results/data/counterfact.json --variants '{"rome": {"editor": "rome", "layers": [2]}}' \\
        --out probes.jsonl

`--methods` are the modules where the editors register themselves, of as many papers as one likes: all variants see the
same cases, and the unedited model is asked once. The result has one line per probe; its numbers become metrics with
`python -m shared.measures.measure`.
"""

import argparse
import importlib
import importlib.util
import json
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch

from shared import runtime
from shared.data.probes import POST, PRE, ProbeRow
from shared.data.requests import Case, QuestionAnswer, read_counterfact, read_requests, read_zsre
from shared.editing.editors import Editor, make_editor, registered, takes_of
from shared.editing.evaluate import EvaluationOptions, GenerationOptions, OtherFacts, evaluate_batch, evaluate_single
from shared.editing.runs import DEFAULT_CONTEXTS, SINGLE, Variant, batch_size, expand, shard_bounds
from shared.errors import ConfigError, DataError, reported
from shared.fit.second_moment import SecondMoments
from shared.model.models import LM, load_lm
from shared.records import read_json, write_jsonl
from shared.world.factbook import STATEMENTS, FactBook

log = logging.getLogger(__name__)

# Dataset → reader and which probes are asked; `requests` are facts of one's own (JSON array or .jsonl).
DATASETS = {
    "counterfact": (read_counterfact, "counterfact"),
    "counterfact_attributes": (read_counterfact, "counterfact_attributes"),
    "zsre": (lambda path: read_zsre(path)[0], "zsre"),
    "requests": (read_requests, "counterfact"),
}


def import_methods(modules: Sequence[str], wanted: Iterable[str]) -> None:
    """Import the modules in which editing methods register themselves.

    Args:
        modules: dotted names, such as `papers.rome.editor`.
        wanted: editors that have to be known afterwards.

    Raises:
        ConfigError: a module does not exist, or none of them registers a wanted editor.
    """
    for name in modules:
        _import(name)
    missing = sorted(set(wanted) - set(registered()))
    if missing:
        raise ConfigError(
            f"no editing method called {', '.join(map(repr, missing))} is registered by --methods "
            f"{' '.join(modules)}; known are {', '.join(registered())}: name the module that does, or correct the "
            "variant's `editor`"
        )


def _import(name: str) -> None:
    try:
        found = importlib.util.find_spec(name) is not None
    except ModuleNotFoundError as error:
        # Only a missing package on the way to the module is the user's fault; others keep their traceback.
        if not f"{name}.".startswith(f"{error.name}."):
            raise
        found = False
    if not found:
        raise ConfigError(f"--methods {name}: there is no such module; expected one such as papers.rome.editor")
    importlib.import_module(name)


def evaluate_variants(
    lm: LM,
    editors: Mapping[str, Editor],
    cases: Sequence[Case],
    options: EvaluationOptions,
    other_facts: OtherFacts | None = None,
    protocol: str = SINGLE,
) -> Iterator[ProbeRow]:
    """Yield the rows of all variants, case by case: the unedited model's, then each variant's.

    Args:
        editors: variant's name → editor.
        cases: edited independently of each other, in batches of `options.edit_batch`, or jointly, as `protocol` says.
        options: what is asked; both phases.
        other_facts: questions about other facts of each case's subject.
        protocol: `single`, or `batch:N` for blocks of N cases that are edited jointly.

    Raises:
        ConfigError: `protocol` is neither.

    Memory: the rows of all cases, since variants run one after another.
    """
    n = batch_size(protocol)
    by_case: dict[int, list[ProbeRow]] = {case.case_id: [] for case in cases}
    for place, (name, editor) in enumerate(editors.items()):
        log.info("%s on %d cases", name, len(cases))
        phases = (PRE, POST) if place == 0 else (POST,)
        asked = EvaluationOptions(**{**vars(options), "phases": phases})
        evaluate = partial(evaluate_batch, n=n) if n else evaluate_single
        for row in evaluate(lm, editor, cases, asked, label=name, other_facts=other_facts):
            by_case[row.case_id].append(row)
    for rows in by_case.values():
        yield from rows


def make_editors(
    variants: Sequence[Variant],
    moments: SecondMoments | None,
    contexts: Mapping[str, Sequence[str]],
    pool: Sequence[Case] = (),
) -> dict[str, Editor]:
    """Build the editor of each variant; it gets the run-wide inputs that its method takes.

    Args:
        moments: second moments of the keys, if there are any.
        contexts: lists of context templates by name; if there are none, methods sample their own.
        pool: cases that methods may take examples from.

    Raises:
        ConfigError: a setting is unknown, or a variant names contexts that were not given.
    """
    editors = {}
    for variant in variants:
        settings, takes = dict(variant.settings), takes_of(variant.editor)
        if "moments" in takes:
            settings["moments"] = moments
        if "contexts" in takes and contexts:
            settings["contexts"] = _contexts_of(variant, contexts)
        if "pool" in takes:
            settings["pool"] = pool
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
    parser = argparse.ArgumentParser(prog="python -m shared.editing.edit_cases", description=__doc__.split("\n")[0])
    parser.add_argument(
        "--methods", nargs="+", required=True, metavar="MODULE", help="modules that register the editors"
    )
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
    parser.add_argument("--moments", type=Path, help="second moments of keys, made by python -m shared.fit.moments")
    parser.add_argument(
        "--contexts",
        type=_named_file,
        nargs="*",
        default=[],
        metavar="NAME=FILE",
        help="context templates; a lone FILE is `default`; without any, they are sampled",
    )
    parser.add_argument("--pool", type=Path, help="file of cases that methods may take examples from")
    parser.add_argument("--facts", type=Path, help="fact book: also ask for the subjects' other facts")
    parser.add_argument("--generate", action="store_true", help="also continue the generation prompts")
    parser.add_argument("--max-length", type=int, default=100, help="total tokens of a generated text")
    parser.add_argument("--top-k", type=int, default=5, help="tokens sampled from")
    parser.add_argument("--generate-every", type=int, default=1, help="only for cases whose id is a multiple of it")
    parser.add_argument("--protocol", default=SINGLE, help="single (default), or batch:N: edit N cases jointly")
    parser.add_argument("--shard", default="1-of-1", help="which part of the cases, e.g. 2-of-8")
    parser.add_argument("--block", type=int, default=25, help="cases scored together, and edited if single")
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
    read, probes = DATASETS[options.dataset]
    import_methods(options.methods, [own["editor"] for own in options.variants.values() if "editor" in own])
    cases = read(options.cases)[: options.first]
    start, stop = shard_bounds(options.shard, len(cases), batch_size(options.protocol) or options.block)
    cases = cases[start:stop]
    lm = load_lm(options.model, dtype=getattr(torch, options.dtype), device=device)
    moments = SecondMoments.load(options.moments) if options.moments else None
    contexts = {name: read_json(path) for name, path in options.contexts}
    pool = read(options.pool) if options.pool else []
    editors = make_editors(expand(options.variants, lm.arch.n_layers), moments, contexts, pool)
    texts = GenerationOptions(options.max_length, options.top_k, every=options.generate_every)
    asked = EvaluationOptions(
        protocol=probes,
        generation=texts if options.generate else None,
        edit_batch=options.block,
        max_tokens=options.max_tokens,
        seed=options.seed,
    )
    other_facts = other_facts_of(cases, FactBook.load(options.facts)) if options.facts else None
    rows = evaluate_variants(lm, editors, cases, asked, other_facts, options.protocol)
    return write_jsonl(options.out, (row.to_json() for row in rows))


@reported(log)
def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    options = _parser().parse_args(arguments)
    count = run(options)
    log.info("%d rows written to %s", count, options.out)


if __name__ == "__main__":
    main()
