"""What the grid of edits is measured against: the authors' way, one edit, one layer at a time."""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from papers.localization.editing import Grid, edit_facts, editor_maker
from papers.localization.modes import MODES
from papers.localization.probes import ProbeSettings
from papers.localization.problems import PROBLEMS, request_for
from papers.localization.selection import FactSettings, find_facts
from papers.localization.tests.oracle import edit_and_ask_one, rome_one, tune_one
from papers.localization.tracing import trace_cases, traced_fact
from shared.data.requests import EditRequest
from shared.editing.edit_cases import import_methods
from shared.edits.deltas import Edit
from shared.fit.contexts import END_OF_TEXT, sample_contexts
from shared.fit.moments import collect
from shared.fit.optimise import VectorSettings
from shared.fit.second_moment import SecondMoments
from shared.seeding import seed_for
from shared.tests.tracing_oracle import Oracle
from shared.traces.noise import Noise
from shared.traces.trace_runs import Corruption
from shared.traces.tracing import Restoration
from tests.bench import Comparison, Setup

CASES, TRACED = 4, 3
ASKED = ("error_injection", "fact_erasure")
LEARNING_RATE, BOUND, STEPS = 5e-3, 1e-2, 25
WINDOWS = (1, 3, 5, 10)
TEXTS, LENGTH = 5, 100
NOISE = 0.27
AS_PAPER = MODES["as_paper"]
KINDS = ("rewrite", "paraphrase", "neighborhood")
ByOne = Callable[[EditRequest, int, str], Edit]


def comparisons(setup: Setup) -> Iterator[Comparison]:
    """Yield the grid by ROME and by fine-tuning, over the depth of the model, and tracing with all window sizes."""
    import_methods(["papers.localization.tuning", "papers.rome.editor"], ["rome"])
    lm, last = setup.lm, setup.lm.arch.n_layers - 1
    layers = sorted({0, setup.layer, (last + setup.layer + 1) // 2, last})
    contexts = sample_contexts(lm, [END_OF_TEXT], [(5, 10), (10, 10)], paper="rome")
    moments = collect(lm, setup.corpus, layers)
    inverses = {layer: moments.moment(layer).inverse().float() for layer in layers}

    def rome_by_one(request: EditRequest, layer: int, objective: str) -> Edit:
        search = VectorSettings(stop_below=0.0, update_last=objective == "minimise")
        return rome_one(lm, request, contexts, layer, search, inverses[layer], objective)

    def tuned_by_one(request: EditRequest, layer: int, objective: str) -> Edit:
        erase = objective == "minimise"
        return tune_one(lm, request, [layer], lr=LEARNING_RATE, bound=BOUND, n_steps=STEPS, erase=erase)

    rome = {"stop_below": 0, "contexts": contexts}
    tuning = {"lr": LEARNING_RATE, "norm_constraint": BOUND, "n_steps": STEPS}
    for method, settings, by_one in (("rome", rome, rome_by_one), ("window_ft", tuning, tuned_by_one)):
        yield Comparison(
            f"{CASES * len(layers) * len(ASKED)} edits by {method} in the localization grid, each with all its scores",
            10,
            lambda by_one=by_one: _one_by_one(setup, layers, by_one),
            lambda method=method, settings=settings: _together(setup, layers, method, settings, moments),
            _largest_relative,
            "relative",
        )
    yield _tracing(setup)


def _largest_relative(slow: Sequence[float], fast: Sequence[float]) -> float:
    return max(abs(one - other) / max(1.0, abs(one)) for one, other in zip(slow, fast, strict=True))


def _one_by_one(setup: Setup, layers: Sequence[int], by_one: ByOne) -> list[float]:
    found = []
    for key in ASKED:
        problem = PROBLEMS[key]
        for layer in layers:
            for case in setup.cases[:CASES]:
                request = request_for(problem, case)
                edit = by_one(request, layer, problem.objective)
                seeds = [seed_for("localization", "essence", 0, case.case_id, index) for index in range(TEXTS)]
                baseline = case.request.target_true
                found += edit_and_ask_one(setup.lm, case, edit, request.target_new, baseline, LENGTH, seeds)
    return found


def _together(
    setup: Setup, layers: Sequence[int], method: str, settings: dict[str, Any], moments: SecondMoments
) -> list[float]:
    lm, cases = setup.lm, setup.cases[:CASES]
    known = find_facts(lm, cases, FactSettings(NOISE, AS_PAPER, essence_texts=TEXTS, essence_length=LENGTH))
    facts = {fact.case_id: fact for fact in known}
    found = []
    for key in ASKED:
        problem = PROBLEMS[key]
        make = editor_maker(method, settings, problem, AS_PAPER, NOISE, moments=moments)
        for row in edit_facts(lm, cases, facts, Grid(method, problem, layers, 1, make), ProbeSettings(AS_PAPER, NOISE)):
            for phase in ("after", "before"):
                found += [math.log(value) for kind in KINDS for value in row[phase][kind]]
                found.append(sum(row[phase]["essence"]) / TEXTS)
    return found


def _tracing(setup: Setup) -> Comparison:
    lm, cases = setup.lm, setup.cases[:TRACED]
    corruption = Corruption(Noise(scale=NOISE))

    def one_by_one() -> list[float]:
        found = []
        for case in cases:
            fact = traced_fact(lm, case)
            oracle = Oracle(lm, fact, corruption)
            for window in WINDOWS:
                found += oracle.scores(Restoration("mlp", window))[fact.start :].flatten().tolist()
        return found

    def together() -> list[float]:
        rows = trace_cases(lm, cases, WINDOWS, NOISE)
        return [cell for row in rows for table in row["restored"].values() for line in table for cell in line]

    return Comparison(
        f"MLP traces of {TRACED} facts with windows of {', '.join(map(str, WINDOWS))}",
        10,
        one_by_one,
        together,
        lambda slow, fast: max(abs(one - other) for one, other in zip(slow, fast, strict=True)),
        "probability",
    )
