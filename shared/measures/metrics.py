"""From probe rows to numbers: per-case metrics, then means over cases with intervals.

Every set of metrics is named after the paper that defines it, because equal names hide different definitions. Values
are in natural units (shares and probabilities in [0, 1], entropy in bits); the papers' tables print all of them ×100.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from shared.data.probes import GENERATION, OTHER_FACT, POST, PRE, ProbeRow
from shared.errors import ConfigError, DataError
from shared.measures.intervals import RESAMPLES, harmonic_mean_interval, mean_intervals, normal_half_width
from shared.measures.text_metrics import ReferenceScorer, generation_entropy

GROUP = ["editor", "phase", "protocol", "seed"]
CASE = [*GROUP, "case_id"]


def _mean_nll(logprobs: tuple[float, ...] | None) -> float:
    return -sum(logprobs) / len(logprobs) if logprobs else np.nan


def _share(flags: tuple[bool, ...] | None) -> float:
    return sum(flags) / len(flags) if flags else np.nan


def probe_frame(rows: Iterable[ProbeRow]) -> pd.DataFrame:
    """Return one line per probe with the quantities metrics are made of.

    Columns: those of `CASE`, `kind`, `prompt_index`, `prompt`, `text`; `nll_new`, `nll_true` (mean negative
    log-probability per token, in nats); `accuracy_new`, `accuracy_true` (share of tokens that are most probable).

    Raises:
        DataError: there are no rows, or the same probe is answered twice in one group.
    """
    records = [
        {
            **{name: getattr(row, name) for name in (*CASE, "kind", "prompt_index", "prompt", "text")},
            "nll_new": _mean_nll(row.logprobs_new),
            "nll_true": _mean_nll(row.logprobs_true),
            "accuracy_new": _share(row.correct_new),
            "accuracy_true": _share(row.correct_true),
        }
        for row in rows
    ]
    if not records:
        raise DataError("no probe rows: the evaluation wrote nothing, so there is nothing to measure")
    frame = pd.DataFrame.from_records(records)
    twice = frame.duplicated([*CASE, "kind", "prompt_index"])
    if twice.any():
        first = frame[twice].iloc[0]
        raise DataError(
            f"case_id {first.case_id}: {first.kind} probe {first.prompt_index} of editor {first.editor!r} "
            f"({first.phase}) is answered twice; read each file of rows once"
        )
    return frame


def _per_case(frame: pd.DataFrame, kind: str, columns: Callable[[pd.DataFrame], dict[str, pd.Series]]) -> pd.DataFrame:
    """Return the mean over each case's prompts of one kind."""
    chosen = frame[frame.kind == kind]
    return chosen[CASE].assign(**columns(chosen)).groupby(CASE).mean()


def _join(parts: list[pd.DataFrame], frame: pd.DataFrame) -> pd.DataFrame:
    """Put metrics of one case side by side; a metric its case has no prompts for is NaN."""
    cases = pd.MultiIndex.from_frame(frame[CASE].drop_duplicates())
    return pd.concat([part.reindex(cases) for part in parts], axis=1).sort_index()


def _compare(prefix: str, wanted: str, other: str) -> Callable[[pd.DataFrame], dict[str, pd.Series]]:
    """Return columns that ask by how much `wanted` is more probable than `other`; equal probability is no success."""

    def columns(frame: pd.DataFrame) -> dict[str, pd.Series]:
        nll_wanted, nll_other = frame[f"nll_{wanted}"], frame[f"nll_{other}"]
        missing = nll_wanted.isna() | nll_other.isna()
        return {
            f"{prefix}_score": (nll_wanted < nll_other).astype(float).mask(missing),
            f"{prefix}_magnitude": np.exp(-nll_wanted) - np.exp(-nll_other),
        }

    return columns


def rome(rows: Iterable[ProbeRow], references: ReferenceScorer | None = None) -> pd.DataFrame:
    """Return the CounterFact metrics of each case (ROME, §3.4; Meng et al. 2022, arXiv:2202.05262).

    The probability of an object is exp of the mean log-probability of its tokens. Per case, averaged over its prompts:

    - `efficacy_score` (ES) 1[P(new) > P(true)] and `efficacy_magnitude` (EM) P(new) − P(true) on the rewrite prompt;
    - `paraphrase_score` (PS), `paraphrase_magnitude` (PM): the same on paraphrases;
    - `neighborhood_score` (NS) 1[P(true) > P(new)] and `neighborhood_magnitude` (NM) P(true) − P(new) on
      neighborhood prompts;
    - `generation_entropy` (GE, bits) and `reference_score` (RS) of generated texts, where there are any.

    Equal probabilities count as failure on either side. Attribute prompts enter no metric.

    Args:
        rows: of any number of editors, phases, protocols and seeds; these are kept apart.
        references: compares generated texts with references; without it there is no `reference_score`.

    Returns:
        One line per (editor, phase, protocol, seed, case_id); NaN where a case has no prompt of a kind.
    """
    frame = probe_frame(rows)
    parts = [
        _per_case(frame, "rewrite", _compare("efficacy", "new", "true")),
        _per_case(frame, "paraphrase", _compare("paraphrase", "new", "true")),
        _per_case(frame, "neighborhood", _compare("neighborhood", "true", "new")),
    ]
    texts = frame[frame.kind == GENERATION]
    if len(texts):
        entropy = texts[CASE].assign(generation_entropy=texts.text.map(generation_entropy))
        parts.append(entropy.groupby(CASE).mean())
        if references is not None:
            parts.append(_reference_scores(texts, references))
    return _join(parts, frame)


def _reference_scores(texts: pd.DataFrame, references: ReferenceScorer) -> pd.DataFrame:
    ordered = texts.sort_values("prompt_index").groupby(CASE).text.agg(list)
    scores = [references.score(case[-1], generated) for case, generated in ordered.items()]
    return pd.DataFrame({"reference_score": scores}, index=ordered.index)


def memit(rows: Iterable[ProbeRow], references: ReferenceScorer | None = None) -> pd.DataFrame:
    """Return ROME's CounterFact metrics with the accuracies that MEMIT adds (Meng et al. 2023, arXiv:2210.07229).

    A prompt is answered right if every token of the wanted object is the most probable one, teacher forced (the
    authors' `*_prompts_correct`): the new object on the rewrite prompt (`efficacy_accuracy`, EA) and on paraphrases
    (`paraphrase_accuracy`, PA), the true one on neighborhood prompts (`neighborhood_accuracy`, NA).

    Args and returns: as for `rome`.
    """
    rows = list(rows)
    frame = probe_frame(rows)
    frame = frame.assign(right_new=frame.accuracy_new == 1, right_true=frame.accuracy_true == 1)
    wanted = (
        ("rewrite", "efficacy", "new"),
        ("paraphrase", "paraphrase", "new"),
        ("neighborhood", "neighborhood", "true"),
    )
    parts = [
        _per_case(
            frame,
            kind,
            lambda chosen, name=name, side=side: {
                f"{name}_accuracy": chosen[f"right_{side}"].astype(float).mask(chosen[f"accuracy_{side}"].isna())
            },
        )
        for kind, name, side in wanted
    ]
    return rome(rows, references).join(_join(parts, frame))


def zsre_rome(rows: Iterable[ProbeRow]) -> pd.DataFrame:
    """Return the zsRE accuracies of each case as ROME and MEMIT compute them (ROME, §3.2; authors' evaluation code).

    `efficacy_accuracy` on the question, `paraphrase_accuracy` on its rephrasing: share of the new answer's tokens that
    are most probable given the question and the tokens before them. `specificity_accuracy`: the same for the correct
    answers of unrelated questions; it is not agreement with the unedited model.

    Deviation: the authors feed each answer prefix as text and compare with the first token of the re-tokenised token;
    feeding the tokens themselves gives the same wherever a token survives being decoded and encoded again.

    Returns:
        One line per (editor, phase, protocol, seed, case_id).
    """
    frame = probe_frame(rows)
    parts = [
        _per_case(frame, kind, lambda chosen, name=name, column=column: {name: chosen[column]})
        for kind, name, column in (
            ("rewrite", "efficacy_accuracy", "accuracy_new"),
            ("paraphrase", "paraphrase_accuracy", "accuracy_new"),
            ("locality", "specificity_accuracy", "accuracy_true"),
        )
    ]
    return _join(parts, frame)


def other_facts_kept(rows: Iterable[ProbeRow]) -> pd.DataFrame:
    """Return, per case, the share of the subject's other facts known before the edit that are still known after it.

    A fact is known if every token of its answer is the most probable one, teacher forced. Cases without a fact known
    before are NaN.

    Args:
        rows: with `other_fact` probes of both phases, from the same run.

    Returns:
        One line per case of phase `post` with column `other_facts_kept`.

    Raises:
        DataError: a probe scored after the edit was not scored before it.
    """
    frame = probe_frame(rows)
    facts = frame[frame.kind == OTHER_FACT].assign(known=lambda chosen: chosen.accuracy_true == 1)
    shared = ["protocol", "seed", "case_id", "prompt_index"]
    before = facts[facts.phase == PRE][[*shared, "known"]]
    after = facts[facts.phase == POST].merge(before, on=shared, how="left", suffixes=("", "_before"))
    lost = after[after.known_before.isna()]
    if len(lost):
        raise DataError(
            f"case_id {lost.iloc[0].case_id}: other_fact probe {lost.iloc[0].prompt_index} has no row of phase "
            f"{PRE!r}; other_facts_kept counts only facts known before the edit: pass the rows of both phases"
        )
    kept = after.known.astype(float).where(after.known_before.astype(bool))
    return after[CASE].assign(other_facts_kept=kept).groupby(CASE).mean()


@dataclass(frozen=True)
class MetricSet:
    """How a paper turns probe rows into per-case values.

    Attributes:
        per_case: takes the rows, and a `ReferenceScorer` or None where `compares_texts`.
        score_of: the metrics whose means its Score combines.
        compares_texts: whether generated texts are compared with references.
    """

    per_case: Callable[..., pd.DataFrame]
    score_of: tuple[str, ...] = ()
    compares_texts: bool = False


METRIC_SETS = {
    "rome": MetricSet(rome, ("efficacy_score", "paraphrase_score", "neighborhood_score"), compares_texts=True),
    "memit": MetricSet(memit, ("efficacy_score", "paraphrase_score", "neighborhood_score"), compares_texts=True),
    "zsre_rome": MetricSet(zsre_rome, ("efficacy_accuracy", "paraphrase_accuracy", "specificity_accuracy")),
    "other_facts_kept": MetricSet(other_facts_kept),
}


def summarise(cases: pd.DataFrame, definition: str, *, seed: int = 0, resamples: int = RESAMPLES) -> pd.DataFrame:
    """Return means over cases with intervals, one line per group and metric.

    `score` is the harmonic mean of the means of the definition's three parts (ROME, §3.4), never a mean of per-case
    scores; its interval resamples cases, the same draw for all three.

    Args:
        cases: from the definition's per-case function.
        definition: name in `METRIC_SETS`.
        seed, resamples: of the bootstrap.

    Returns:
        Columns: those of `GROUP`, `definition`, `metric`, `mean`, `low`, `high` (95 % percentile bootstrap),
        `normal_half_width` (1.96·σ/√n, as the authors print), `n` (cases that have a value). A metric without any
        value has n 0 and NaN.

    Raises:
        ConfigError: the definition is unknown.
    """
    if definition not in METRIC_SETS:
        raise ConfigError(f"metric definition {definition!r} is unknown; choose one of {', '.join(METRIC_SETS)}")
    parts = list(METRIC_SETS[definition].score_of)
    lines = []
    for group, chosen in cases.groupby(level=GROUP):
        names = dict(zip(GROUP, group, strict=True)) | {"definition": definition}
        values = chosen.to_numpy(float)
        found = zip(chosen.columns, mean_intervals(values, seed=seed, resamples=resamples), values.T, strict=True)
        for metric, interval, column in found:
            lines.append({**names, "metric": metric, **vars(interval), "normal_half_width": normal_half_width(column)})
        if parts:
            interval = harmonic_mean_interval(chosen[parts].to_numpy(float), seed=seed, resamples=resamples)
            lines.append({**names, "metric": "score", **vars(interval), "normal_half_width": np.nan})
    order = [*GROUP, "definition", "metric", "mean", "low", "high", "normal_half_width", "n"]
    return pd.DataFrame(lines, columns=order)
