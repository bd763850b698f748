"""`make bench`: the engine against the one-at-a-time path on the same cases, in one process and one run.

Each paper's `tests/bench.py` has a function `comparisons(setup)` that yields what to compare. Seconds are processor
time on a CPU, so that other work on the machine counts little, and wall time on a GPU; the ratios are what to quote.
"""

import argparse
import importlib
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from shared import runtime
from shared.data.requests import Case, read_counterfact
from shared.model.memory import peak_memory
from shared.model.models import LM, load_lm
from shared.provenance import REPOSITORY
from shared.records import write_text


@dataclass(frozen=True)
class Setup:
    """What all comparisons use: a model, cases, texts for second moments, and the edited layer."""

    lm: LM
    cases: list[Case]
    corpus: Path
    layer: int


@dataclass(frozen=True)
class Comparison:
    """Two ways to compute the same numbers.

    Attributes:
        name: what is computed.
        goal: speed-up that the project asks for; None where it only has to be reported.
        slow, fast: compute it and return the numbers; `slow` is the one-at-a-time path.
        difference: largest difference between two results, in the unit that `unit` names.
    """

    name: str
    goal: float | None
    slow: Callable[[], object]
    fast: Callable[[], object]
    difference: Callable[[object, object], float]
    unit: str


def timed(compute: Callable[[], object], repeats: int, device: torch.device) -> tuple[object, float, float]:
    """Return the result, the least seconds of `repeats` runs, and the peak memory growth in MiB."""
    clock = time.process_time if device.type == "cpu" else time.perf_counter
    seconds, peak = [], 0.0
    for _ in range(repeats):
        with peak_memory() as growth:
            began = clock()
            result = compute()
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            seconds.append(clock() - began)
        peak = max(peak, growth[0])
    return result, min(seconds), peak


def measure(comparisons: Sequence[Comparison], repeats: int, device: torch.device) -> str:
    """Run all comparisons and return them as a Markdown table; the slow path runs once, the engine after a warm-up."""
    lines = [
        "| what | one at a time, s | engine, s | speed-up | goal | peak growth, MiB (slow, engine) | difference |",
        "|---|---|---|---|---|---|---|",
    ]
    for comparison in comparisons:
        slow, slow_seconds, slow_peak = timed(comparison.slow, 1, device)
        comparison.fast()
        fast, fast_seconds, fast_peak = timed(comparison.fast, repeats, device)
        difference = comparison.difference(slow, fast)
        goal = "-" if comparison.goal is None else f"{comparison.goal:g}x"
        ratio = slow_seconds / fast_seconds
        lines.append(
            f"| {comparison.name} | {slow_seconds:.2f} | {fast_seconds:.2f} | {ratio:.1f}x | {goal} "
            f"| {slow_peak:.0f}, {fast_peak:.0f} | {difference:.1e} {comparison.unit} |"
        )
    return "\n".join(lines) + "\n"


def papers_with_benchmarks() -> list[str]:
    """Return the papers that have something to compare."""
    return sorted(path.parents[1].name for path in REPOSITORY.glob("papers/*/tests/bench.py"))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__.split("\n")[0])
    golden = REPOSITORY / "tests/golden"
    parser.add_argument("--model", default=str(golden / "model"), help="folder or hub id of a decoder")
    parser.add_argument("--cases", type=Path, default=golden / "requests.json", help="a file in CounterFact's format")
    parser.add_argument("--first", type=int, default=16, help="cases used (default: 16)")
    parser.add_argument("--corpus", type=Path, default=golden / "moments/corpus.txt", help="texts for second moments")
    parser.add_argument("--layer", type=int, default=1, help="edited layer (default: 1)")
    parser.add_argument("--papers", nargs="*", default=papers_with_benchmarks(), help="default: all")
    parser.add_argument("--repeats", type=int, default=3, help="runs of the engine, of which the best counts")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/bench.md"))
    options = parser.parse_args(arguments)
    device = runtime.start(options.threads, options.device)
    lm = load_lm(options.model, device=device)
    setup = Setup(lm, read_counterfact(options.cases)[: options.first], options.corpus, options.layer)
    found = [
        comparison
        for paper in options.papers
        for comparison in importlib.import_module(f"papers.{paper}.tests.bench").comparisons(setup)
    ]
    table = measure(found, options.repeats, device)
    write_text(options.out, table)
    sys.stdout.write(table)


if __name__ == "__main__":
    main()
