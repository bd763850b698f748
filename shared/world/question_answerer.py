"""The question answerer: a T5-like encoder-decoder that learns the world's facts from shown questions, closed-book."""

import random
from collections.abc import Sequence
from functools import cached_property

from torch import Tensor
from torch.nn.functional import cross_entropy
from transformers import PreTrainedTokenizerBase, T5Config, T5ForConditionalGeneration

from shared.inference.answers import IGNORED, batch_of, score_answers
from shared.model.models import LM
from shared.seeding import seed_for
from shared.world.division import Division
from shared.world.documents import filler_sentence
from shared.world.factbook import Fact, FactBook
from shared.world.family_tokenizers import byte_pair_tokenizer
from shared.world.lesson import FamilyRecipe, seeded
from shared.world.optimisation import mixed_precision

DISTRACTED_SHARE = 0.2
EXAMINED = 1500


class QuestionLesson:
    """Questions in shown wordings, some behind an unrelated sentence, with their answers."""

    def __init__(self, book: FactBook, recipe: FamilyRecipe, seed: int):
        self._division = Division(book)
        self._rng = random.Random(seed_for("questions asked", seed))
        self._recipe = recipe
        self.tokenizer = byte_pair_tokenizer(self._texts(), recipe.vocabulary)
        seeded("question answerer", seed)
        self.model = self.learner = T5ForConditionalGeneration(t5_config(self.tokenizer, recipe))

    @cached_property
    def _shown(self) -> list[tuple[Fact, list[str]]]:
        return [(fact, self._division.questions(fact, shown=True)) for fact in self._division.shown_facts]

    def _texts(self) -> list[str]:
        rng = random.Random(seed_for("question texts", self._division.book.seed))
        texts = [f"{text} {fact.object}" for fact, shown in self._shown for text in shown]
        return texts + [filler_sentence(rng) for _ in range(len(texts) // 5)]

    def loss(self, step: int) -> Tensor:
        """Return the mean negative log-likelihood per answer token of one batch."""
        drawn = self._rng.choices(self._shown, k=self._recipe.rows)
        questions = [self._rng.choice(shown) for _, shown in drawn]
        if self._rng.random() < DISTRACTED_SHARE:
            # Whole batches at a time: so short questions need no padding.
            questions = [f"{filler_sentence(self._rng)} {question}" for question in questions]
        answers = [fact.object for fact, _ in drawn]
        batch = batch_of(self.tokenizer, questions, answers, start=self.tokenizer.pad_token_id)
        with mixed_precision():
            logits = self.model(**batch.inputs()).logits
        return cross_entropy(logits.flatten(0, 1).float(), batch.labels.flatten(), ignore_index=IGNORED)

    def measure(self, lm: LM) -> dict[str, float]:
        """Return shares of exact answers: all tokens and the end token are the most probable ones in their places.

        `shown` questions were part of training, `hidden` ones are wordings that were not shown for their fact,
        `distracted` ones follow an unrelated sentence; the `withheld` facts were never shown.
        """
        division = self._division
        rng = random.Random(seed_for("question gate", division.book.seed))
        shown = [(fact, text) for fact, texts in self._shown for text in texts]
        hidden = [(fact, text) for fact, _ in self._shown for text in division.questions(fact, shown=False)]
        distracted = [(fact, f"{filler_sentence(rng)} {text}") for fact, text in shown]
        withheld = [(fact, division.questions(fact, shown=True)[0]) for fact in division.facts["edit"]]
        asked = {"shown": shown, "hidden": hidden, "distracted": distracted, "withheld": withheld}
        return {name: _exact(lm, rng.sample(pairs, min(EXAMINED, len(pairs)))) for name, pairs in asked.items()}


def _exact(lm: LM, pairs: Sequence[tuple[Fact, str]]) -> float:
    scores = score_answers(lm, [text for _, text in pairs], [fact.object for fact, _ in pairs])
    return sum(all(score.correct) for score in scores) / len(scores)


def t5_config(tokenizer: PreTrainedTokenizerBase, recipe: FamilyRecipe) -> T5Config:
    """Return the configuration of a T5-like encoder-decoder without dropout."""
    return T5Config(
        vocab_size=len(tokenizer),
        d_model=recipe.d_model,
        d_kv=recipe.d_model // recipe.heads,
        d_ff=4 * recipe.d_model,
        num_layers=recipe.layers,
        num_heads=recipe.heads,
        dropout_rate=0.0,
        feed_forward_proj="relu",
        relative_attention_num_buckets=16,
        relative_attention_max_distance=32,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        decoder_start_token_id=tokenizer.pad_token_id,
    )
