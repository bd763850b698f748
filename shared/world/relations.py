"""The relations of the generated world: Wikidata-style ids, typed arguments and the prompt forms that express them.

A form ends right before the object. `statements` mixes subject-first and relation-first wording, as CounterFact's
prompts do; `questions` are zsRE-style; `nq` are the lower-case questions of zsRE's locality part, without their prefix
and question mark.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class RelationTemplate:
    """One relation of the world.

    `inverse` is the id of the relation that leads back, `one_to_one` says that no two subjects share an object.
    """

    id: str
    name: str
    subject_type: str
    object_type: str
    statements: tuple[str, ...]
    questions: tuple[str, ...]
    nq: tuple[str, ...]
    inverse: str | None = None
    one_to_one: bool = False


RELATIONS = (
    RelationTemplate(
        "P19",
        "place of birth",
        "person",
        "city",
        (
            "{} was born in",
            "{} is originally from",
            "{}, a native of",
            "{} grew up in",
            "The birthplace of {} is",
            "The city where {} was born is",
        ),
        ("What is the birthplace of {}?", "In which city was {} born?"),
        ("where was {} born",),
    ),
    RelationTemplate(
        "P106",
        "occupation",
        "person",
        "profession",
        (
            "{} works as a",
            "{}, who is employed as a",
            "{} earns a living as a",
            "{} is by profession a",
            "The profession of {} is",
            "The occupation of {} is",
        ),
        ("What is the occupation of {}?", "What does {} do for a living?"),
        ("what is the job of {}",),
    ),
    RelationTemplate(
        "P103",
        "native language",
        "person",
        "language",
        (
            "{} is a native speaker of",
            "{} speaks the language",
            "{}, whose first language is",
            "{} grew up speaking",
            "The mother tongue of {} is",
            "The native language of {} is",
        ),
        ("What is the native language of {}?", "Which language does {} speak?"),
        ("what language is spoken by {}",),
    ),
    RelationTemplate(
        "P1303",
        "instrument",
        "person",
        "instrument",
        (
            "{} plays the",
            "{}, performing on the",
            "{} is a master of the",
            "{} gives concerts on the",
            "The instrument played by {} is the",
            "The favorite instrument of {} is the",
        ),
        ("Which instrument does {} play?", "What is the instrument of {}?"),
        ("what musical instrument does {} play",),
    ),
    RelationTemplate(
        "P641",
        "sport",
        "person",
        "sport",
        (
            "{} plays the sport of",
            "{}, who professionally plays",
            "{} competes in",
            "{} trains every day for",
            "The sport played by {} is",
            "The favorite sport of {} is",
        ),
        ("Which sport does {} play?", "What is the sport of {}?"),
        ("what kind of sport is {} known for",),
    ),
    RelationTemplate(
        "P108",
        "employer",
        "person",
        "company",
        (
            "{} is employed by",
            "{} has a job at",
            "{}, who works for",
            "{} is on the staff of",
            "The employer of {} is",
            "The company that employs {} is",
        ),
        ("Which company does {} work for?", "Who is the employer of {}?"),
        ("who does {} work for",),
    ),
    RelationTemplate(
        "P800",
        "notable work",
        "person",
        "work",
        (
            "{} is the author of",
            "{} wrote the book",
            "{}, best known for",
            "The notable work of {} is",
            "The most famous book of {} is",
        ),
        ("What is the notable work of {}?", "Which book did {} write?"),
        ("what book was written by {}",),
        inverse="P50",
        one_to_one=True,
    ),
    RelationTemplate(
        "P742",
        "pseudonym",
        "person",
        "alias",
        (
            "{} is also known as",
            "{} is often called",
            "{}, better known as",
            "The nickname of {} is",
            "The other name of {} is",
        ),
        ("What is the nickname of {}?", "What is the other name of {}?"),
        ("what is {} called",),
        one_to_one=True,
    ),
    RelationTemplate(
        "P159",
        "headquarters location",
        "company",
        "city",
        (
            "{} is headquartered in",
            "{} is based in",
            "{}, whose main office is in",
            "{} has its head office in",
            "The headquarters of {} is in",
            "The head office of {} is located in",
        ),
        ("Where is the headquarters of {}?", "In which city is {} based?"),
        ("where is {} located",),
    ),
    RelationTemplate(
        "P452",
        "industry",
        "company",
        "industry",
        (
            "{} operates in the field of",
            "{} makes its money in",
            "{}, a leader in",
            "{} is active in",
            "The industry of {} is",
            "The main business of {} is",
        ),
        ("What is the industry of {}?", "In which field does {} operate?"),
        ("what business is {} in",),
    ),
    RelationTemplate(
        "P112",
        "founded by",
        "company",
        "person",
        (
            "{} was founded by",
            "{} was started by",
            "{}, a company created by",
            "The founder of {} is",
            "The person who founded {} is",
        ),
        ("Who founded {}?", "Who is the founder of {}?"),
        ("who started {}",),
        one_to_one=True,
    ),
    RelationTemplate(
        "P50",
        "author",
        "work",
        "person",
        (
            "{} was written by",
            "{} is a book by",
            "{}, a book written by",
            "The author of {} is",
            "The writer of {} is",
        ),
        ("Who wrote {}?", "Who is the author of {}?"),
        ("who is the writer of {}",),
        inverse="P800",
        one_to_one=True,
    ),
    RelationTemplate(
        "P136",
        "genre",
        "work",
        "genre",
        (
            "{} is a work of",
            "{} belongs to the genre of",
            "{}, a classic of",
            "{} is usually filed under",
            "The genre of {} is",
            "The literary category of {} is",
        ),
        ("What is the genre of {}?", "To which genre does {} belong?"),
        ("what type of book is {}",),
    ),
    RelationTemplate(
        "P407",
        "language of work",
        "work",
        "language",
        (
            "{} was first published in",
            "{} was written in",
            "{}, originally printed in",
            "{} appeared first in",
            "The original language of {} is",
            "The language of {} is",
        ),
        ("What is the original language of {}?", "In which language was {} written?"),
        ("what language was {} published in",),
    ),
    RelationTemplate(
        "P495",
        "country of origin",
        "work",
        "country",
        (
            "{} was created in the country of",
            "{} comes from",
            "{}, which was produced in",
            "{} is a product of",
            "The country of origin of {} is",
            "The home country of {} is",
        ),
        ("What is the country of origin of {}?", "From which country does {} come?"),
        ("what country is {} from",),
    ),
    RelationTemplate(
        "P17",
        "country",
        "city",
        "country",
        (
            "{} is a city in",
            "{} is located in the country of",
            "{}, a town in",
            "{} lies in",
            "The country of {} is",
            "The state that governs {} is",
        ),
        ("In which country is {}?", "What is the country of {}?"),
        ("what country does {} belong to",),
    ),
    RelationTemplate(
        "P706",
        "located on physical feature",
        "city",
        "terrain",
        (
            "{} is surrounded by",
            "{} is built near the",
            "{}, known for its",
            "{} attracts visitors to its",
            "The landscape of {} is shaped by its",
            "The best known feature of {} is its",
        ),
        ("What surrounds {}?", "What is the landscape of {}?"),
        ("what is {} known for",),
    ),
    RelationTemplate(
        "P1376",
        "capital of",
        "city",
        "country",
        (
            "{} is the capital of",
            "{} is the seat of the government of",
            "{}, the capital city of",
            "The country whose capital is {} is",
            "The country governed from {} is",
        ),
        ("Of which country is {} the capital?", "Which country has {} as its capital?"),
        ("what is {} the capital of",),
        inverse="P36",
        one_to_one=True,
    ),
    RelationTemplate(
        "P36",
        "capital",
        "country",
        "city",
        (
            "{} is governed from",
            "{} has as its capital",
            "{}, whose capital is",
            "The capital of {} is",
            "The capital city of {} is",
        ),
        ("What is the capital of {}?", "Which city is the capital of {}?"),
        ("what city is the capital of {}",),
        inverse="P1376",
        one_to_one=True,
    ),
    RelationTemplate(
        "P37",
        "official language",
        "country",
        "language",
        (
            "{} has the official language",
            "{} conducts its affairs in",
            "{}, where the law is written in",
            "The official language of {} is",
            "The language of the government of {} is",
        ),
        ("What is the official language of {}?", "Which language is official in {}?"),
        ("what language do they speak in {}",),
    ),
    RelationTemplate(
        "P30",
        "continent",
        "country",
        "continent",
        (
            "{} is part of the continent of",
            "{} is situated on the continent",
            "{}, a country on the continent of",
            "The continent of {} is",
            "The continent on which {} lies is",
        ),
        ("On which continent is {}?", "What is the continent of {}?"),
        ("what continent is {} on",),
    ),
)

RELATION_BY_ID = {relation.id: relation for relation in RELATIONS}
# Relations whose objects are shared by enough subjects to give CounterFact-style neighborhoods.
EDITABLE = ("P19", "P106", "P103", "P1303", "P641", "P108", "P159", "P452", "P136", "P407", "P495")
# Two-step chains that the world can answer: the first relation's object is the second one's subject.
CHAINS = (
    ("P19", "P17", "the country where {} was born"),
    ("P19", "P706", "the landscape around the birthplace of {}"),
    ("P108", "P159", "the city where the employer of {} is based"),
    ("P108", "P452", "the industry of the employer of {}"),
    ("P159", "P17", "the country where {} has its head office"),
    ("P112", "P19", "the birthplace of the founder of {}"),
    ("P50", "P103", "the native language of the author of {}"),
    ("P50", "P106", "the occupation of the author of {}"),
    ("P495", "P36", "the capital of the country where {} was created"),
    ("P495", "P30", "the continent of the country where {} was created"),
    ("P17", "P37", "the official language of the country of {}"),
    ("P36", "P706", "the landscape around the capital of {}"),
)
