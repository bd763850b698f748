"""How long methods take for one joint edit of n facts, and how much memory: measurements of this run's machine.

    python -m papers.memit.timing --methods papers.memit.editor papers.memit.baselines --out seconds.csv \\
        --model results/models/world-small --moments results/moments/world-small.safetensors \\
        --contexts contexts.json --cases counterfact.json \\
        --timed '{"memit": {"sizes": [100], "settings": {"layers": [1, 2, 3], "update_weight": 500}}}'

MEMIT's largest edit need not search its z vectors again: with `--targets` and `--searched`, the files that
`python -m papers.memit.search` wrote, its time is that of the search and that of the insertion.
"""

import argparse
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import pandas as pd
import psutil
import torch

from shared import runtime
from shared.data.requests import EditRequest, read_counterfact
from shared.editing.edit_cases import import_methods
from shared.editing.editors import Editor, make_editor, takes_of
from shared.errors import DataError, EditingError
from shared.fit.second_moment import SecondMoments
from shared.model.memory import peak_memory
from shared.model.models import LM, load_lm
from shared.records import atomic_path, read_json

log = logging.getLogger(__name__)
WHOLE, SEARCH, INSERTION = "whole edit", "search for z", "insertion"
# Numbers of an edit's `info` that are seconds of its parts.
PARTS = {"search_seconds": SEARCH, "insertion_seconds": INSERTION}
MIB = 2**20


def _resident() -> float:
    return psutil.Process().memory_info().rss / MIB


def time_edit(lm: LM, editor: Editor, requests: Sequence[EditRequest], held: float) -> Iterator[dict[str, Any]]:
    """Yield one line for the whole edit and one for each part that the edit itself measures.

    Args:
        held: MiB that the process held before any edit; memory is counted from there (on a GPU, torch's allocator's
            beyond what it holds before this edit).
    """
    cuda = lm.device.type == "cuda"
    if cuda:
        torch.cuda.reset_peak_memory_stats(lm.device)
        allocated = torch.cuda.memory_allocated(lm.device)
    before = _resident()
    with peak_memory() as growth:
        began = perf_counter()
        edit = editor.edit(lm, requests)
        if cuda:
            torch.cuda.synchronize(lm.device)
        seconds = perf_counter() - began
    peak = before - held + growth[0]
    if cuda:
        peak = (torch.cuda.max_memory_allocated(lm.device) - allocated) / MIB
    line = {"method": editor.name, "n": len(requests)}
    yield line | {"part": WHOLE, "seconds": seconds, "peak_mib": peak}
    for name, part in PARTS.items():
        if name in edit.info:
            yield line | {"part": part, "seconds": edit.info[name], "peak_mib": float("nan")}


def time_stored(
    lm: LM, editor: Editor, requests: Sequence[EditRequest], searched: Sequence[Path], held: float
) -> list[dict[str, Any]]:
    """Return the lines of an edit whose z vectors were searched for before: the search counts as long as it took.

    Args:
        requests: facts of which the first are those that z vectors were searched for.
        searched: what `python -m papers.memit.search --seconds` wrote, for each shard.

    Raises:
        DataError: the shards hold more z vectors than there are requests.
    """
    shards = [read_json(path) for path in searched]
    found = sum(shard["targets"] for shard in shards)
    if found > len(requests):
        raise DataError(f"{found} z vectors were searched for, the file has {len(requests)} facts")
    lines = list(time_edit(lm, editor, requests[:found], held))
    search = sum(shard["seconds"] for shard in shards)
    for line in lines:
        line["seconds"] = search if line["part"] == SEARCH else line["seconds"]
    parts = {line["part"]: line["seconds"] for line in lines}
    lines[0]["seconds"] = search + parts[INSERTION]
    return lines


def time_methods(
    lm: LM,
    timed: Mapping[str, Mapping[str, Any]],
    requests: Sequence[EditRequest],
    moments: SecondMoments,
    contexts: Sequence[str],
    targets: Sequence[Path] = (),
    searched: Sequence[Path] = (),
) -> pd.DataFrame:
    """Return seconds and memory of every method at every size, after a first edit of one fact that is not counted.

    Args:
        timed: method → its `sizes` (numbers of facts) and `settings`.
        targets, searched: z vectors of the first requests, and how long their search took; with them MEMIT's edit of
            all these is measured as well.

    Raises:
        DataError: there are fewer requests than a size asks for.
    """
    lines: list[dict[str, Any]] = []
    held = None
    for method, own in timed.items():
        run_wide = {"moments": moments, "contexts": contexts}
        editor = make_editor(method, **own["settings"], **{name: run_wide[name] for name in takes_of(method)})
        editor.edit(lm, requests[:1])
        held = _resident() if held is None else held
        for size in own["sizes"]:
            if size > len(requests):
                raise DataError(f"{method} is to be timed on {size} facts, the file has {len(requests)}")
            lines += time_edit(lm, editor, requests[:size], held)
            log.info("%s, %d facts: %.1f s", method, size, lines[-1]["seconds"])
        if method == "memit" and targets:
            stored = make_editor(method, **own["settings"], **run_wide, targets=[str(path) for path in targets])
            lines += time_stored(lm, stored, requests, searched, held)
    return pd.DataFrame(lines)[["method", "part", "n", "seconds", "peak_mib"]]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m papers.memit.timing", description=__doc__.split("\n")[0])
    parser.add_argument("--methods", nargs="+", required=True, help="modules that register the editors")
    parser.add_argument("--model", required=True, help="folder or hub id of the model")
    parser.add_argument("--moments", type=Path, required=True, help="second moments of the model's keys")
    parser.add_argument("--contexts", type=Path, required=True, help="context templates, a JSON list")
    parser.add_argument("--cases", type=Path, required=True, help="facts in CounterFact's format")
    parser.add_argument("--targets", type=Path, nargs="*", default=[], help="z vectors of all facts")
    parser.add_argument("--searched", type=Path, nargs="*", default=[], help="how long their search took, per shard")
    parser.add_argument("--timed", type=json.loads, required=True, help="JSON object: method → sizes, settings")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", choices=["float32", "bfloat16", "float16"], default="float32")
    parser.add_argument("--out", type=Path, required=True, help="CSV to write")
    options = parser.parse_args(arguments)
    try:
        device = runtime.start(options.threads, options.device)
        import_methods(options.methods, options.timed)
        requests = [case.request for case in read_counterfact(options.cases)]
        lm = load_lm(options.model, dtype=getattr(torch, options.dtype), device=device)
        moments, contexts = SecondMoments.load(options.moments), read_json(options.contexts)
        found = time_methods(lm, options.timed, requests, moments, contexts, options.targets, options.searched)
    except EditingError as error:
        log.error("%s", error)
        raise SystemExit(1) from None
    with atomic_path(options.out) as part:
        found.to_csv(part, index=False, float_format="%.4g", lineterminator="\n")


if __name__ == "__main__":
    main()
