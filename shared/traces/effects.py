"""Average effects of causal tracing by kind of token (ROME §2, Figs. 2 and 3), as pure functions of traces.

    total effect      TE  = P(answer, clean)    − P(answer, corrupted)
    indirect effect   IE  = P(answer, restored) − P(answer, corrupted)

averaged over facts: ATE, and AIE for each category of token and each layer.
"""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from shared.data.requests import KnownFact
from shared.errors import DataError
from shared.model.forward import embed, pad_right, run_blocks, token_batches
from shared.model.models import LM
from shared.traces.noise import Noise, embedding_std
from shared.traces.severed import FrozenNoise, trace_severed
from shared.traces.trace_runs import MAX_TOKENS, Corruption, TracedFact, make_fact
from shared.traces.tracing import FactTrace, Restoration, RestorationKind, trace_facts
from shared.traces.wavefront import greedy_tokens

CATEGORIES = ("first_subject", "middle_subject", "last_subject", "first_subsequent", "further", "last")


def category_positions(start: int, stop: int, length: int) -> dict[str, range]:
    """Return the token positions of each category in a prompt (§2.2 of the authors' aggregation).

    A one-token subject is both first and last subject token, and if one token follows the subject it is both the first
    subsequent and the last token, as in the authors' code. Categories without tokens are empty.

    Args:
        start, stop: token range [start, stop) of the subject.
        length: number of prompt tokens.
    """
    return {
        "first_subject": range(start, start + 1),
        "middle_subject": range(start + 1, stop - 1),
        "last_subject": range(stop - 1, stop),
        "first_subsequent": range(stop, min(stop + 1, length)),
        "further": range(stop + 1, length - 1),
        "last": range(length - 1, length),
    }


@torch.no_grad()
def predicted_answers(lm: LM, facts: Sequence[TracedFact], max_tokens: int = MAX_TOKENS) -> list[str]:
    """Return the model's most probable next token after each prompt, decoded.

    A fact is known to the model, and traced, if this string without surrounding spaces is its attribute exactly.
    """
    answers: list[str] = [""] * len(facts)
    for batch in token_batches([len(fact.ids) for fact in facts], max_tokens):
        ids = pad_right([facts[index].ids for index in batch], lm.tokenizer.pad_token_id, lm.device)
        hidden = run_blocks(lm, embed(lm, ids), range(lm.arch.n_layers))
        final = hidden[range(len(batch)), [len(facts[index].ids) - 1 for index in batch]]
        for index, token in zip(batch, greedy_tokens(lm, final).tolist(), strict=True):
            answers[index] = lm.tokenizer.decode([token])
    return answers


@dataclass(frozen=True)
class EffectSummary:
    """Average causal effects over facts, in units of probability.

    Attributes:
        count: number of facts.
        clean, corrupted: mean probability of the answer.
        indirect: restoration kind → category → AIE by layer (categories without tokens are absent).
        severed: `ordinary`, `mlp`, `attention` → AIE by layer at the last subject token, with those modules severed.
    """

    count: int
    clean: float
    corrupted: float
    indirect: dict[str, dict[str, Float[Tensor, " layer"]]]
    severed: dict[str, Float[Tensor, " layer"]]

    @property
    def total(self) -> float:
        """Average total effect."""
        return self.clean - self.corrupted


def category_means(traces: Iterable[FactTrace], restoration: Restoration) -> dict[str, Float[Tensor, " layer"]]:
    """Return the mean restored probability by category and layer, pooled over tokens and facts."""
    pooled: dict[str, list[Tensor]] = {category: [] for category in CATEGORIES}
    for trace in traces:
        places = category_positions(trace.fact.start, trace.fact.stop, len(trace.fact.ids))
        for category, positions in places.items():
            pooled[category].extend(trace.scores[restoration][position] for position in positions)
    return {category: torch.stack(rows).double().mean(0) for category, rows in pooled.items() if rows}


def average_indirect_effect(
    lm: LM,
    facts: Sequence[KnownFact],
    *,
    kinds: Sequence[RestorationKind] = ("state",),
    window: int = 3,
    severed: bool = True,
    frozen_noise: FrozenNoise = "next",
    noise_multiple: float = 3.0,
    samples: int = 10,
    only_correct: bool = True,
    max_tokens: int = MAX_TOKENS,
) -> EffectSummary:
    """Trace facts and average: does the model have an early site at the last subject token? (ROME Figs. 2 and 3)

    Args:
        facts: prompts with subject and known answer.
        kinds: what to restore; `mlp` and `attention` in windows of `window` layers.
        severed: also trace the last subject token with its MLPs and with its attention severed.
        frozen_noise: see `trace_severed`.
        noise_multiple: noise in multiples of the standard deviation of the subjects' embeddings.
        samples: corrupted runs per fact.
        only_correct: drop the facts whose answer the model does not predict.
        max_tokens: bound on the tokens of one forward pass.

    Raises:
        DataError: no facts, or none that the model answers correctly.

    Cost: see `shared.traces.tracing`; some 0.1 s per fact for states and severed curves (8 layers of width
        128, one core).
    """
    noise = Noise(scale=noise_multiple * embedding_std(lm, [fact.subject for fact in facts]))
    corruption = Corruption(noise, samples)
    restorations = [Restoration(kind, 1 if kind == "state" else window) for kind in kinds]
    traced = [make_fact(lm, fact.prompt, fact.subject, fact_id=fact.known_id) for fact in facts]
    if only_correct:
        answers = predicted_answers(lm, traced, max_tokens)
        known = [answer.strip() == fact.attribute for answer, fact in zip(answers, facts, strict=True)]
        traced = list(itertools.compress(traced, known))
    if not traced:
        raise DataError(f"{lm.name}: the model answers none of the {len(facts)} facts correctly, so none can be traced")
    traces = trace_facts(lm, traced, restorations, corruption, max_tokens=max_tokens)
    low = sum(trace.low for trace in traces) / len(traces)
    return EffectSummary(
        count=len(traces),
        clean=sum(trace.high for trace in traces) / len(traces),
        corrupted=low,
        indirect={
            restoration.kind: {name: mean - low for name, mean in category_means(traces, restoration).items()}
            for restoration in restorations
        },
        severed=_severed_effects(lm, traced, corruption, frozen_noise, max_tokens) if severed else {},
    )


def _severed_effects(
    lm: LM, facts: Sequence[TracedFact], corruption: Corruption, frozen_noise: FrozenNoise, max_tokens: int
) -> dict[str, Float[Tensor, " layer"]]:
    traces = trace_severed(lm, facts, corruption, frozen_noise=frozen_noise, max_tokens=max_tokens)
    low = sum(trace.low for trace in traces) / len(traces)
    curves = {
        "ordinary": [trace.ordinary for trace in traces],
        "mlp": [trace.severed["mlp"] for trace in traces],
        "attention": [trace.severed["attention"] for trace in traces],
    }
    return {name: torch.stack(rows).double().mean(0) - low for name, rows in curves.items()}
