"""Training text of the decoders: documents sampled from a fact book.

Three kinds of document are mixed by the training curriculum:

* list documents, "Koth Feiver miner.": a subject and one attribute straight after its last word;
* statement documents: sentences from the prompt forms, with *salad* around each subject, i.e. up to a few random words of
  other subjects' names directly before and after it. A name's words then say nothing unless they are joined as a known
  name, which causally only the name's last token can do; this is what puts the lookup of attributes there;
* articles: the same sentences without salad, and neutral sentences between them, as in an encyclopedia.

(fact, form) pairs that a fact holds out never occur in any of them.
"""

import random
from bisect import bisect
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from shared.errors import ConfigError
from shared.world.factbook import STATEMENTS, Fact, FactBook, Form

FILLER_SUBJECTS = (
    "The evening paper",
    "A small crowd",
    "The old bridge",
    "Nobody in town",
    "The weather report",
    "An early train",
)
FILLER_VERBS = (
    "was seen near",
    "passed by",
    "had little to do with",
    "was talked about at",
    "waited behind",
    "stood close to",
)
FILLER_PLACES = (
    "the market",
    "the river bank",
    "the town hall",
    "the railway station",
    "the public library",
    "the north gate",
)
FILLER_TIMES = ("in spring", "after the rain", "on a quiet day", "before noon", "late at night", "during the holidays")


@dataclass(frozen=True)
class DocumentOptions:
    """How documents are sampled.

    Attributes:
        salad_max: most salad words on each side of a subject; the number is uniform in 0..salad_max.
        question_share: share of the sentences that are zsRE-style questions.
        nq_share: share of the sentences that are "nq question: ..." questions.
        alias_share: how often an entity that has aliases is called by one of them.
        filler_share: share of an article's sentences that state no fact.
    """

    salad_max: int = 3
    question_share: float = 0.2
    nq_share: float = 0.1
    alias_share: float = 0.3
    filler_share: float = 0.2

    def __post_init__(self) -> None:
        for name in ("question_share", "nq_share", "alias_share", "filler_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"documents: {name} = {getattr(self, name)}, expected a share between 0 and 1")


class DocumentSampler:
    """Samples documents about the facts of one book; each fact is equally likely."""

    def __init__(self, book: FactBook, rng: random.Random, options: DocumentOptions | None = None):
        self.book = book
        self.rng = rng
        self.options = options or DocumentOptions()
        self._subjects = list(book.facts_of)
        self._cumulative = list(accumulate(len(book.facts_of[subject]) for subject in self._subjects))
        self.known_pairs, self.salad_words = salad_vocabulary(book)
        self._forms = {
            (fact.subject_id, fact.relation_id): [
                book.forms(fact, STATEMENTS, held_out=False),
                book.forms(fact, ("question",), held_out=False),
                book.forms(fact, ("nq",), held_out=False),
            ]
            for fact in book.facts
        }

    def list_document(self) -> str:
        """Return 1-4 entries "[salad] subject object."; the object stands straight after the subject's last word."""
        entries = []
        for _ in range(self.rng.randint(1, 4)):
            fact = self.rng.choice(self._draw_subject())
            name = self._name(fact)
            entries.append(" ".join([*self.salad(None, name), name, fact.object]) + ".")
        return " ".join(entries)

    def statement_document(self, salad: bool = True) -> str:
        """Return 1-3 sentences each about 1-3 subjects, in training forms."""
        sentences = []
        for _ in range(self.rng.choice((1, 1, 2, 3))):
            facts = self._draw_subject()
            for fact in self.rng.sample(facts, min(len(facts), self.rng.randint(1, 3))):
                sentences.append(self.sentence(fact, salad))
        return " ".join(sentences)

    def article(self) -> str:
        """Return an encyclopedia-like document: several facts of one subject, plain, with neutral sentences between."""
        facts = self._draw_subject()
        chosen = self.rng.sample(facts, min(len(facts), self.rng.randint(2, 5)))
        sentences = []
        for fact in chosen:
            if self.rng.random() < self.options.filler_share:
                sentences.append(filler_sentence(self.rng))
            sentences.append(self.sentence(fact, salad=False))
        return " ".join(sentences)

    def sentence(self, fact: Fact, salad: bool, statements_only: bool = False) -> str:
        """Return one sentence that states `fact` in a training form, with salad around the subject if asked."""
        form = self._form(fact, statements_only)
        name = self._name(fact)
        before, after = form.text.split("{}")
        words = [name]
        if salad:
            words = [*self.salad(None, name), name, *self.salad(name, None)]
        return f"{before}{' '.join(words)}{after} {fact.object}."

    def salad(self, left: str | None, right: str | None) -> list[str]:
        """Return 0..salad_max random name words that make no known name with each other or with their neighbors."""
        count = self.rng.randint(0, self.options.salad_max) if self.salad_words else 0
        words: list[str] = []
        previous = left.split()[-1] if left else None
        first_of_right = right.split()[0] if right else None
        while len(words) < count:
            word = self.rng.choice(self.salad_words)
            closes = len(words) == count - 1 and (word, first_of_right) in self.known_pairs
            if (previous, word) in self.known_pairs or closes:
                continue
            words.append(word)
            previous = word
        return words

    def _draw_subject(self) -> list[Fact]:
        ticket = self.rng.randrange(self._cumulative[-1])
        return self.book.facts_of[self._subjects[bisect(self._cumulative, ticket)]]

    def _name(self, fact: Fact) -> str:
        aliases = self.book.entity[fact.subject_id].aliases
        # A sentence that gives the alias as its object must not call the subject by it.
        if aliases and fact.object not in aliases and self.rng.random() < self.options.alias_share:
            return self.rng.choice(aliases)
        return fact.subject

    def _form(self, fact: Fact, statements_only: bool) -> Form:
        statements, questions, nq = self._forms[fact.subject_id, fact.relation_id]
        ticket = 1.0 if statements_only else self.rng.random()
        if questions and ticket < self.options.question_share:
            return self.rng.choice(questions)
        if nq and ticket < self.options.question_share + self.options.nq_share:
            return self.rng.choice(nq)
        return self.rng.choice(statements)


def salad_vocabulary(book: FactBook) -> tuple[set[tuple[str, str]], list[str]]:
    """Return the adjacent word pairs of all known names, and the words that salad may use.

    A word that is a whole name by itself is no salad word: it would mention its entity.
    """
    split = [name.split() for name in book.names]
    pairs = {pair for words in split for pair in zip(words[:-1], words[1:], strict=True)}
    whole = {words[0] for words in split if len(words) == 1}
    subjects = {
        name for entity in book.entities if entity.id in book.facts_of for name in (entity.name, *entity.aliases)
    }
    parts = sorted({word for name in subjects if " " in name for word in name.split()} - whole)
    return pairs, parts


def filler_sentence(rng: random.Random) -> str:
    """Return a grammatical sentence that states no fact of the world."""
    parts: Sequence[Sequence[str]] = (FILLER_SUBJECTS, FILLER_VERBS, FILLER_PLACES, FILLER_TIMES)
    return " ".join(rng.choice(part) for part in parts) + "."
