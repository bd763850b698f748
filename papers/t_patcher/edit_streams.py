"""Mend streams of mistakes by several editors and measure them: `python -m papers.t_patcher.edit_streams --help`.

All editors meet the same streams. Written are `streams.csv` (one line per editor and stream, at its end), `curves.csv`
(the same after every few edits) and `activations.csv` (responses of the first stream's patches, where asked for).
"""

import argparse
import hashlib
import json
import logging
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from papers.t_patcher.data import FORMATS, RECORDS, Sizes, read_sources, request_sources
from papers.t_patcher.fine_tuning import Tuning, TuningSettings
from papers.t_patcher.patches import Patches
from papers.t_patcher.problem import Problem, Sources, folds_of
from papers.t_patcher.sequential import stream_row
from papers.t_patcher.settings import PatchSettings, known_only
from papers.t_patcher.stream import Editing, Stream
from papers.t_patcher.trained_editors import HeldStreams, TrainedStreams
from papers.t_patcher.whole_model import WholeModelStreams
from shared import runtime
from shared.editing.edit_cases import import_methods
from shared.errors import ConfigError, reported
from shared.inference.last_layer import States
from shared.model.models import load_model
from shared.provenance import code_digest
from shared.records import atomic_path

log = logging.getLogger(__name__)
PATCHES, TUNING, TRAINED, HELD = EDITORS = ("t_patcher", "ft", "trained", "held")
Row = dict[str, Any]
Orders = Sequence[Sequence[int]]
# Number of a stream, the stream, what it keeps, and whether this is its end.
Moment = tuple[int, Stream, dict[str, float], bool]


def patched(
    problem: Problem, orders: Orders, options: argparse.Namespace, name: str, settings: Row
) -> Iterator[Moment]:
    """Mend streams side by side by patches.

    Settings beyond `PatchSettings`: `memory`, how many of the remembered examples this editor remembers, and `layer`,
    the block of the patched layer if not the last.
    """
    chosen = dict(settings)
    memory, layer = chosen.pop("memory", None), chosen.pop("layer", None)
    problem = problem if layer is None else Problem(problem.layer.lm, problem.sources, layer=layer)
    problem = problem.remembering(memory)
    made = PatchSettings.of(chosen)
    editing = Editing(problem, orders, made, options.seed, options.rounds and options.rounds / _key(name, settings))
    for number in editing.run():
        if number % options.every == 0:
            for fold, stream in enumerate(editing.streams):
                if len(stream.edits) == number:
                    yield fold, stream, editing.retained(stream), False
    for fold, stream in enumerate(editing.streams):
        yield fold, stream, editing.retained(stream), True


def _key(name: str, settings: Row) -> str:
    """Return the name of a folder of rounds, which a changed program or setting does not go on from."""
    told = json.dumps([settings, code_digest("papers.t_patcher.edit_streams")], sort_keys=True)
    return f"{name}-{hashlib.sha256(told.encode()).hexdigest()[:12]}"


def tuned(problem: Problem, orders: Orders, options: argparse.Namespace, name: str, settings: Row) -> Iterator[Moment]:
    """Mend streams by fine-tuning."""
    return mended(Tuning(problem, orders, TuningSettings.of(settings), options.seed), options, name)


def trained(
    problem: Problem, orders: Orders, options: argparse.Namespace, name: str, settings: Row
) -> Iterator[Moment]:
    """Mend streams by a trained editor: `method` is its name, `folder` holds the file of that name."""
    file = Path(settings["folder"]) / f"{settings['method']}.safetensors"
    return mended(TrainedStreams(problem, orders, file, options.seed), options, name)


def held(problem: Problem, orders: Orders, options: argparse.Namespace, name: str, settings: Row) -> Iterator[Moment]:
    """Mend streams by a method that keeps its edits beside the model; `folder` holds its trained parts."""
    method = HeldStreams(problem, orders, settings["method"], {"folder": settings["folder"]}, options.seed)
    return mended(method, options, name)


def mended(streams: WholeModelStreams, options: argparse.Namespace, name: str) -> Iterator[Moment]:
    """Mend one stream after another by a baseline."""
    for fold, stream in enumerate(streams.streams):
        for number in streams.mend(stream):
            if number % options.every == 0:
                yield fold, stream, streams.retained(stream), False
        yield fold, stream, streams.at_end, True
        log.info("%s: stream %d of %d mended", name, fold + 1, len(streams.streams))


RUNNERS: dict[str, Callable[..., Iterator]] = {PATCHES: patched, TUNING: tuned, TRAINED: trained, HELD: held}


def measured(
    problem: Problem, variants: Mapping[str, Row], options: argparse.Namespace
) -> Iterator[tuple[Row, Stream, bool]]:
    """Yield a row per editor, stream and checkpoint, with the stream, and whether this is its end.

    Raises:
        ConfigError: an editor is unknown.
    """
    orders = folds_of(len(problem.sources.edit), options.folds, options.order_seed)[: options.streams]
    for name, variant in variants.items():
        settings = dict(variant)
        editor = settings.pop("editor", PATCHES)
        if editor not in RUNNERS:
            raise ConfigError(f"{name}: editor {editor!r} is unknown; expected one of {', '.join(EDITORS)}")
        resumed = options.rounds is not None and any((options.rounds / _key(name, settings)).glob("round_*"))
        began = time.perf_counter()
        for fold, stream, kept, ends in RUNNERS[editor](problem, orders, options, name, settings):
            row = stream_row(problem, stream, kept, {"editor": name, "fold": fold})
            yield row | {"seconds": None if resumed else time.perf_counter() - began}, stream, ends
        log.info("%s: %d streams in %.1f s", name, len(orders), time.perf_counter() - began)


@torch.no_grad()
def activations(problem: Problem, patches: Patches, count: int) -> pd.DataFrame:
    """Return how active the first patches are on their own examples and on as many test examples (Figure 5).

    Columns: patch, example (its number among those shown), `of` (edit or test), own (whether the patch was made for
    the example), and the activation, the largest over the positions of the answer.
    """
    count = min(count, len(patches))
    owners = list(dict.fromkeys(patches.owner[:count]))
    shown = {"edit": problem.edit.of_rows(owners), "test": problem.test.of_rows(range(min(count, problem.test.n_rows)))}
    rows = []
    for of, states in shown.items():
        active = problem.layer.activation(patches.pre_activation(states.query)[:, :count])
        for example, most in enumerate(_by_row(active, states).tolist()):
            own = [of == "edit" and owner == owners[example] for owner in patches.owner[:count]]
            rows += [(patch, example, of, own[patch], value) for patch, value in enumerate(most)]
    return pd.DataFrame(rows, columns=["patch", "example", "of", "own", "activation"])


def _by_row(values: Float[Tensor, "pos patch"], states: States) -> Float[Tensor, "row patch"]:
    found = values.new_full((states.n_rows, values.shape[1]), -torch.inf)
    return found.scatter_reduce(0, states.row[:, None].expand_as(values), values, "amax")


def read_problem(options: argparse.Namespace) -> Problem:
    """Return the model with its examples, as the options describe them.

    Raises:
        ConfigError: the format needs another number of files.
    """
    device = runtime.start(options.threads, options.device)
    sizes = known_only(Sizes, options.sizes)
    wanted = ["edit", "train", "test"] if options.format == RECORDS else ["cases"]
    if len(options.files) != len(wanted):
        raise ConfigError(f"format {options.format} reads {', '.join(wanted)}; got {len(options.files)} files")
    read = read_sources if options.format == RECORDS else request_sources
    sources: Sources = read(*options.files, sizes, options.order_seed)
    dtype = getattr(torch, options.dtype)
    return Problem(load_model(options.model, kind=options.kind, device=device, dtype=dtype), sources)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m papers.t_patcher.edit_streams", description=__doc__.split("\n")[0])
    parser.add_argument("--model", required=True, help="folder or hub id")
    parser.add_argument("--kind", choices=["decoder", "seq2seq", "classifier"], required=True, help="what it is")
    parser.add_argument("--format", choices=FORMATS, default=RECORDS, help="what the files hold")
    parser.add_argument("--files", type=Path, nargs="+", required=True, help="edit, train and test; or the cases")
    parser.add_argument("--sizes", type=json.loads, required=True, help="fields of Sizes as JSON")
    parser.add_argument("--variants", type=json.loads, required=True, help="editors with their settings as JSON")
    parser.add_argument("--folds", type=int, default=1, help="streams that the edits are dealt to (default: 1)")
    parser.add_argument("--streams", type=int, help="mend only the first so many of them")
    parser.add_argument("--methods", nargs="*", default=[], help="modules that register other papers' methods")
    parser.add_argument("--every", type=int, default=50, help="edits between two checkpoints (default: 50)")
    parser.add_argument("--shown", type=int, default=0, help="patches whose activations are written (default: 0)")
    parser.add_argument("--rounds", type=Path, help="folder that a killed run goes on from")
    parser.add_argument("--seed", type=int, default=0, help="of the patches' starts")
    parser.add_argument("--order-seed", type=int, default=42, help="of the order of the edits (default: 42)")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float32", choices=["float32", "float64", "bfloat16", "float16"])
    parser.add_argument("--out", type=Path, required=True, help="folder of the .csv files")
    return parser


@reported(log)
def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    options = _parser().parse_args(arguments)
    import_methods(options.methods, [])
    problem = read_problem(options)
    log.info("%d edit examples, accuracies %s", len(problem.sources.edit), problem.accuracy_before)
    last, points, shown = [], [], []
    for row, stream, ends in measured(problem, options.variants, options):
        points.append(row)
        if ends:
            last.append(row)
            if options.shown and row["fold"] == 0 and len(stream.patches):
                shown.append(activations(problem, stream.patches, options.shown).assign(editor=row["editor"]))
    columns = ["patch", "example", "of", "own", "activation", "editor"]
    responses = pd.concat(shown) if shown else pd.DataFrame(columns=columns)
    written = {"streams": pd.DataFrame(last), "curves": pd.DataFrame(points), "activations": responses}
    for name, frame in written.items():
        with atomic_path(options.out / f"{name}.csv") as part:
            frame.to_csv(part, index=False, float_format="%.6g", lineterminator="\n")
    if options.rounds and options.rounds.exists():
        shutil.rmtree(options.rounds)  # everything that they were kept for is written


if __name__ == "__main__":
    main()
