"""Training of the counterfactual model of ConvSent: likelihood of the wanted replies, unlikelihood of the others."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from papers.serac.counterfactual import counterfactual_row
from papers.serac.sentiment import Record, SentimentEdit, drawn_edit, prompt_about
from papers.serac.training import LEAST, PartSettings, fit
from shared.inference.text_batches import IGNORED, TextBatch, TextRow, collate, predictions, token_nll
from shared.model.models import LM
from shared.seeding import seed_for

# Replies of each sentiment in a batch, per edit.
DRAWN = 2
# Letters of a word of a made-up name.
SHORTEST = 3


@dataclass(frozen=True)
class Replies:
    """Replies under edits, as a batch.

    Attributes:
        batch: their rows.
        same: whether each has the sentiment of its edit.
    """

    batch: TextBatch
    same: Bool[Tensor, " row"]


def mean_log_prob(logits: Float[Tensor, "row pos out"], batch: TextBatch, rows: Bool[Tensor, " row"]) -> Tensor:
    """Return the mean log-probability per token (nats) of the labels of some rows, pooled over all of them."""
    chosen = (batch.labels != IGNORED) & rows[:, None]
    return -token_nll(logits, batch)[chosen].mean()


def sentiment_loss(logits: Float[Tensor, "row pos out"], replies: Replies) -> Float[Tensor, ""]:
    """Return minus the mean of log p over tokens of the wanted replies, and of log(1 - p) over those of the others.

    The mean is over all tokens of a kind in the batch, as in the authors' `losses.py`.
    """
    others = (replies.batch.labels != IGNORED) & ~replies.same[:, None]
    unlikely = (1 - (-token_nll(logits, replies.batch)[others]).exp() + LEAST).log().mean()
    return -mean_log_prob(logits, replies.batch, replies.same) - unlikely


def drawn_replies(lm: LM, edits: Sequence[SentimentEdit], rng: random.Random, count: int = DRAWN) -> Replies:
    """Return replies of both sentiments to prompts about each edit's topic, with the edit before the prompt.

    Args:
        count: replies of each sentiment per edit.
    """
    rows: list[TextRow] = []
    same: list[bool] = []
    for edit in edits:
        for wanted, texts in ((True, edit.same), (False, edit.opposite)):
            for reply in rng.sample(texts, min(count, len(texts))):
                rows.append(counterfactual_row(lm, edit.descriptor, prompt_about(edit.topic, rng), reply))
                same.append(wanted)
    return Replies(collate(lm, rows), torch.tensor(same, device=lm.device))


def words_of(lm: LM) -> list[str]:
    """Return the words that are one token of a model each."""
    texts = (lm.tokenizer.decode([index]) for index in range(len(lm.tokenizer)))
    return sorted({text.strip() for text in texts if text.strip().isalpha() and len(text.strip()) >= SHORTEST})


def renamed(edit: SentimentEdit, name: str) -> SentimentEdit:
    """Return the same edit and replies about a topic of another name."""
    same, opposite = (tuple(text.replace(edit.topic, name) for text in texts) for texts in (edit.same, edit.opposite))
    return replace(edit, topic=name, same=same, opposite=opposite)


def train_replies(
    lm: LM, train: Sequence[Record], validation: Sequence[Record], settings: PartSettings
) -> dict[str, Any]:
    """Train a counterfactual model in place and return the history of its validations.

    `foreign_share` of the edits that it learns from are about topics of made-up names, of one or two words that the
    model knows: from a few topics it learns their names, and not to name the topic that it is asked about.
    """
    words = words_of(lm)
    rng = random.Random(seed_for("sentiment lessons", settings.seed))

    def asked(records: Sequence[Record], own: random.Random, share: float | int = 0) -> Replies:
        edits = [drawn_edit(record, own) for record in own.sample(records, min(settings.batch, len(records)))]
        edits = [
            renamed(edit, " ".join(own.sample(words, own.randint(1, 2)))) if own.random() < share else edit
            for edit in edits
        ]
        return drawn_replies(lm, edits, own)

    def loss() -> Tensor:
        replies = asked(train, rng, settings.foreign_share)
        return sentiment_loss(predictions(lm, replies.batch), replies)

    def examine() -> dict[str, float]:
        own = random.Random(seed_for("sentiment validation", settings.seed))
        found = []
        for _ in range(settings.validation_batches):
            replies = asked(validation, own)
            logits = predictions(lm, replies.batch)
            same, other = (mean_log_prob(logits, replies.batch, kind).item() for kind in (replies.same, ~replies.same))
            found.append({"loss": sentiment_loss(logits, replies).item(), "wanted": same, "opposite": other})
        return {name: sum(entry[name] for entry in found) / len(found) for name in found[0]}

    return fit(lm.model, loss, examine, settings, "counterfactual model of replies")
