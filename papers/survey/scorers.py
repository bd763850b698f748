"""From stored answers to numbers of each case, by four scorers that judge the same rows.

- `survey`: teacher-forced, the share of an answer's tokens that are most probable; locality: the share of positions at
  which the edited and the *unedited* model find the same token most probable (EasyEdit, `test_prediction_acc` and
  `finalize_locality_metrics`).
- `wild`: what the model says freely must be the answer, both normalised; locality: it must be what the unedited model
  says (Yang et al. 2025, arXiv:2502.11177, with exact match in the place of a judge).
- `rome`: CounterFact's scores and magnitudes (`shared.measures.metrics.rome`).
- `plus`: neighborhoods with and without the edited sentence before them (Hoelscher-Obermaier et al. 2023,
  arXiv:2305.17553).
"""

import math
import re
import string
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from papers.survey.contract import LOCALITY, PORTABILITY
from shared.data.probes import POST, PRE, ProbeRow
from shared.errors import DataError
from shared.measures.intervals import LEVEL, Interval, harmonic_mean_interval, mean_intervals, percentile_bounds
from shared.measures.metrics import rome
from shared.seeding import seed_for

GROUP = ["form", "editor", "protocol"]
CASE = [*GROUP, "case_id"]
FOLLOWS = {"rewrite": "reliability", "paraphrase": "generalization"} | {
    family: f"portability_{family}" for family in PORTABILITY
}
STAYS = {"locality": "locality", "neighborhood": "neighborhood"} | {family: f"locality_{family}" for family in LOCALITY}
CHOICE = "locality_other_task"
ROME_NAMES = {
    **{f"{long}_score": f"{short}S" for long, short in (("efficacy", "E"), ("paraphrase", "P"), ("neighborhood", "N"))},
    **{
        f"{long}_magnitude": f"{short}M"
        for long, short in (("efficacy", "E"), ("paraphrase", "P"), ("neighborhood", "N"))
    },
}
SCORE_PARTS = ["ES", "PS", "NS"]
PLUS_KINDS = {"neighborhood": "", "distracting": "+"}
DRAWS = 1000


def normalised(text: str | None) -> str | None:
    """Return a text in lower case, without punctuation, articles and spare spaces (as SQuAD's exact match does)."""
    if text is None:
        return None
    bare = "".join(letter for letter in text.lower() if letter not in string.punctuation)
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", bare).split())


def _share(flags: Sequence[bool] | None) -> float:
    return sum(flags) / len(flags) if flags else math.nan


def _nll(log_probs: Sequence[float] | None) -> float:
    return -sum(log_probs) / len(log_probs) if log_probs else math.nan


def _same(one: Sequence[int] | None, other: Sequence[int] | None) -> float:
    if not one or not other:
        return math.nan
    if len(one) != len(other):
        raise DataError(f"the same answer has {len(one)} tokens after an edit and {len(other)} before it")
    return sum(a == b for a, b in zip(one, other, strict=True)) / len(one)


def _equal(one: str | None, other: str | None) -> float:
    return math.nan if one is None or other is None else float(normalised(one) == normalised(other))


def split_protocol(protocol: str) -> tuple[str, str]:
    """Return how edits were made, and the form, from a row's protocol."""
    edited, _, form = protocol.rpartition("/")
    return edited, form


def answers_frame(rows: Iterable[ProbeRow]) -> pd.DataFrame:
    """Return one line per answer of an edited model, beside the unedited model's answer to the same probe.

    Columns: `form`, `editor`, `protocol`, `case_id`, `kind`, `prompt_index`; `forced_new`, `same_forced` (shares of
    tokens), `free_new`, `same_free` (0 or 1), `nll_new`, `nll_true` (nats per token), `kl` (nats).

    Raises:
        DataError: a probe was not asked of the unedited model, or by two editors of one name.
    """
    rows = list(rows)
    before: dict[tuple, ProbeRow] = {}
    for row in rows:
        if row.phase == PRE:
            before[(split_protocol(row.protocol)[1], *row.key)] = row
    lines = []
    for row in (row for row in rows if row.phase == POST):
        edited, form = split_protocol(row.protocol)
        unedited = before.get((form, *row.key))
        if unedited is None:
            raise DataError(
                f"case_id {row.case_id}: {row.kind} probe {row.prompt_index} of {row.editor} ({row.protocol}) was not "
                "asked of the unedited model"
            )
        named = {"form": form, "editor": row.editor, "protocol": edited}
        lines.append(
            named
            | {name: getattr(row, name) for name in ("case_id", "kind", "prompt_index")}
            | {
                "forced_new": _share(row.correct_new),
                "same_forced": _same(row.predicted_true, unedited.predicted_true),
                "free_new": _equal(row.continuation, row.target_new),
                "same_free": _equal(row.continuation, unedited.continuation),
                "nll_new": _nll(row.logprobs_new),
                "nll_true": _nll(row.logprobs_true),
                "kl": math.nan if row.first_kl is None else row.first_kl,
            }
        )
    frame = pd.DataFrame(lines)
    if len(frame) and frame.duplicated([*CASE, "kind", "prompt_index"]).any():
        raise DataError("a probe is answered twice under one editor and protocol; read each file of rows once")
    return frame


def _per_case(frame: pd.DataFrame, follows: str, stays: str, choices: bool) -> pd.DataFrame:
    """Return one column per metric: what should follow read from one column, what should stay from another."""
    parts = {}
    for kind, metric in FOLLOWS.items():
        chosen = frame[frame["kind"] == kind]
        parts[metric] = chosen.groupby(CASE)[follows].mean()
    for kind, metric in STAYS.items():
        chosen = frame[frame["kind"] == kind]
        if metric == CHOICE:
            right = (chosen["nll_true"] < chosen["nll_new"]).astype(float)
            chosen = chosen.assign(**{stays: right.mask(chosen["nll_true"].isna() | chosen["nll_new"].isna())})
        if metric != CHOICE or choices:
            parts[metric] = chosen.groupby(CASE)[stays].mean()
    cases = pd.MultiIndex.from_frame(frame[CASE].drop_duplicates())
    found = pd.concat({metric: part.reindex(cases) for metric, part in parts.items()}, axis=1)
    found["locality"] = found["locality"].fillna(found.pop("neighborhood"))
    return found


def survey(frame: pd.DataFrame) -> pd.DataFrame:
    """Return EasyEdit's metrics per case, in percent; of `other_task`, right choices."""
    return _per_case(frame, "forced_new", "same_forced", choices=True) * 100


def wild(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the metrics of free answers per case, in percent."""
    return _per_case(frame, "free_new", "same_free", choices=False) * 100


def rome_scores(rows: Iterable[ProbeRow]) -> pd.DataFrame:
    """Return ROME's metrics per case: scores in percent, magnitudes as differences of probabilities."""
    found = rome([row for row in rows if row.phase == POST and row.kind in ("rewrite", "paraphrase", "neighborhood")])
    found = found.rename(columns=ROME_NAMES).reset_index()
    parts = [split_protocol(protocol) for protocol in found["protocol"]]
    found["protocol"], found["form"] = zip(*parts, strict=True)
    scaled = {name: found[name] * 100 for name in SCORE_PARTS}
    return found.assign(**scaled).set_index(CASE)[list(ROME_NAMES.values())]


def plus_probes(frame: pd.DataFrame) -> pd.DataFrame:
    """Return CounterFact+'s numbers of each neighbourhood prompt, alone and behind the edited sentence.

    Cases without a neighborhood are left out: of them nothing has the object that the edit takes away.
    """
    near = frame[frame["kind"] == "neighborhood"][CASE].drop_duplicates()
    found = []
    for kind, mark in PLUS_KINDS.items():
        chosen = frame[frame["kind"] == kind].merge(near, on=CASE)
        chosen = chosen[chosen["nll_new"].notna() & chosen["nll_true"].notna()]
        values = {
            f"NS{mark}": (chosen["nll_true"] < chosen["nll_new"]) * 100.0,
            f"NM{mark}": np.exp(-chosen["nll_true"]) - np.exp(-chosen["nll_new"]),
            f"NKL{mark}": chosen["kl"],
        }
        found.append(chosen[[*CASE, "prompt_index"]].assign(**values).set_index([*CASE, "prompt_index"]))
    return pd.concat(found, axis=1)


def hierarchical_interval(values: Sequence[Sequence[float]], seed: int = 0, draws: int = DRAWS) -> Interval:
    """Return the mean over cases of the means over their prompts, with a bootstrap that draws cases, then prompts.

    Args:
        values: one list per case; NaN is left out, and so are cases without a value.
    """
    kept = [[value for value in case if not math.isnan(value)] for case in values]
    kept = [case for case in kept if case]
    if not kept:
        return Interval(math.nan, math.nan, math.nan, 0)
    rng = np.random.default_rng(seed_for("survey", "hierarchical", seed))
    sizes = np.array([len(case) for case in kept])
    padded = np.zeros((len(kept), sizes.max()))
    for row, case in enumerate(kept):
        padded[row, : len(case)] = case
    cases = rng.integers(0, len(kept), (draws, len(kept)))  # (draw, case)
    slots = np.arange(sizes.max())
    prompts = (rng.random((draws, len(kept), sizes.max())) * sizes[cases][:, :, None]).astype(int)
    drawn = padded[cases[:, :, None], prompts]
    used = slots < sizes[cases][:, :, None]
    means = ((drawn * used).sum(-1) / used.sum(-1)).mean(1)
    low, high = percentile_bounds(means, LEVEL)
    return Interval(float(np.mean([np.mean(case) for case in kept])), low, high, len(kept))


def summarised(cases: pd.DataFrame, scorer: str, seed: int = 0) -> list[dict[str, object]]:
    """Return means over cases with intervals, one line per group and metric that has a value."""
    lines = []
    for group, chosen in cases.groupby(level=GROUP, sort=False):
        names = dict(zip(GROUP, group, strict=True)) | {"scorer": scorer}
        found = zip(chosen.columns, mean_intervals(chosen.to_numpy(float), seed=seed), strict=True)
        lines += [names | {"metric": metric} | vars(interval) for metric, interval in found if interval.n]
        if scorer == "rome":
            whole = harmonic_mean_interval(chosen[SCORE_PARTS].to_numpy(float), seed=seed)
            lines += [names | {"metric": "S"} | vars(whole)] if whole.n and not math.isnan(whole.mean) else []
    return lines


def summarised_plus(probes: pd.DataFrame, seed: int = 0) -> list[dict[str, object]]:
    """Return CounterFact+'s means over cases, with intervals of the hierarchical bootstrap."""
    lines = []
    for group, chosen in probes.groupby(level=GROUP, sort=False):
        names = dict(zip(GROUP, group, strict=True)) | {"scorer": "plus"}
        for metric in chosen.columns:
            values = [list(case) for _, case in chosen[metric].groupby(level="case_id")]
            interval = hierarchical_interval(values, seed)
            lines += [names | {"metric": metric} | vars(interval)] if interval.n else []
    return lines
