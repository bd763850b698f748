"""What the items share: what models say about facts as numbers with intervals, and how methods are written."""

import numpy as np
import pandas as pd

from shared.measures.intervals import Interval, bootstrap_means, mean_interval, percentile_bounds
from shared.report.item_command import Request

TITLES = {"vanilla": "Vanilla", "calinet": "CaliNet", "cp": "C.P."}
UNITS = "False rate, EM and F1 in percent; the others are perplexities, per token."


def percent(values: pd.Series) -> Interval:
    """Return a mean in percent with its interval over facts."""
    return mean_interval(100 * np.asarray(values, float))


def perplexity(nll: pd.Series, tokens: pd.Series) -> Interval:
    """Return exp(nats per token) with its interval over facts or texts."""
    values = np.stack([np.asarray(nll, float), np.asarray(tokens, float)], 1)
    draws = bootstrap_means(values)
    low, high = percentile_bounds(draws[:, 0] / draws[:, 1])
    return Interval(float(np.exp(values[:, 0].sum() / values[:, 1].sum())), np.exp(low), np.exp(high), len(values))


def measured(facts: pd.DataFrame, texts: pd.DataFrame | None = None) -> dict[str, Interval]:
    """Return the metrics of one calibrated model (§4.1); its language-modelling perplexity where texts are given."""
    found = {
        "false_rate": percent(facts["score"] < 1),
        "original": perplexity(facts["nll"], facts["tokens"]),
        "adversarial": perplexity(facts["false_nll"], facts["false_tokens"]),
        "exact_match": percent(facts["exact"]),
        "overlap": percent(facts["overlap"]),
    }
    if texts is not None:
        found["language_modelling"] = perplexity(texts["nll"], texts["tokens"])
    return found


def scale_note(request: Request) -> str:
    """Return what every item says about its run."""
    return f"Scale: {request.settings['scale']}. Brackets: 95 % interval, facts (or texts) resampled."
