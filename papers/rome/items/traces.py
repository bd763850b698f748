"""Single facts under causal tracing: what Figures 1, 10-12 and 14-16 share."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from shared.errors import ConfigError, DataError
from shared.records import read_jsonl
from shared.report.drawing import KINDS, heat_map, legend_below, severed_bars
from shared.report.item_command import Drawing, Request
from shared.report.plots import PAGE_INCHES, new_figure

PERCENT = 100
TOKEN_INCHES = 0.13
Trace = Mapping[str, Any]


def read_traces(path: str | Path) -> list[Trace]:
    """Return the traced facts that the model completes correctly, in file order.

    Raises:
        DataError: if there are none.
    """
    known = [row for row in read_jsonl(path) if row["correct"]]
    if not known:
        raise DataError(f"{path}: the model completes none of the traced facts, so there is nothing to draw")
    return known


def chosen_traces(request: Request) -> list[Trace]:
    """Return the facts that the item shows: positions among the known ones (from 0), or subjects.

    Positions beyond the last known fact are left out, so that small runs still draw what they have.

    Raises:
        ConfigError: if a subject was not traced, or no position exists.
    """
    ((_, path),) = request.files()
    traces = read_traces(path)
    chosen = []
    for wanted in request.settings["facts"]:
        if isinstance(wanted, int):
            chosen += traces[wanted : wanted + 1]
            continue
        found = [trace for trace in traces if trace["subject"] == wanted]
        if not found:
            raise ConfigError(
                f"{path}: no known fact about {wanted!r} was traced; choose a position or another subject"
            )
        chosen += found[:1]
    if not chosen:
        raise ConfigError(f"{path}: {len(traces)} known facts were traced, none at {request.settings['facts']}")
    return chosen


def marked_tokens(trace: Trace) -> list[str]:
    """Return the prompt's tokens for display, those of the subject with a star."""
    start, stop = trace["subject_range"]
    return [token.strip() + ("*" if start <= place < stop else "") for place, token in enumerate(trace["tokens"])]


def draw_maps(request: Request, field: str, unit: str) -> Drawing:
    """Draw the item's facts, one row of three heat maps each: states, MLP windows, attention windows.

    Args:
        field: `scores` (restored probabilities, from the corrupted run's upwards) or `gradients` (from zero upwards).
        unit: what the colour bars show; `{answer}` is the model's answer.
    """
    ((model, _),) = request.files()
    traces = chosen_traces(request)
    heights = [0.75 + TOKEN_INCHES * len(trace["tokens"]) for trace in traces]
    figure, axes = new_figure(len(traces), 3, height=sum(heights), height_ratios=heights)
    for row, trace in zip(axes, traces, strict=True):
        rows = marked_tokens(trace)
        for panel, (kind, (look, name)) in zip(row, KINDS.items(), strict=True):
            values = np.array(trace[field][kind])
            low = trace["low"] if field == "scores" else 0.0
            label = unit.format(answer=trace["answer"].strip())
            high = max(float(values.max()), low + 1e-9)
            title = name if field == "scores" else name.removesuffix(" window")
            heat_map(panel, values, look, rows, low=low, high=high, unit=label, title=title)
    return Drawing(figure, pd.concat([_map_frame(model, trace, field) for trace in traces]))


def _map_frame(model: str, trace: Trace, field: str) -> pd.DataFrame:
    lines = [
        {"kind": kind, "position": position, "token": token, "layer": layer, "value": value}
        for kind, values in trace[field].items()
        for position, (token, row) in enumerate(zip(marked_tokens(trace), values, strict=True))
        for layer, value in enumerate(row)
    ]
    frame = pd.DataFrame(lines)
    fields = {"model": model, "known_id": trace["known_id"], "subject": trace["subject"], "answer": trace["answer"]}
    bounds = {name: trace[field] for name, field in (("clean", "high"), ("corrupted", "low")) if field in trace}
    return frame.assign(**fields, **bounds)[[*fields, *frame.columns, *bounds]]


def draw_severed(request: Request, columns: int = 3) -> Drawing:
    """Draw one bar panel per fact: restoring the last subject token's state, as it is and with modules severed."""
    ((model, _),) = request.files()
    traces = chosen_traces(request)
    rows = -(-len(traces) // columns)
    columns = min(columns, len(traces))
    figure, axes = new_figure(rows, columns, width=PAGE_INCHES, height=0.4 + 1.5 * rows, sharex=True)
    frames = []
    for panel, trace in zip(axes.flat, traces, strict=False):
        frame = _severed_frame(model, trace)
        token = trace["tokens"][trace["subject_range"][1] - 1].strip()
        severed_bars(panel, frame, title=f"{trace['subject']} (at “{token}”)", unit="")
        frames.append(frame)
    for panel in axes.flat[len(traces) :]:
        panel.set_visible(False)
    for panel in axes[:-1].flat:
        panel.set_xlabel("")
    for row in axes:
        row[0].set_ylabel("effect (percent)")
    legend_below(figure, axes[0, 0], 3)
    return Drawing(figure, pd.concat(frames))


def _severed_frame(model: str, trace: Trace) -> pd.DataFrame:
    lines: list[dict[str, Any]] = [
        {"condition": condition, "layer": layer, "value": PERCENT * (value - trace["low"])}
        for condition, curve in trace["severed"].items()
        for layer, value in enumerate(curve)
    ]
    frame = pd.DataFrame(lines)
    fields = {"model": model, "known_id": trace["known_id"], "subject": trace["subject"]}
    return frame.assign(**fields)[[*fields, *frame.columns]]
