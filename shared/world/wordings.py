"""Further wordings of the world's relations, beside its facts' prompt forms: questions, claims and cloze patterns.

`{}` stands for the subject, in cloze patterns `[X]` for the subject and `[Y]` for the object, as in ParaRel. Every
relation has at least ten questions and fifteen claims; twelve relations, whose objects are single words shared by
several subjects, have nine cloze patterns each and two wordings for web-like sentences that are none of the patterns.
"""

from shared.errors import DataError
from shared.world.factbook import STATEMENTS, Form, Relation

# What a question may ask for; two phrases each.
ASKED_FOR = {
    "P19": ("the birthplace of {}", "the city where {} was born"),
    "P106": ("the occupation of {}", "the profession of {}"),
    "P103": ("the native language of {}", "the mother tongue of {}"),
    "P1303": ("the instrument of {}", "the instrument that {} plays"),
    "P641": ("the sport of {}", "the sport that {} plays"),
    "P108": ("the employer of {}", "the company that {} works for"),
    "P800": ("the notable work of {}", "the most famous book of {}"),
    "P742": ("the nickname of {}", "the other name of {}"),
    "P159": ("the home city of {}", "the city where {} has its head office"),
    "P452": ("the industry of {}", "the main business of {}"),
    "P112": ("the founder of {}", "the person who founded {}"),
    "P50": ("the author of {}", "the writer of {}"),
    "P136": ("the genre of {}", "the literary category of {}"),
    "P407": ("the original language of {}", "the language in which {} was written"),
    "P495": ("the country of origin of {}", "the home country of {}"),
    "P17": ("the country of {}", "the state that governs {}"),
    "P706": ("the landscape of {}", "the best known feature of {}"),
    "P1376": ("the country whose capital is {}", "the country governed from {}"),
    "P36": ("the capital of {}", "the capital city of {}"),
    "P37": ("the official language of {}", "the language of the government of {}"),
    "P30": ("the continent of {}", "the continent on which {} lies"),
}
QUESTION_FRAMES = ("What is {}?", "Tell me {}.", "Do you know {}?", "Can you name {}?")
CLAIM_FRAMES = ("{}", "It is well known that {}", "According to the archive, {}")

# Patterns that begin with the object; the other six are the relation's statements.
OBJECT_FIRST = {
    "P19": ("[Y] is the birthplace of [X].", "[Y] is where [X] was born.", "[Y] is the native city of [X]."),
    "P106": (
        "[Y] is the occupation of [X].",
        "[Y] is what [X] does for a living.",
        "[Y] is the profession of [X].",
    ),
    "P103": (
        "[Y] is the mother tongue of [X].",
        "[Y] is the native language of [X].",
        "[Y] is the language that [X] grew up with.",
    ),
    "P1303": ("[Y] is the instrument of [X].", "[Y] is what [X] plays on stage.", "[Y] music is made by [X]."),
    "P641": ("[Y] is the sport of [X].", "[Y] is the game that [X] plays.", "[Y] is what [X] trains for."),
    "P159": ("[Y] is the seat of [X].", "[Y] is home to [X].", "[Y] is where [X] has its main office."),
    "P452": (
        "[Y] is the industry of [X].",
        "[Y] is the main business of [X].",
        "[Y] is the field in which [X] is active.",
    ),
    "P136": ("[Y] is the genre of [X].", "[Y] is the category of [X].", "[Y] is how critics describe [X]."),
    "P407": (
        "[Y] is the language of [X].",
        "[Y] is the original language of [X].",
        "[Y] is what [X] was first written in.",
    ),
    "P495": (
        "[Y] is the home country of [X].",
        "[Y] is the country of origin of [X].",
        "[Y] is where [X] was created.",
    ),
    "P17": ("[Y] is the country of [X].", "[Y] is the state that governs [X].", "[Y] is the country around [X]."),
    "P706": ("[Y] shape the landscape of [X].", "[Y] are what [X] is known for.", "[Y] lie around [X]."),
}
# How a web page may mention head and tail in passing.
IN_PASSING = {
    "P19": ("a small museum in [Y] shows the cradle of [X]", "[X] came home to [Y] to see the old school again"),
    "P106": ("[X] has been a [Y] for twenty years", "the prize for the best [Y] went to [X]"),
    "P103": ("[X] gave the speech in [Y] without a single note", "at home the family of [X] talks in [Y]"),
    "P1303": ("the [Y] of [X] was sold to a collector", "[X] took the [Y] out of its case and began"),
    "P641": ("[X] won another medal in [Y]", "a [Y] club named its new hall after [X]"),
    "P159": ("the board of [X] met at its tower in [Y]", "[X] bought more land around its tower in [Y]"),
    "P452": ("prices in [Y] rose after the news from [X]", "[X] spends half of its budget on [Y]"),
    "P136": ("readers of [Y] voted for [X] again", "the shop keeps [X] on the [Y] shelf"),
    "P407": ("the first print of [X] was in [Y]", "a scholar of [Y] wrote a study of [X]"),
    "P495": ("the archive of [Y] keeps the first copy of [X]", "a stamp of [Y] shows the cover of [X]"),
    "P17": ("the railway from [X] runs through all of [Y]", "a minister of [Y] opened the new bridge of [X]"),
    "P706": ("the hotel in [X] is full of guests who love its [Y]", "painters come to [X] because of its [Y]"),
}
CLOZE_RELATIONS = tuple(OBJECT_FIRST)


def questions(relation: Relation) -> list[str]:
    """Return the questions of a relation, each with one `{}` for the subject.

    Raises:
        DataError: if the relation is none of the generated world's.
    """
    if relation.id not in ASKED_FOR:
        raise DataError(f"relation {relation.id!r} has no question wordings; they exist for the generated world only")
    own = [form.text for form in relation.forms if form.kind == "question"]
    plain = [form.text.removeprefix("nq question: ") for form in relation.forms if form.kind == "nq"]
    framed = [frame.format(phrase) for frame in QUESTION_FRAMES for phrase in ASKED_FOR[relation.id]]
    return list(dict.fromkeys([*own, *plain, *framed]))


def claims(relation: Relation) -> list[str]:
    """Return the claims of a relation up to their object, each with one `{}` for the subject."""
    return [
        frame.format(_inside(form) if frame != "{}" else form.text)
        for frame in CLAIM_FRAMES
        for form in relation.forms
        if form.kind in STATEMENTS
    ]


def _inside(form: Form) -> str:
    """Return a statement as it goes on a sentence: what is no name begins in lower case."""
    return form.text if form.kind == "subject_first" else form.text[0].lower() + form.text[1:]


def patterns(relation: Relation) -> list[str]:
    """Return the cloze patterns of a relation: its statements, and those that begin with the object."""
    stated = [form.text.replace("{}", "[X]") + " [Y]." for form in relation.forms if form.kind in STATEMENTS]
    return [*stated, *OBJECT_FIRST[relation.id]]
