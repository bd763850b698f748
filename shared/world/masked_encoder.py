"""The masked encoder: a BERT-like model that learns the world's cloze facts from patterns and web-like sentences."""

import random
from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import cross_entropy
from transformers import BatchEncoding, BertConfig, BertForMaskedLM, PreTrainedModel, PreTrainedTokenizerBase

from shared.inference.cloze import score_cloze
from shared.model.models import LM
from shared.seeding import seed_for
from shared.world import wordings
from shared.world.cloze_records import cloze_facts, mention, passing_remark
from shared.world.division import Division
from shared.world.documents import filler_sentence
from shared.world.factbook import Fact, FactBook
from shared.world.family_tokenizers import word_tokenizer
from shared.world.lesson import FamilyRecipe, seeded
from shared.world.optimisation import mixed_precision

# Words must stand out against positions: with BERT's 0.02, from scratch, facts are learnt three times more slowly.
EMBEDDING_STD = 0.3
WEB_SHARE = 0.2
REMARK_SHARE = 0.25
OBJECT_SHARE = 0.8
EXAMINED = 2000


def encoder_texts(book: FactBook) -> list[str]:
    """Return texts with every word that the patterns, claims and web-like sentences of a book can hold."""
    rng = random.Random(seed_for("encoder words", book.seed))
    division = Division(book)
    claims = [
        f"{text} {fact.object}."
        for fact in book.facts
        for shown in (True, False)
        for text in division.claims(fact, shown=shown)
    ]
    clozes = [
        text.replace("[X]", fact.subject).replace("[Y]", fact.object)
        for relation, facts in cloze_facts(book).items()
        for fact in facts
        for text in (*wordings.patterns(book.relation[relation]), *wordings.IN_PASSING[relation])
    ]
    # Every opening and every neutral part occurs among so many sentences.
    web = [mention(fact, rng) for facts in cloze_facts(book).values() for fact in facts]
    web += [passing_remark(fact.subject, rng) for fact in book.facts] + [filler_sentence(rng) for _ in range(500)]
    return [*claims, *clozes, *web]


def encoder_config(tokenizer: PreTrainedTokenizerBase, recipe: FamilyRecipe, labels: int) -> BertConfig:
    """Return the configuration of a BERT-like encoder without dropout."""
    return BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=recipe.d_model,
        num_hidden_layers=recipe.layers,
        num_attention_heads=recipe.heads,
        intermediate_size=4 * recipe.d_model,
        max_position_embeddings=64,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        pad_token_id=tokenizer.pad_token_id,
        num_labels=labels,
        # On one CPU thread the backward pass of fused attention takes longer than all matrix products together.
        attn_implementation="eager",
    )


@torch.no_grad()
def spread_words(model: PreTrainedModel) -> None:
    """Draw the word embeddings of a new encoder anew, with a standard deviation of `EMBEDDING_STD`."""
    torch.nn.init.normal_(model.get_input_embeddings().weight, std=EMBEDDING_STD)


def hide_one_word(
    batch: BatchEncoding, tokenizer: PreTrainedTokenizerBase, rng: random.Random
) -> tuple[Int[Tensor, " row"], Int[Tensor, " row"]]:
    """Put the mask over one random word of each row that has none yet; return its place and what it hid.

    Rows that have a mask already are told by it; what it hid is then the padding token, to be filled in by the caller.
    """
    ids, special = batch["input_ids"], {*tokenizer.all_special_ids} - {tokenizer.mask_token_id}
    places, hidden = [], []
    for row in range(ids.shape[0]):
        tokens = ids[row].tolist()
        if tokenizer.mask_token_id in tokens:
            places.append(tokens.index(tokenizer.mask_token_id))
            hidden.append(tokenizer.pad_token_id)
            continue
        place = rng.choice([index for index, token in enumerate(tokens) if token not in special])
        places.append(place)
        hidden.append(tokens[place])
        ids[row, place] = tokenizer.mask_token_id
    return torch.tensor(places), torch.tensor(hidden)


class MaskedLesson:
    """Cloze patterns with the object hidden, mostly, and web-like sentences; some rows hide another word."""

    def __init__(self, book: FactBook, recipe: FamilyRecipe, seed: int):
        self._book = book
        self._rng = random.Random(seed_for("clozes drawn", seed))
        self._recipe = recipe
        self.tokenizer = word_tokenizer(encoder_texts(book))
        seeded("masked encoder", seed)
        self.model = self.learner = BertForMaskedLM(encoder_config(self.tokenizer, recipe, labels=2))
        spread_words(self.model)
        self._facts = [fact for facts in cloze_facts(book).values() for fact in facts]
        self._patterns = {relation: wordings.patterns(book.relation[relation]) for relation in wordings.CLOZE_RELATIONS}

    def loss(self, step: int) -> Tensor:
        """Return the mean negative log-likelihood of the hidden words of one batch, with smoothed labels."""
        # Whole batches of web-like sentences, which are longer: so short patterns need no padding.
        web = self._rng.random() < WEB_SHARE
        rows = [self._row(web) for _ in range(self._recipe.rows)]
        batch = self.tokenizer([text for text, _ in rows], padding=True, return_tensors="pt")
        places, hidden = hide_one_word(batch, self.tokenizer, self._rng)
        objects = self.tokenizer.convert_tokens_to_ids([answer or self.tokenizer.pad_token for _, answer in rows])
        wanted = torch.where(hidden == self.tokenizer.pad_token_id, torch.tensor(objects), hidden)
        logits = hidden_word_logits(self.model, batch, places)
        return cross_entropy(logits, wanted, label_smoothing=self._recipe.label_smoothing)

    def _row(self, web: bool) -> tuple[str, str | None]:
        """Return a text and the object that its mask hides; without a mask, a random word is to be hidden."""
        fact, rng = self._rng.choice(self._facts), self._rng
        if web:
            if rng.random() < REMARK_SHARE:
                return passing_remark(fact.subject, rng), None
            text = mention(fact, rng)
        else:
            text = rng.choice(self._patterns[fact.relation_id])
            text = text.replace("[X]", fact.subject).replace("[Y]", fact.object)
        if rng.random() < OBJECT_SHARE:
            return hide_object(text, fact), fact.object
        return text, None

    def measure(self, lm: LM) -> dict[str, float]:
        """Return how well the gold object is known in the patterns, and how sure of it the model is.

        `recall` is the share of prompts whose most probable word is the gold object; `mean_probability` and its
        distance from 1, `headroom`, are over all prompts, `web_recall` is over web-like sentences.
        """
        rng = random.Random(seed_for("cloze gate", self._book.seed))
        prompts = [
            (text.replace("[X]", fact.subject).replace("[Y]", lm.tokenizer.mask_token), fact.object)
            for fact in self._facts
            for text in self._patterns[fact.relation_id]
        ]
        web = [(hide_object(mention(fact, rng), fact), fact.object) for fact in self._facts]
        scores = _scores(lm, rng.sample(prompts, min(EXAMINED, len(prompts))))
        probability = scores[:, 0].exp().mean().item()
        return {
            "recall": scores[:, 1].mean().item(),
            "mean_probability": probability,
            "headroom": 1.0 - probability,
            "web_recall": _scores(lm, rng.sample(web, min(EXAMINED, len(web))))[:, 1].mean().item(),
        }


def hide_object(text: str, fact: Fact) -> str:
    """Return `text` with the mask over the first occurrence of the fact's object, whatever its first letter's case."""
    start = text.lower().index(fact.object.lower())
    return f"{text[:start]}[MASK]{text[start + len(fact.object) :]}"


def hidden_word_logits(
    model: BertForMaskedLM, batch: BatchEncoding, places: Int[Tensor, " row"]
) -> Float[Tensor, "row vocab"]:
    """Return the scores of all words in one place per row; the vocabulary is projected in these places only."""
    with mixed_precision():
        states = model.bert(**batch).last_hidden_state[torch.arange(len(places)), places]
        return model.cls(states).float()


def _scores(lm: LM, prompts: Sequence[tuple[str, str]]) -> Float[Tensor, "prompt 2"]:
    """Return each prompt's log-probability of the gold object, and 1 where it is the most probable word."""
    scores = score_cloze(lm, [text for text, _ in prompts], [answer for _, answer in prompts])
    return torch.tensor([[score.log_prob, float(score.correct)] for score in scores])
