"""What the grid of edits is measured against: the authors' way, one edit, one layer at a time."""

from collections.abc import Iterator

import torch

from papers.localization.editing import Grid, edit_facts, editor_maker
from papers.localization.facts import Fact
from papers.localization.modes import MODES
from papers.localization.probes import ProbeSettings
from papers.localization.problems import PROBLEMS, request_for
from papers.localization.tests.oracle import edit_and_ask_one, rome_one, tune_one
from papers.localization.tracing import trace_cases, traced_fact
from shared.contexts import END_OF_TEXT, sample_contexts
from shared.edit_cases import import_methods
from shared.moments import collect
from shared.noise import Noise
from shared.optimise import VectorSettings
from shared.tests.tracing_oracle import Oracle
from shared.trace_runs import Corruption
from shared.tracing import Restoration
from tests.bench import Comparison, Setup

CASES, TRACED = 8, 3
ASKED = ("error_injection", "fact_erasure")
LEARNING_RATE, BOUND, STEPS = 5e-3, 1e-2, 25
WINDOWS = (1, 3, 5, 10)
NOISE = 0.27
AS_PAPER = MODES["as_paper"]


def comparisons(setup: Setup) -> Iterator[Comparison]:
    """Yield the grid by ROME and by fine-tuning, and tracing with all window sizes."""
    import_methods(["papers.localization.tuning", "papers.rome.editor"], ["rome"])
    lm = setup.lm
    layers = [setup.layer, lm.arch.n_layers // 2]
    contexts = sample_contexts(lm, [END_OF_TEXT], [(5, 10), (10, 10)], paper="rome")
    moments = collect(lm, setup.corpus, layers)
    inverses = {layer: moments.moment(layer).inverse().float() for layer in layers}

    def rome_by_one(request, layer, objective):
        erasing = objective == "minimise"
        search = VectorSettings(stop_below=0.0, update_last=erasing)
        return rome_one(lm, request, contexts, layer, search, inverses[layer], objective)

    def tuned_by_one(request, layer, objective):
        erase = objective == "minimise"
        return tune_one(lm, request, [layer], lr=LEARNING_RATE, bound=BOUND, n_steps=STEPS, erase=erase)

    rome = {"stop_below": 0, "contexts": contexts}
    tuning = {"lr": LEARNING_RATE, "norm_constraint": BOUND, "n_steps": STEPS}
    grids = [("rome", rome, rome_by_one, moments, 10), ("window_ft", tuning, tuned_by_one, None, 10)]
    for method, settings, by_one, given, goal in grids:
        yield Comparison(
            f"{CASES * len(layers) * len(ASKED)} edits by {method} in the localization grid, each with its scores",
            goal,
            lambda by_one=by_one: _one_by_one(setup, layers, by_one),
            lambda method=method, settings=settings, given=given: _together(setup, layers, method, settings, given),
            lambda slow, fast: max(abs(one - other) for one, other in zip(slow, fast, strict=True)),
            "probability",
        )
    yield _tracing(setup)


def _one_by_one(setup: Setup, layers, by_one) -> list[float]:
    found = []
    for key in ASKED:
        problem = PROBLEMS[key]
        for layer in layers:
            for case in setup.cases[:CASES]:
                request = request_for(problem, case)
                edit = by_one(request, layer, problem.objective)
                found += edit_and_ask_one(setup.lm, case, edit, request.target_new, case.request.target_true)
    return torch.tensor(found).exp().tolist()


def _together(setup: Setup, layers, method, settings, moments) -> list[float]:
    cases = setup.cases[:CASES]
    facts = {case.case_id: Fact(case.case_id, case.request.subject, "", True, 1.0, "", []) for case in cases}
    found = []
    for key in ASKED:
        problem = PROBLEMS[key]
        make = editor_maker(method, settings, problem, AS_PAPER, NOISE, moments=moments)
        grid = Grid(method, problem, layers, 1, make)
        for row in edit_facts(setup.lm, cases, facts, grid, ProbeSettings(AS_PAPER, NOISE)):
            kinds = ("rewrite", "paraphrase", "neighborhood")
            found += [value for phase in ("after", "before") for kind in kinds for value in row[phase][kind]]
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
