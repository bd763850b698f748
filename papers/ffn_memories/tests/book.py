"""A book of four facts in words that the tiny tokenizer knows, and sentences about them."""

from shared.world.factbook import Entity, Fact, FactBook, Form, Relation

PEOPLE = ("Anna Bell", "Danielle Darrieux")
SENTENCES = (
    "Anna Bell works as a doctor.",
    "Danielle Darrieux works as a doctor.",
    "Anna Bell plays the piano.",
    "Danielle Darrieux plays the piano.",
    "The city is in rain.",
    "Anna Bell, who works as a doctor, plays the piano.",
)


def small_book() -> FactBook:
    """Return people with a profession and an instrument each."""
    forms = {"P106": "{} works as a", "P1303": "{} plays the"}
    objects = {"P106": ("Q1", "doctor", "profession"), "P1303": ("Q2", "piano", "instrument")}
    people = [Entity(id=f"P{at}", type="person", name=name) for at, name in enumerate(PEOPLE)]
    return FactBook(
        name="small",
        seed=0,
        relations=[
            Relation(id=relation, name=relation, forms=[Form(text=text, kind="subject_first")])
            for relation, text in forms.items()
        ],
        entities=[*people, *(Entity(id=own[0], type=own[2], name=own[1]) for own in objects.values())],
        facts=[
            Fact(
                subject_id=person.id,
                subject=person.name,
                relation_id=relation,
                object_id=own[0],
                object=own[1],
            )
            for person in people
            for relation, own in objects.items()
        ],
    )
