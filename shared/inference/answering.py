"""The model's answers to probes: log-probabilities of the targets that they ask for, and sampled texts."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from shared.data.probes import GENERATION, ProbeRow
from shared.edits.deltas import RowEdits
from shared.edits.routing import Router, covered
from shared.errors import ConfigError, DataError, NumericalError
from shared.inference.generation import clean_generated, generate
from shared.inference.prefix_scoring import score_in_groups
from shared.inference.scoring import TargetScore, score_targets
from shared.model.models import LM
from shared.model.tokens import encode, target_ids
from shared.seeding import seed_for


@dataclass(frozen=True)
class GenerationOptions:
    """How texts are generated (ROME, §3.4; 100 tokens and top-k 5 in the authors' code).

    Attributes:
        max_length: tokens per text, prompt included.
        top_k: how many tokens are sampled from.
        batch_rows: texts generated at a time; their keys and values are held.
        every: only cases whose case_id is a multiple of it are asked for texts (MEMIT's code: 10).
    """

    max_length: int = 100
    top_k: int = 5
    batch_rows: int = 128
    every: int = 1

    def __post_init__(self) -> None:
        if self.every < 1:
            raise ConfigError(f"generation option every is {self.every}, expected at least 1")


def scored(
    lm: LM,
    rows: list[ProbeRow],
    edits: RowEdits | None,
    edit_of: Sequence[int | None],
    before: Sequence[str],
    max_tokens: int,
) -> list[ProbeRow]:
    """Return the rows with the log-probabilities of the targets that they ask for.

    Args:
        edits, edit_of: as in `evaluate.answer`.
        before: the text before each row's prompt, mostly "".
        max_tokens: padded tokens of one scoring pass.

    Raises:
        DataError: a probe is longer than the model's positions.
        NumericalError: a log-probability is not finite.
    """
    wanted = [(index, side) for index, row in enumerate(rows) for side in ("new", "true") if _target(row, side)]
    encoded = {prompt: encode(lm, prompt) for prompt in {before[index] + rows[index].prompt for index, _ in wanted}}
    prompts = [encoded[before[index] + rows[index].prompt] for index, _ in wanted]
    targets = [target_ids(lm, _target(rows[index], side)) for index, side in wanted]
    for (index, _), prompt, target in zip(wanted, prompts, targets, strict=True):
        if len(prompt) + len(target) - 1 > lm.arch.n_positions:
            raise DataError(
                f"{_where(rows[index])}: prompt and target have {len(prompt)} + {len(target)} tokens, the model has "
                f"{lm.arch.n_positions} positions; shorten the prompt or leave the case out"
            )
    carried = [edit_of[index] for index, _ in wanted]
    if any(before):
        scores = score_in_groups(lm, prompts, targets, carried, max_tokens)
    else:
        scores = score_targets(lm, prompts, targets, edits=edits, edit_of=carried, max_tokens=max_tokens)
    found: list[dict[str, tuple]] = [{} for _ in rows]
    for (index, side), score in zip(wanted, scores, strict=True):
        found[index] |= _finite(score, side, rows[index])
    return [replace(row, **values) for row, values in zip(rows, found, strict=True)]


def _target(row: ProbeRow, side: str) -> str | None:
    return row.target_new if side == "new" else row.target_true


def _where(row: ProbeRow) -> str:
    return f"case_id {row.case_id}, {row.kind} probe {row.prompt_index}"


def _finite(score: TargetScore, side: str, row: ProbeRow) -> dict[str, tuple]:
    if not all(map(math.isfinite, score.log_probs)):
        raise NumericalError(
            f"{_where(row)}: the log-probabilities of target_{side} are {score.log_probs}; the edit drove the model "
            "out of floating-point range: lower its step size or clamp it"
        )
    answers = {"logprobs": score.log_probs, "predicted": score.predicted, "correct": score.correct}
    return {f"{name}_{side}": answer for name, answer in answers.items()}


def continued(
    lm: LM,
    rows: list[ProbeRow],
    edits: RowEdits | None,
    edit_of: Sequence[int | None],
    before: Sequence[str],
    generation: GenerationOptions | None,
    seed: int,
) -> list[ProbeRow]:
    """Return the rows with the texts that they ask for; a text's seed is its case's and prompt's alone.

    A context is no part of a text: its tokens do not count towards the text's length, and it is cut off again.
    """
    wanted = [index for index, row in enumerate(rows) if row.kind == GENERATION]
    if not wanted:
        return rows
    if generation is None:
        raise ConfigError("texts are asked for, and the evaluation options say nothing about generation")
    end, rows = lm.tokenizer.eos_token or "", list(rows)
    for context in dict.fromkeys(before[index] for index in wanted):
        chosen = [index for index in wanted if before[index] == context]
        prompts = [encode(lm, context + rows[index].prompt) for index in chosen]
        cut = len(prompts[0]) - len(encode(lm, rows[chosen[0]].prompt)) if context else 0
        texts = generate(
            lm,
            prompts,
            max_length=generation.max_length + cut,
            seeds=[seed_for("generation", seed, rows[i].case_id, rows[i].prompt_index) for i in chosen],
            top_k=generation.top_k,
            edits=edits,
            edit_of=[edit_of[index] for index in chosen],
            batch_rows=generation.batch_rows,
        )
        for index, ids in zip(chosen, texts, strict=True):
            rows[index] = replace(rows[index], text=clean_generated(lm.tokenizer.decode(ids[cut:]), end))
    return rows


def rerouted(
    rows: list[ProbeRow],
    edit_of: Sequence[int | None],
    routers: Sequence[Router | None],
    max_tokens: int,
    generation: GenerationOptions | None,
    seed: int,
) -> list[ProbeRow]:
    """Return rows that the base model answered, with the answers of the routers' models in the place of those in scope.

    All other rows stay as they are, bit for bit.
    """
    rows = list(rows)
    for lm, texts in covered(routers, edit_of, [row.prompt for row in rows]):
        places, before, free = [*texts], [*texts.values()], [None] * len(texts)
        asked = [replace(rows[place], prompt=texts[place] + rows[place].prompt) for place in places]
        found = scored(lm, asked, None, free, [""] * len(asked), max_tokens)
        found = [replace(row, prompt=rows[place].prompt) for place, row in zip(places, found, strict=True)]
        for place, row in zip(places, continued(lm, found, None, free, before, generation, seed), strict=True):
            rows[place] = row
    return rows
