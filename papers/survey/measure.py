"""From the rows of all jobs of a model to the room's tables: metrics, costs, and sequences.

    python -m papers.survey.measure --rows single.jsonl sequences.jsonl --costs single_costs.jsonl \\
        --sequences sequence_edits.jsonl --out metrics.csv --out-costs costs.csv --out-sequences sequences.csv
"""

import argparse
import json
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from papers.survey.contract import (
    CHECKPOINT,
    COST_COLUMNS,
    FINAL,
    IMMEDIATE,
    METRIC_COLUMNS,
    SEQUENCE_COLUMNS,
    batch_protocol,
    sequence_protocol,
)
from papers.survey.detector import Bounds, disabling
from papers.survey.scorers import (
    answers_frame,
    plus_probes,
    rome_scores,
    split_protocol,
    summarised,
    summarised_plus,
    survey,
    wild,
)
from shared import runtime
from shared.data.probes import POST, ProbeRow, read_rows
from shared.errors import DataError, reported
from shared.measures.measure import write_frame
from shared.records import read_jsonl

log = logging.getLogger(__name__)
IN_SEQUENCE, AT = f"sequence:{IMMEDIATE}", f"sequence:{CHECKPOINT}:"
UNEDITED = "none"
SINGLE, ALONE = "single", batch_protocol(1)
FEW_KINDS = ("rewrite", "paraphrase", "neighborhood", "locality")


def named_moments(rows: Iterable[ProbeRow]) -> Iterator[ProbeRow]:
    """Yield the rows with those of sequences under the names of the contract, and batches of one beside larger ones.

    The first T edits of a sequence are those whose own rows came first. A batch of one edit is the single edit, asked
    the few things that batches are asked.
    """
    rows = list(rows)
    order: dict[tuple[str, str], dict[int, int]] = {}
    ends: dict[tuple[str, str], list[int]] = {}
    for row in rows:
        edited, form = split_protocol(row.protocol)
        if edited == IN_SEQUENCE:
            places = order.setdefault((form, row.editor), {})
            places.setdefault(row.case_id, len(places) + 1)
        elif edited.startswith(AT):
            count = int(edited.removeprefix(AT))
            known = ends.setdefault((form, row.editor), [])
            known += [] if count in known else [count]
    in_batches = {(split_protocol(row.protocol)[1], row.editor) for row in rows if row.protocol.startswith("batch:")}
    local = {(split_protocol(row.protocol)[1], row.case_id) for row in rows if row.kind == "locality"}
    for row in rows:
        edited, form = split_protocol(row.protocol)
        who = form, row.editor
        if row.phase == POST and edited.startswith("sequence:"):
            for name in _moments(edited, order[who][row.case_id], ends[who]):
                yield replace(row, protocol=f"{name}/{form}")
            continue
        yield row
        few = row.kind in FEW_KINDS and row.prompt_index == 0
        few = few and not (row.kind == "neighborhood" and (form, row.case_id) in local)
        if row.phase == POST and edited == SINGLE and who in in_batches and few:
            yield replace(row, protocol=f"{ALONE}/{form}")


def _moments(edited: str, place: int, ends: Sequence[int]) -> list[str]:
    """Return the protocols that the answer about a sequence's edit at `place` belongs to."""
    if edited == IN_SEQUENCE:
        return [sequence_protocol(count, IMMEDIATE) for count in ends if place <= count]
    asked = int(edited.removeprefix(AT))
    names = [sequence_protocol(asked, CHECKPOINT)]
    if asked == max(ends):
        names += [sequence_protocol(count, FINAL) for count in ends if place <= count]
    return names


def metrics_of(rows: Iterable[ProbeRow], seed: int = 0) -> pd.DataFrame:
    """Return every metric of every scorer, form, editor and protocol, in the columns of the contract."""
    rows = list(named_moments(rows))
    frame = answers_frame(rows)
    if not len(frame):
        raise DataError("no answers of an edited model: nothing can be measured")
    lines = [
        *summarised(survey(frame), "survey", seed),
        *summarised(wild(frame), "wild", seed),
        *summarised(rome_scores(rows), "rome", seed),
        *summarised_plus(plus_probes(frame[frame["protocol"] == SINGLE]), seed),
    ]
    return pd.DataFrame(lines)[list(METRIC_COLUMNS)]


def costs_of(lines: Iterable[Mapping[str, object]], training: Mapping[str, Path]) -> pd.DataFrame:
    """Return costs in the columns of the contract.

    Args:
        lines: what the jobs measured.
        training: method → benchmark file of the job that trained it (in which others may have been trained, too);
            `form/method` where each form has its own. A file that is not there leaves the cells empty.
    """
    found = pd.DataFrame(list(lines), columns=COST_COLUMNS)
    for place, line in found.iterrows():
        path = training.get(f"{line['form']}/{line['editor']}", training.get(line["editor"]))
        if path is not None and path.is_file():
            measured = next(iter(read_jsonl(path)))
            found.loc[place, ["training_seconds", "training_peak_mib"]] = measured["s"], measured["max_rss"]
    return found


def sequences_of(lines: Iterable[Mapping[str, object]], bounds: Bounds) -> pd.DataFrame:
    """Return one line per edit of each sequence, with what the detector finds, in the columns of the contract.

    The lines of editor `none` (edits 0) hold the mean entropy of the unedited model's texts, and no mark.
    """
    found = pd.DataFrame(list(lines), columns=SEQUENCE_COLUMNS)
    own = found["editor"] == UNEDITED
    unedited, parts = found[own].set_index("form")["entropy"], [found[own]] if own.any() else []
    for (form, _), chosen in found[~own].groupby(["form", "editor"], sort=False):
        texts = [None if pd.isna(entropy) else float(entropy) for entropy in chosen["entropy"]]
        marks = disabling(chosen["update_norm"].tolist(), texts, float(unedited[form]), bounds)
        parts.append(chosen.assign(disabled=[float("nan") if mark is None else int(mark) for mark in marks]))
    return pd.concat(parts, ignore_index=True) if parts else found


def _read(paths: Sequence[Path]) -> Iterator[dict[str, object]]:
    for path in paths:
        if path.stat().st_size:
            yield from read_jsonl(path)


@reported(log)
def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m papers.survey.measure", description=__doc__.split("\n")[0])
    parser.add_argument("--rows", type=Path, nargs="+", required=True, help="rows of all jobs")
    parser.add_argument("--costs", type=Path, nargs="*", default=[], help="costs of all jobs, JSON lines")
    parser.add_argument("--sequences", type=Path, nargs="*", default=[], help="edits of all sequences, JSON lines")
    parser.add_argument("--training", type=json.loads, default={}, help="JSON object: method → benchmark file")
    parser.add_argument("--bounds", type=json.loads, default={}, help="JSON object: when an edit is disabling")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True, help="metrics to write")
    parser.add_argument("--out-costs", type=Path, required=True, help="costs to write")
    parser.add_argument("--out-sequences", type=Path, required=True, help="sequences to write")
    options = parser.parse_args(arguments)
    runtime.start_logging()
    training = {name: Path(path) for name, path in options.training.items()}
    write_frame(metrics_of(read_rows(*options.rows), options.seed), options.out, index=False)
    write_frame(costs_of(_read(options.costs), training), options.out_costs, index=False)
    bounds = Bounds(**options.bounds)
    write_frame(sequences_of(_read(options.sequences), bounds), options.out_sequences, index=False)


if __name__ == "__main__":
    main()
