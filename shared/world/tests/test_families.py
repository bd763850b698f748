"""The further families: tokenizers, what lessons show, training, and a gate that hands no broken model on."""

import json
import random
from pathlib import Path

import pytest
import torch

from shared.errors import ConfigError, ModelError
from shared.inference.answers import answer_ids
from shared.inference.cloze import word_id
from shared.model.models import LM, load_model
from shared.world.division import Division
from shared.world.documents import FILLER_SUBJECTS
from shared.world.factbook import FactBook
from shared.world.families import FAMILIES, GATES, family_recipe, main, make_family
from shared.world.gate import read_thresholds
from shared.world.generate import WorldConfig, generate_world
from shared.world.lesson import train
from shared.world.masked_encoder import hide_object, hide_one_word
from shared.world.wordings import CLOZE_RELATIONS

SHORT = {"steps": 4, "d_model": 16, "heads": 2, "layers": 2, "rows": 8, "warmup": 2}


@pytest.fixture(scope="module")
def book() -> FactBook:
    return generate_world(WorldConfig(seed=3, people=40))


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def lesson_of(book: FactBook, family: str, seed: int = 0, **changes: float):
    return FAMILIES[family].lesson(book, family_recipe(family, "tiny", SHORT | changes), seed)


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_training_is_deterministic_and_moves_every_matrix(book: FactBook, family: str) -> None:
    recipe = family_recipe(family, "tiny", SHORT)
    weights, losses = [], []
    for seed in (1, 1, 2):
        lesson = lesson_of(book, family, seed)
        before = {name: value.clone() for name, value in lesson.model.state_dict().items()}
        losses.append(train(lesson, book, recipe, seed)["losses"])
        after = lesson.model.state_dict()
        assert not lesson.model.training
        still = {name for name in before if before[name].ndim == 2 and torch.equal(before[name], after[name])}
        assert still <= {"bert.embeddings.token_type_embeddings.weight"}
        weights.append(after)
    assert losses[0] == losses[1] != losses[2]
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())


def test_lessons_show_no_hidden_wording_and_no_withheld_fact(book: FactBook) -> None:
    division = Division(book)
    for family, wordings in (("qa", division.questions), ("claims", division.claims)):
        lesson = lesson_of(book, family)
        assert [fact for fact, _ in lesson._shown] == division.shown_facts
        assert all(not set(texts) & set(wordings(fact, shown=False)) for fact, texts in lesson._shown)
        seen = []
        tokenize = type(lesson.tokenizer).__call__

        class Listening(type(lesson.tokenizer)):
            def __call__(self, texts, *args, tokenize=tokenize, seen=seen, **kwargs):
                seen.extend(texts if isinstance(texts, list) else [texts])
                return tokenize(self, texts, *args, **kwargs)

        lesson.tokenizer.__class__ = Listening
        for step in range(4):
            lesson.loss(step)
        forbidden = [(fact, text) for fact in division.shown_facts for text in wordings(fact, shown=False)]
        for fact in division.facts["edit"]:
            forbidden += [(fact, text) for shown in (True, False) for text in wordings(fact, shown=shown)]
        if family == "claims":
            hidden = {
                f"{text} {answer}."
                for fact, text in forbidden
                for answer in ("[MASK]", fact.object, *division.other_objects(fact))
            }
        else:
            hidden = {text for _, text in forbidden}
        assert len(seen) >= 4 * SHORT["rows"]
        assert not [text for text in seen if without_filler(text) in hidden]


def without_filler(text: str) -> str:
    return text.split(". ", 1)[1] if text.startswith(FILLER_SUBJECTS) else text


def test_question_tokens_do_not_depend_on_place(book: FactBook) -> None:
    lesson = lesson_of(book, "qa")
    lm = LM(lesson.model, lesson.tokenizer, "qa")
    for fact in book.facts[::11]:
        answer = answer_ids(lm, fact.object)
        assert answer[-1] == lm.tokenizer.eos_token_id
        asked = lm.tokenizer.encode(f"So {fact.object}", add_special_tokens=False)
        assert asked[-len(answer) + 1 :] == answer[:-1]
        assert lm.tokenizer.decode(answer, skip_special_tokens=True).strip() == fact.object
    lengths = {len(answer_ids(lm, fact.object)) - 1 for fact in book.facts}
    assert {1, 2, 3} <= lengths


def test_every_cloze_object_is_one_word_of_the_encoders(book: FactBook) -> None:
    lesson = lesson_of(book, "masked")
    lm = LM(lesson.model, lesson.tokenizer, "masked")
    objects = {fact.object for fact in book.facts if fact.relation_id in CLOZE_RELATIONS}
    assert len({word_id(lm, name) for name in objects}) == len(objects)
    text = "Gun xyzzy plays, after all, the piano."
    assert lm.tokenizer.unk_token_id not in lm.tokenizer.encode(text)


def test_masks_stay_where_they_are_and_others_hide_one_word(book: FactBook) -> None:
    lesson = lesson_of(book, "masked")
    tokenizer = lesson.tokenizer
    fact = next(fact for fact in book.facts if fact.relation_id == "P106")
    texts = [hide_object(f"{fact.object.capitalize()} is the job of {fact.subject}.", fact), f"{fact.subject} sings."]
    batch = tokenizer(texts, padding=True, return_tensors="pt")
    whole = batch["input_ids"].clone()
    places, hidden = hide_one_word(batch, tokenizer, random.Random(0))
    assert places[0] == 1
    assert hidden[0] == tokenizer.pad_token_id
    assert hidden[1] == whole[1, places[1]]
    assert (batch["input_ids"] == tokenizer.mask_token_id).sum(1).tolist() == [1, 1]
    assert hidden[1] not in tokenizer.all_special_ids


def test_a_model_that_misses_its_gate_has_no_card(book: FactBook, tmp_path: Path) -> None:
    book.save(tmp_path / "facts.json")
    arguments = ["--facts", str(tmp_path / "facts.json"), "--family", "masked", "--size", "tiny"]
    changes = [part for name, value in SHORT.items() for part in ("--set", f"{name}={value}")]
    with pytest.raises(SystemExit):
        main([*arguments, *changes, "--out", str(tmp_path / "model")])
    names = {path.name for path in (tmp_path / "model").iterdir()}
    expected = {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "training.json"}
    assert expected | {"card.failed.json"} <= names
    assert "card.json" not in names
    report = json.loads((tmp_path / "model/card.failed.json").read_text())
    assert report["passed"] is False
    assert report["measured"]["recall"] < report["thresholds"]["recall"]
    assert load_model(tmp_path / "model", "masked").arch.n_layers == SHORT["layers"]


def test_a_model_that_passes_has_a_card(book: FactBook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.world.families.read_thresholds", lambda *_: {"shown": 0.0})
    measured = make_family(book, "claims", "tiny", tmp_path / "model", overrides=SHORT)
    report = json.loads((tmp_path / "model/card.json").read_text())
    assert report["measured"] == measured
    assert set(measured) == {"shown", "hidden", "withheld"}
    assert load_model(tmp_path / "model", "classifier").model.config.num_labels == 1


def test_every_recipe_has_a_gate() -> None:
    for family, described in FAMILIES.items():
        for size in described.recipes:
            assert read_thresholds(f"{family}-{size}", GATES)


@pytest.mark.parametrize(
    ("family", "size", "changes", "message"),
    [
        ("gpt", "tiny", {}, "model family 'gpt' is unknown; expected one of qa, claims, masked"),
        ("qa", "large", {}, "has no size 'large'; expected one of tiny, small"),
        ("qa", "tiny", {"stpes": 3}, "recipe field 'stpes' is unknown"),
        ("qa", "tiny", {"steps": 0.5}, "steps = 0.5, expected a value of type int"),
        ("qa", "tiny", {"d_model": 66}, "no multiple of heads"),
        ("masked", "tiny", {"label_smoothing": 1.0}, "expected a share"),
    ],
)
def test_faulty_recipes_are_explained(family: str, size: str, changes: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        family_recipe(family, size, changes)


def test_a_failed_gate_says_what_was_missed(book: FactBook, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"does not pass its gate: shown is .*, expected at least 0\.800"):
        make_family(book, "qa", "tiny", tmp_path / "model", overrides=SHORT)
