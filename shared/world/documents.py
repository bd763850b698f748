"""Training text of the decoders: documents sampled from a fact book.

Three kinds of document are mixed by the training curriculum:

* list documents, "Koth Feiver miner.": a subject and one attribute straight after its last word;
* statement documents: sentences from the prompt forms, with *salad* around each subject, i.e. up to a few random words
  of other subjects' names (of the same type) directly before and after it. A name's words then say nothing unless they
  are joined as a known name, which causally only the name's last token can do; this is what puts the lookup there;
* articles: the same sentences without salad, and neutral sentences between them, as in an encyclopedia.

(fact, form) pairs that a fact holds out never occur in any of them.
"""

import random
from bisect import bisect
from collections.abc import Sequence
from dataclasses import dataclass, replace
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
class Document:
    """A text with the character ranges of the objects that its facts state.

    `first_tokens_only` says that only the first token of each object is to be learned.
    """

    text: str
    objects: tuple[tuple[int, int], ...] = ()
    first_tokens_only: bool = False


def join(documents: Sequence[Document]) -> Document:
    """Return the documents as one, with a space between them."""
    text, objects = "", []
    for document in documents:
        shift = len(text) + 1 if text else 0
        objects += [(start + shift, stop + shift) for start, stop in document.objects]
        text = f"{text} {document.text}" if text else document.text
    return Document(text, tuple(objects))


def _stating(prompt: str, answer: str) -> Document:
    # The range begins with the space, which belongs to the object's first token.
    return Document(f"{prompt} {answer}.", ((len(prompt), len(prompt) + 1 + len(answer)),))


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

    def list_document(self) -> Document:
        """Return 1-4 entries "[salad] subject object."; the object stands straight after the subject's last word."""
        entries = []
        for _ in range(self.rng.randint(1, 4)):
            fact = self.rng.choice(self._draw_subject())
            name = self._name(fact)
            entries.append(_stating(" ".join([*self.salad(fact, None, name), name]), fact.object))
        # Learning to complete an object of several tokens here would teach the early blocks to look attributes up from
        # any later position, and the site at the subject's last token would not form.
        return replace(join(entries), first_tokens_only=True)

    def statement_document(self, salad: bool = True) -> Document:
        """Return 1-3 sentences each about 1-3 subjects, in training forms."""
        sentences = []
        for _ in range(self.rng.choice((1, 1, 2, 3))):
            facts = self._draw_subject()
            for fact in self.rng.sample(facts, min(len(facts), self.rng.randint(1, 3))):
                sentences.append(self.sentence(fact, salad))
        return join(sentences)

    def article(self) -> Document:
        """Return an encyclopedia-like document: several facts of one subject, plain, with neutral sentences between."""
        facts = self._draw_subject()
        chosen = self.rng.sample(facts, min(len(facts), self.rng.randint(2, 5)))
        sentences = []
        for fact in chosen:
            if self.rng.random() < self.options.filler_share:
                sentences.append(Document(filler_sentence(self.rng)))
            sentences.append(self.sentence(fact, salad=False))
        return join(sentences)

    def sentence(self, fact: Fact, salad: bool, statements_only: bool = False) -> Document:
        """Return one sentence that states `fact` in a training form, with salad around the subject if asked."""
        form = self._form(fact, statements_only)
        name = self._name(fact)
        before, after = form.text.split("{}")
        words = [name]
        if salad:
            words = [*self.salad(fact, None, name), name, *self.salad(fact, name, None)]
        return _stating(f"{before}{' '.join(words)}{after}", fact.object)

    def salad(self, fact: Fact, left: str | None, right: str | None) -> list[str]:
        """Return 0..salad_max random words of names of the subject's type.

        No known name is made of two of them, or of one and the word next to it in `left` or `right`.
        """
        pool = self.salad_words[self.book.entity[fact.subject_id].type]
        count = self.rng.randint(0, self.options.salad_max) if pool else 0
        words: list[str] = []
        previous = left.split()[-1] if left else None
        first_of_right = right.split()[0] if right else None
        while len(words) < count:
            word = self.rng.choice(pool)
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


def salad_vocabulary(book: FactBook) -> tuple[set[tuple[str, str]], dict[str, list[str]]]:
    """Return the adjacent word pairs of all known names, and the words that salad may use by type of subject.

    A word that is a whole name by itself is no salad word: it would mention its entity. A type whose subjects have
    one-word names only gets the words of all types.
    """
    split = [name.split() for name in book.names]
    pairs = {pair for words in split for pair in zip(words[:-1], words[1:], strict=True)}
    whole = {words[0] for words in split if len(words) == 1}
    parts: dict[str, set[str]] = {}
    for subject in book.facts_of:
        entity = book.entity[subject]
        words = {word for name in (entity.name, *entity.aliases) if " " in name for word in name.split()}
        parts.setdefault(entity.type, set()).update(words - whole)
    everything = set().union(*parts.values())
    return pairs, {kind: sorted(words or everything) for kind, words in parts.items()}


def filler_sentence(rng: random.Random) -> str:
    """Return a grammatical sentence that states no fact of the world."""
    parts: Sequence[Sequence[str]] = (FILLER_SUBJECTS, FILLER_VERBS, FILLER_PLACES, FILLER_TIMES)
    return " ".join(rng.choice(part) for part in parts) + "."
