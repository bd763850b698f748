"""From traces to tables: the long table of all cells, each fact's tracing effect by layer, and where its peaks are.

    python -m papers.localization.effects --traces traces.jsonl --mode as_paper --long long.csv --effects effects.csv \\
        --peaks peaks.csv --means windows.csv

Of one cell, with p the probability of the true object (§3):

    restored effect    p(restored) − p(corrupted)
    fraction restored  max(0, restored effect / |p(clean) − p(corrupted)|)

A fact's effect at layer l is the largest over the tokens from the subject on, restoring a window around l.
"""

import argparse
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from papers.localization.modes import Mode, mode_named
from shared import runtime
from shared.errors import DataError, reported
from shared.measures.intervals import mean_interval
from shared.records import atomic_path, read_jsonl

log = logging.getLogger(__name__)

LONG_COLUMNS = [
    *["input_id", "input_str", "label_str", "orig_pred_prob", "corrupted_pred_prob", "subj_begin_idx", "subj_end_idx"],
    *["token_idx", "layer_idx", "restore_prob", "token_str", "module", "seq_len", "last_seq_token", "is_correct"],
    *["is_subj_token", "trace_window_size"],
]
EFFECT_COLUMNS = [
    *["case_id", "window", "layer", "max_restored_effect", "max_fraction_restored"],
    *["last_subject_effect", "last_subject_fraction"],
]
ZEROED = "zeroed"
Trace = Mapping[str, Any]


def read_traces(paths: Iterable[str | Path]) -> list[Trace]:
    """Return the traces of one or several files.

    Raises:
        DataError: a line is no trace, or a case occurs twice.
    """
    traces: dict[int, Trace] = {}
    for path in paths:
        for number, row in enumerate(read_jsonl(path), start=1):
            if not {"case_id", "clean", "corrupted", "restored", "subject_range"} <= row.keys():
                raise DataError(f"{path}, line {number}: expected a line of papers.localization.tracing")
            if row["case_id"] in traces:
                raise DataError(f"{path}, line {number}: case_id {row['case_id']} was traced twice")
            traces[row["case_id"]] = row
    return list(traces.values())


def ceiling(trace: Trace, window: str, mode: Mode) -> float:
    """Return the probability that counts as restoring everything: the clean one, or the best reached (quirk Q2)."""
    clean = trace["clean"]
    return max(clean, float(np.max(trace["restored"][window]))) if mode.ceiling == "best" else clean


def fraction_restored(
    restored: Float[np.ndarray, "*cell"], corrupted: float, whole: float
) -> Float[np.ndarray, "*cell"]:
    """Return max(0, (restored − corrupted) / |whole − corrupted|), NaN where corrupting changes nothing."""
    lost = abs(whole - corrupted)
    return np.maximum(0.0, (restored - corrupted) / lost) if lost > 0 else np.full(restored.shape, np.nan)


def effects_by_layer(traces: Sequence[Trace], mode: Mode) -> pd.DataFrame:
    """Return each fact's effects by window and layer, and under the window `zeroed` those of silent MLPs.

    Columns: case_id; window; layer; max_restored_effect and max_fraction_restored, over tokens; last_subject_effect and
    last_subject_fraction, at the subject's last token. For `zeroed`, `max_fraction_restored` is the fraction of the
    clean probability that is lost, within [0, 1], and nothing else is known.
    """
    frames = []
    for trace in traces:
        first, stop = trace["subject_range"]
        for window in trace["restored"]:
            restored = np.asarray(trace["restored"][window], float)
            fraction = fraction_restored(restored, trace["corrupted"], ceiling(trace, window, mode))
            last = stop - first - 1
            frames.append(
                pd.DataFrame(
                    {
                        "case_id": trace["case_id"],
                        "window": window,
                        "layer": np.arange(restored.shape[1]),
                        "max_restored_effect": restored.max(0) - trace["corrupted"],
                        "max_fraction_restored": fraction.max(0),
                        "last_subject_effect": restored[last] - trace["corrupted"],
                        "last_subject_fraction": fraction[last],
                    }
                )
            )
        if ZEROED in trace:
            lost = np.clip((trace["clean"] - np.asarray(trace[ZEROED])) / trace["clean"], 0, 1)
            frames.append(
                pd.DataFrame(
                    {
                        "case_id": trace["case_id"],
                        "window": ZEROED,
                        "layer": np.arange(len(lost)),
                        "max_fraction_restored": lost,
                    }
                )
            )
    return pd.concat(frames, ignore_index=True)[EFFECT_COLUMNS]


def means_by_window(effects: pd.DataFrame) -> pd.DataFrame:
    """Return the mean effects over facts by window and layer, each over the facts where it is positive (quirk Q8).

    Columns: effect (a column of `effects`), window, layer, value, low, high (95 % bootstrap), n.
    """
    lines = []
    for effect in ("max_fraction_restored", "last_subject_effect"):
        chosen = effects[(effects[effect] > 0) & (effects["window"] != ZEROED)]
        for (window, layer), rows in chosen.groupby(["window", "layer"]):
            found = mean_interval(rows[effect].to_numpy(float))
            lines.append((effect, int(window), layer, found.mean, found.low, found.high, found.n))
    columns = ["effect", "window", "layer", "value", "low", "high", "n"]
    return pd.DataFrame(lines, columns=columns).sort_values(columns[:3], kind="stable")


def peaks(traces: Sequence[Trace]) -> pd.DataFrame:
    """Return the layers where each fact's largest restored effect is reached, if any effect is positive.

    A tie, as between windows that are the same after clipping, gives one line per layer, as in the paper's counts.

    Columns: case_id, window, layer, effect.
    """
    lines = []
    for trace in traces:
        for window, table in trace["restored"].items():
            effects = np.asarray(table, float) - trace["corrupted"]
            best = effects.max()
            if best > 0:
                layers = np.unique(np.argwhere(effects == best)[:, 1])
                lines += [(trace["case_id"], int(window), int(layer), best) for layer in layers]
    return pd.DataFrame(lines, columns=["case_id", "window", "layer", "effect"])


def long_table(traces: Sequence[Trace], mode: Mode) -> Iterator[pd.DataFrame]:
    """Yield the released code's long table, fact by fact: one line per window, prompt token and layer.

    Tokens before the subject have the corrupted probability. `is_subj_token` is true from the subject on, and
    `orig_pred_prob` is the ceiling, both as released.
    """
    for trace in traces:
        first, stop = trace["subject_range"]
        for window in trace["restored"]:
            restored = np.asarray(trace["restored"][window], float)
            before = np.full((first, restored.shape[1]), trace["corrupted"])
            cells = np.concatenate([before, restored])
            tokens, layers = (index.ravel() for index in np.indices(cells.shape))
            yield pd.DataFrame(
                {
                    "input_id": trace["case_id"],
                    "input_str": trace["prompt"],
                    "label_str": trace["target"],
                    "orig_pred_prob": ceiling(trace, window, mode),
                    "corrupted_pred_prob": trace["corrupted"],
                    "subj_begin_idx": first,
                    "subj_end_idx": stop,
                    "token_idx": tokens,
                    "layer_idx": layers,
                    "restore_prob": cells.ravel(),
                    "token_str": np.asarray(trace["tokens"], object)[tokens],
                    "module": "mlp",
                    "seq_len": len(trace["tokens"]),
                    "last_seq_token": tokens == len(trace["tokens"]) - 1,
                    "is_correct": True,
                    "is_subj_token": tokens >= first,
                    "trace_window_size": int(window),
                }
            )[LONG_COLUMNS]


def _write(frames: Iterable[pd.DataFrame], path: Path) -> None:
    with atomic_path(path) as part, open(part, "w", encoding="utf-8", newline="") as lines:
        for place, frame in enumerate(frames):
            frame.to_csv(lines, index=False, header=place == 0, float_format="%.8g", lineterminator="\n")


@reported(log)
def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m papers.localization.effects", description=__doc__.split("\n")[0])
    parser.add_argument("--traces", type=Path, nargs="+", required=True, help="traces.jsonl")
    parser.add_argument("--mode", default="as_paper", help="as_paper (default) or as_released")
    parser.add_argument("--long", type=Path, help="long table to write, a line per window, token and layer")
    parser.add_argument(
        "--effects", type=Path, required=True, help="effects of each fact by window and layer, to write"
    )
    parser.add_argument("--peaks", type=Path, required=True, help="peak layers of each fact, to write")
    parser.add_argument("--means", type=Path, required=True, help="mean effects by window and layer, to write")
    options = parser.parse_args(arguments)
    runtime.start_logging()
    mode, traces = mode_named(options.mode), read_traces(options.traces)
    if not traces:
        raise DataError(f"{', '.join(map(str, options.traces))}: no fact was traced; the model knows none of them")
    if options.long:
        _write(long_table(traces, mode), options.long)
    effects = effects_by_layer(traces, mode)
    _write([effects], options.effects)
    _write([means_by_window(effects)], options.means)
    _write([peaks(traces)], options.peaks)
    log.info("%d facts", len(traces))


if __name__ == "__main__":
    main()
