"""The further model families of the world: their recipes, training and gate in one step, and the folder they give.

python -m shared.world.families --facts DIR/facts.json --family qa --size small --seed 0 --out DIR

Every family trains for a few minutes on one core in its small size and for seconds in its tiny one. A model that misses
its gate is not handed on: its folder has no `card.json`, and what was measured stands in `card.failed.json`.
"""

import argparse
import dataclasses
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shared import runtime
from shared.errors import ConfigError, ModelError, reported
from shared.model.models import Kind, load_model
from shared.records import write_json
from shared.world.claim_classifier import ClaimLesson
from shared.world.dialogue_model import DialogueLesson
from shared.world.factbook import FactBook
from shared.world.folders import atomic_folder
from shared.world.gate import failures, read_thresholds
from shared.world.lesson import FamilyRecipe, Lesson, train
from shared.world.masked_encoder import MaskedLesson
from shared.world.question_answerer import QuestionLesson
from shared.world.sentiment import SentimentLesson

logger = logging.getLogger(__name__)

GATES = Path(__file__).with_name("family_gates.yaml")


@dataclass(frozen=True)
class Family:
    """One family: what it learns, how its models load, and its recipes by size."""

    lesson: type[Any]
    kind: Kind
    recipes: dict[str, FamilyRecipe]


FAMILIES = {
    "qa": Family(
        QuestionLesson,
        "seq2seq",
        {
            "tiny": FamilyRecipe(d_model=64, layers=3, heads=4, steps=200),
            "small": FamilyRecipe(d_model=128, layers=3, heads=4, steps=900),
        },
    ),
    "claims": Family(
        ClaimLesson,
        "classifier",
        {
            "tiny": FamilyRecipe(d_model=64, layers=3, heads=4, steps=360, retrieval_share=0.3),
            "small": FamilyRecipe(d_model=128, layers=4, heads=4, steps=1800, retrieval_share=0.5, second_rate=0.5),
        },
    ),
    "masked": Family(
        MaskedLesson,
        "masked",
        {
            "tiny": FamilyRecipe(d_model=64, layers=3, heads=4, steps=250, label_smoothing=0.2),
            "small": FamilyRecipe(d_model=128, layers=6, heads=4, steps=900, label_smoothing=0.2),
        },
    ),
    "dialogue": Family(
        DialogueLesson,
        "seq2seq",
        {
            "tiny": FamilyRecipe(d_model=64, layers=2, heads=4, steps=120),
            "small": FamilyRecipe(d_model=128, layers=2, heads=4, steps=400),
        },
    ),
    "sentiment": Family(
        SentimentLesson,
        "classifier",
        {
            "tiny": FamilyRecipe(d_model=64, layers=2, heads=4, steps=80),
            "small": FamilyRecipe(d_model=64, layers=2, heads=4, steps=150),
        },
    ),
}


def family_recipe(family: str, size: str, overrides: dict[str, Any] | None = None) -> FamilyRecipe:
    """Return the recipe of a family's size with some fields replaced.

    Raises:
        ConfigError: if the family, the size or a field is unknown, or a value has the wrong type or range.
    """
    if family not in FAMILIES:
        raise ConfigError(f"model family {family!r} is unknown; expected one of {', '.join(FAMILIES)}")
    recipes = FAMILIES[family].recipes
    if size not in recipes:
        raise ConfigError(f"family {family!r} has no size {size!r}; expected one of {', '.join(recipes)}")
    known = {field.name: field.type for field in dataclasses.fields(FamilyRecipe)}
    for name, value in (overrides or {}).items():
        if name not in known:
            raise ConfigError(f"recipe field {name!r} is unknown; expected one of {', '.join(sorted(known))}")
        allowed = (int, float) if known[name] is float else int
        if not isinstance(value, allowed) or isinstance(value, bool):
            raise ConfigError(f"recipe field {name} = {value!r}, expected a value of type {known[name].__name__}")
    return dataclasses.replace(recipes[size], **(overrides or {}))


def make_family(
    book: FactBook, family: str, size: str, out: Path, *, seed: int = 0, overrides: dict[str, Any] | None = None
) -> dict[str, float]:
    """Train a model, write its folder, examine what was written, and add `card.json` if it passes.

    Args:
        book: a generated world.
        family: a key of `FAMILIES`.
        size: "tiny" or "small".
        out: the model's folder; it is replaced as a whole.
        seed: of the initial weights and of what is drawn.
        overrides: recipe fields with other values.

    Returns:
        what the gate measured, as shares and probabilities between 0 and 1.

    Raises:
        ModelError: the model misses a threshold of `family_gates.yaml`.
    """
    recipe = family_recipe(family, size, overrides)
    thresholds = read_thresholds(f"{family}-{size}", GATES)
    lesson: Lesson = FAMILIES[family].lesson(book, recipe, seed)
    record = {"family": family, "size": size, **train(lesson, book, recipe, seed)}
    with atomic_folder(out) as folder:
        lesson.model.save_pretrained(folder)
        lesson.tokenizer.save_pretrained(folder)
        write_json(folder / "training.json", record)
    measured = lesson.measure(load_model(out, FAMILIES[family].kind))
    missed = failures(measured, thresholds)
    report = {
        "passed": not missed,
        "thresholds": thresholds,
        "measured": measured,
        "training": {key: value for key, value in record.items() if key != "losses"},
    }
    if missed:
        write_json(out / "card.failed.json", report)
        raise ModelError(
            f"{out} does not pass its gate: {'; '.join(missed)}. Train it with another `seed` or more `steps` "
            f"(`recipe` of the model in the config); what was measured: {out / 'card.failed.json'}"
        )
    write_json(out / "card.json", report)
    logger.info("%s passes its gate: %s", out, {name: round(value, 3) for name, value in measured.items()})
    return measured


def _assignment(text: str) -> tuple[str, int | float]:
    name, _, value = text.partition("=")
    try:
        return name, int(value) if value.lstrip("-").isdigit() else float(value)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r}: expected FIELD=NUMBER") from error


@reported(logger)
def main(arguments: list[str] | None = None) -> None:
    """Train a model of a further family on a generated world, and examine it."""
    parser = argparse.ArgumentParser(prog="python -m shared.world.families", description=main.__doc__)
    parser.add_argument("--facts", type=Path, required=True, help="facts.json of a generated world")
    parser.add_argument("--family", choices=sorted(FAMILIES), required=True)
    parser.add_argument("--size", choices=("tiny", "small"), default="small")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--set", type=_assignment, action="append", default=[], metavar="FIELD=VALUE", help="recipe field"
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True, help="the model's folder")
    options = parser.parse_args(arguments)
    runtime.start(options.threads)
    book = FactBook.load(options.facts)
    make_family(book, options.family, options.size, options.out, seed=options.seed, overrides=dict(options.set))


if __name__ == "__main__":
    main()
