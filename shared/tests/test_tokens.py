"""Token boundaries: spaces, spans and lookup positions."""

import pytest

from shared.data.templates import fill
from shared.errors import DataError
from shared.model.tokens import encode, encode_prompt, find_subject, target_ids
from shared.tests.tiny import tiny_lm

TEMPLATES = ("{} works as a", "The mother tongue of {} is", "Where does {} live?", "{}, a native", "It is {}")


@pytest.mark.parametrize("template", TEMPLATES)
def test_pieces_joined_equal_the_whole(template):
    lm = tiny_lm()
    prompt = encode_prompt(lm, template, "Anna Bell")
    assert prompt.ids == encode(lm, fill(template, "Anna Bell"))
    assert lm.tokenizer.decode(prompt.ids[prompt.start : prompt.stop]).strip() == "Anna Bell"
    assert (prompt.start, prompt.stop) == find_subject(lm, prompt.ids, "Anna Bell")


def test_lookup_positions():
    lm = tiny_lm()
    places = {
        token: encode_prompt(lm, "The tongue of {} is", "Anna Bell", token).lookup
        for token in ("subject_first", "subject_last", "subject_first_after_last", "last")
    }
    prompt = encode_prompt(lm, "The tongue of {} is", "Anna Bell")
    assert places["subject_first"] == prompt.start
    assert places["subject_last"] == prompt.stop - 1
    assert places["subject_first_after_last"] == prompt.stop
    assert places["last"] == len(prompt.ids) - 1
    ending = encode_prompt(lm, "It is {}", "Anna Bell", "subject_first_after_last")
    assert ending.lookup == ending.stop - 1


def test_targets_carry_one_leading_space():
    lm = tiny_lm()
    assert target_ids(lm, "French") == target_ids(lm, " French") == encode(lm, " French")


@pytest.mark.parametrize(
    ("template", "message"),
    [("no slot", "0 slots"), ("{} and {}", "2 slots"), ("the({} of", "must end with a space")],
)
def test_bad_templates(template, message):
    with pytest.raises(DataError, match=message):
        encode_prompt(tiny_lm(), template, "Anna")


def test_bad_subject_token_and_target():
    lm = tiny_lm()
    with pytest.raises(DataError, match="is not in the prompt"):
        find_subject(lm, encode(lm, "The city of rain"), "Anna")
    with pytest.raises(DataError, match="fact_token 'middle' is unknown"):
        encode_prompt(lm, "{} is", "Anna", "middle")
    with pytest.raises(DataError, match="empty target"):
        target_ids(lm, " ")


def test_braces_in_names_survive():
    assert fill("{} was", "A {b} C") == "A {b} C was"
