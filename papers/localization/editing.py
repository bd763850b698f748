"""Edit known facts at a grid of layers by one editor, for one or several problems, and score every edit (§5).

    python -m papers.localization.editing --methods papers.rome.editor --editor rome --layers 0 3 7 \\
        --problems '{"error_injection": {"kl_factor": 1.0}, "fact_forcing": {}}' --model results/models/world-small \\
        --cases counterfact.json --moments results/moments/world-small.safetensors --facts facts.jsonl --out edits.jsonl

One line per problem, fact and layer: probabilities of the edit's object on the prompt, its paraphrases and its
neighbours, before and after, and perplexities of texts about the subject. Every edit is made on the unedited model, and
none touches its weights while it is scored.
"""

import argparse
import json
import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tqdm import tqdm

from papers.localization.clean_run import CleanRun
from papers.localization.corruption import NOISE_SEED
from papers.localization.facts import Fact, read_facts, usable
from papers.localization.loading import Loaded, add_case_options, load
from papers.localization.modes import Mode
from papers.localization.probes import ESSENCE, Probe, ProbeSettings, probes_for
from papers.localization.problems import PROBLEMS, Problem, problem_named, request_for
from papers.localization.scores import perplexity
from shared.data.requests import Case
from shared.editing.edit_cases import import_methods
from shared.editing.editors import Editor, make_editor, takes_of
from shared.editing.runs import blocks_of
from shared.errors import ConfigError, DataError, reported
from shared.fit.second_moment import SecondMoments
from shared.model.models import LM
from shared.records import read_json, write_jsonl

log = logging.getLogger(__name__)
DIGITS = 10
# Edits are made under other noise than the texts that score them have (corruption.NOISE_SEED).
EDIT_SEED = 2


def window_layers(center: int, window: int, n_layers: int) -> list[int]:
    """Return the layers l − ⌊w/2⌋ … l + ⌈w/2⌉ − 1 of a window, clipped at the ends, as in causal tracing."""
    half = window // 2
    return list(range(max(0, center - half), min(n_layers, center - half + window)))


@dataclass(frozen=True)
class Grid:
    """What is edited.

    Attributes:
        label: name of the editor in the rows, e.g. `ft_5`.
        problem: what the edits are asked to do.
        layers: central layers.
        window: layers edited together.
        make: builds the editor of a window of layers.
        edit_batch: edits made and scored together; memory grows with it, not with the number of facts.
        max_tokens: bound on the padded tokens of one forward pass.
    """

    label: str
    problem: Problem
    layers: Sequence[int]
    window: int
    make: Callable[[list[int]], Editor]
    edit_batch: int = 25
    max_tokens: int = 4096


@dataclass
class _Probed:
    """Probes of several cases, by case and kind."""

    places: dict[int, dict[str, list[int]]] = field(default_factory=dict)

    @classmethod
    def of(cls, probes: Sequence[Probe]) -> "_Probed":
        found = cls()
        for place, probe in enumerate(probes):
            found.places.setdefault(probe.case, {}).setdefault(probe.kind, []).append(place)
        return found


def edit_facts(
    lm: LM, cases: Sequence[Case], facts: Mapping[int, Fact], grid: Grid, settings: ProbeSettings
) -> Iterator[dict[str, Any]]:
    """Edit each case at each layer, on its own, and yield one row per layer and case.

    The unedited model runs once over the texts of all `cases`; what it leaves below a window serves all edits there.

    Args:
        facts: case id → what the unedited model knows.
        settings: what is asked.

    Memory: the texts' residual streams at every first edited layer, and the edits of `grid.edit_batch` cases.
    """
    windows = {layer: window_layers(layer, grid.window, lm.arch.n_layers) for layer in grid.layers}
    requests = {case.case_id: request_for(grid.problem, case, facts[case.case_id].noised_answer) for case in cases}
    probes = [
        probe
        for case in cases
        for probe in probes_for(
            lm, case, grid.problem, requests[case.case_id].target_new, facts[case.case_id], settings
        )
    ]
    run = CleanRun(lm, probes, [window[0] for window in windows.values()], grid.max_tokens)
    probed = _Probed.of(probes)
    for layer, window in windows.items():
        editor = grid.make(window)
        for first in range(0, len(cases), grid.edit_batch):
            batch = [case.case_id for case in cases[first : first + grid.edit_batch]]
            edits = dict(zip(batch, editor.edit_each(lm, [requests[case] for case in batch]), strict=True))
            after = run.edited(window[0], edits)
            for case in batch:
                places = probed.places[case]
                yield {
                    "case_id": case,
                    "problem": grid.problem.key,
                    "editor": grid.label,
                    "layer": layer,
                    "n_layers": len(window),
                    "target": requests[case].target_new,
                    "before": _measured(probes, places, run.before),
                    "after": _measured(probes, places, after),
                    "edit": {name: _short(value) for name, value in edits[case].info.items()},
                }


def _measured(
    probes: Sequence[Probe], places: Mapping[str, list[int]], scores: Sequence[float] | Mapping[int, float]
) -> dict[str, list[float]]:
    """Return probabilities by kind of probe, and perplexities of texts about the subject."""
    found = {}
    for kind, of_kind in places.items():
        if kind == ESSENCE:
            values = [perplexity(scores[place], len(probes[place].row.tokens) + 1) for place in of_kind]
        else:
            values = [math.exp(scores[place]) for place in of_kind]
        found[kind] = [_short(value) for value in values]
    return found


def _short(value: float | int | str) -> float | int | str:
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value


def editor_maker(
    method: str,
    settings: Mapping[str, Any],
    problem: Problem,
    mode: Mode,
    noise: float,
    *,
    moments: SecondMoments | None = None,
    contexts: Sequence[str] | None = None,
) -> Callable[[list[int]], Editor]:
    """Return a function that builds an editor for a window of layers and a problem.

    Args:
        method: registered name.
        settings: the method's own; `subject_noise` is added where the problem corrupts subjects.
        noise: standard deviation of that noise.
        moments, contexts: handed over if the method takes them.

    Raises:
        ConfigError: the method is unknown, or refuses a setting.
    """
    takes = takes_of(method)
    given: dict[str, Any] = {"objective": problem.objective, **settings}
    if problem.corrupted:
        own = given.pop("subject_noise", {})
        released = mode.noise == "misplaced"
        given["subject_noise"] = {
            "scale": noise,
            "redrawn": released,
            "seed": NOISE_SEED if released else EDIT_SEED,
            **own,
        }
    if "moments" in takes:
        given["moments"] = moments
    if "contexts" in takes and contexts is not None:
        given["contexts"] = contexts
    return lambda layers: make_editor(method, layers=layers, **given)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m papers.localization.editing", description=__doc__.split("\n")[0])
    add_case_options(parser)
    parser.add_argument("--facts", type=Path, required=True, help="facts.jsonl of papers.localization.selection")
    parser.add_argument(
        "--problems",
        type=_json,
        required=True,
        help="JSON object, or a file of one: problem (error_injection, tracing_reversal, fact_erasure, "
        "fact_amplification, fact_forcing) → settings of the method for it",
    )
    parser.add_argument("--methods", nargs="*", default=[], metavar="MODULE", help="modules that register editors")
    parser.add_argument("--editor", required=True, help="registered name of the method")
    parser.add_argument("--label", help="its name in the rows (default: the registered one)")
    parser.add_argument("--layers", type=int, nargs="+", required=True, help="central layers, from 0")
    parser.add_argument("--window", type=int, default=1, help="layers edited together (default: 1)")
    parser.add_argument("--moments", type=Path, help="second moments of keys, made by python -m shared.fit.moments")
    parser.add_argument("--contexts", type=Path, help="context templates, made by python -m shared.fit.sample_contexts")
    parser.add_argument("--paraphrases", type=int, help="paraphrases asked at most (default: all)")
    parser.add_argument("--neighbors", type=int, help="neighbours asked at most (default: all)")
    parser.add_argument("--essence-texts", type=int, default=5, help="texts about the subject scored (default: 5)")
    parser.add_argument(
        "--essence-problems", nargs="*", default=list(PROBLEMS), help="problems that are scored on them (default: all)"
    )
    parser.add_argument("--edit-batch", type=int, default=25, help="edits made and scored together (default: 25)")
    parser.add_argument("--max-tokens", type=int, default=4096, help="padded tokens of one forward pass")
    parser.add_argument("--out", type=Path, required=True, help="edits.jsonl to write")
    return parser


def _json(text: str) -> dict[str, Any]:
    return json.loads(text) if text.lstrip().startswith("{") else read_json(text)


def run(options: argparse.Namespace) -> int:
    """Edit as the command line says and return the number of rows written."""
    import_methods(["papers.localization.tuning", *options.methods], [options.editor])
    problems = {problem_named(key): settings for key, settings in options.problems.items()}
    loaded, known = load(options), read_facts(options.facts)
    _check_layers(options.layers, loaded.lm.arch.n_layers)
    moments = SecondMoments.load(options.moments) if options.moments else None
    contexts = read_json(options.contexts) if options.contexts else None

    def rows() -> Iterator[dict[str, Any]]:
        for problem, settings in problems.items():
            maker = editor_maker(
                options.editor, settings, problem, loaded.mode, loaded.noise, moments=moments, contexts=contexts
            )
            label, limits = options.label or options.editor, (options.edit_batch, options.max_tokens)
            grid = Grid(label, problem, options.layers, options.window, maker, *limits)
            yield from _edited(loaded, known, grid, options)

    count = write_jsonl(options.out, rows())
    if not count and options.shard == "1-of-1":
        raise DataError(f"{options.facts}: none of the {len(known)} facts can be edited; does the model know any?")
    return count


def _edited(loaded: Loaded, known: Sequence[Fact], grid: Grid, options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Yield the rows of one problem, block by block of the facts that it uses."""
    facts = {
        fact.case_id: fact
        for fact in known
        if usable(fact, loaded.mode, grid.problem, known_only=not options.unknown_too)
    }
    cases = [case for case in loaded.cases if case.case_id in facts]
    if not cases:
        log.warning("%s: none of the %d facts can be edited", grid.problem.title, len(known))
    texts = options.essence_texts if grid.problem.key in options.essence_problems else 0
    asked = ProbeSettings(loaded.mode, loaded.noise, options.paraphrases, options.neighbors, texts)
    blocks = blocks_of(cases, options.shard, options.block)
    for block in tqdm(blocks, desc=f"{grid.label}, {grid.problem.title}", unit="block", disable=None):
        yield from edit_facts(loaded.lm, block, facts, grid, asked)


def _check_layers(layers: Sequence[int], n_layers: int) -> None:
    wrong = [layer for layer in layers if not 0 <= layer < n_layers]
    if wrong:
        raise ConfigError(f"--layers {wrong} do not exist, the model has 0..{n_layers - 1}")


@reported(log)
def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    options = _parser().parse_args(arguments)
    count = run(options)
    log.info("%d rows written to %s", count, options.out)


if __name__ == "__main__":
    main()
