"""Sampled prefixes: seeded, one slot each, the same for every paper's kind of start."""

import pytest

from shared.data.requests import EditRequest
from shared.fit.contexts import END_OF_TEXT, clean_prefix, in_contexts, sample_contexts
from shared.model.tokens import encode
from shared.tests.tiny import tiny_lm

WORDS = ["The", "Because", "You"]


@pytest.mark.parametrize(("starts", "count"), [([END_OF_TEXT], 5), (WORDS, 15)])
def test_contexts_are_seeded_and_hold_one_slot(starts, count):
    lm, lengths = tiny_lm(), [(5, 3), (8, 2)]
    templates = sample_contexts(lm, starts, lengths, 1, paper="a")
    assert templates[0] == "{}"
    assert len(templates) == 1 + count
    assert templates == sample_contexts(lm, starts, lengths, 1, paper="a")
    assert templates != sample_contexts(lm, starts, lengths, 2, paper="a")
    assert templates != sample_contexts(lm, starts, lengths, 1, paper="b")
    assert all(template.count("{}") == 1 and template.endswith(". {}") for template in templates[1:])


def test_texts_begin_with_their_words_and_differ_from_each_other():
    templates = sample_contexts(tiny_lm(), WORDS, [(10, 2)], paper="memit")
    doubled = [word for word in WORDS for _ in range(2)]
    assert all(template.startswith(word) for template, word in zip(templates[1:], doubled, strict=True))
    assert len(set(templates)) == 7


def test_prefixes_are_clean():
    assert clean_prefix("<e>a{b}\n\nc", "<e>") == "a b  c"


def test_a_request_in_every_context():
    lm = tiny_lm()
    request = EditRequest(case_id=0, subject="Anna Bell", prompt="Now {} speaks", target_new="French")
    plain, longer = in_contexts(lm, request, ["{}", "Yes. {}"], "subject_last")
    assert plain.ids == encode(lm, "Now Anna Bell speaks")
    assert lm.tokenizer.decode(longer.ids) == "Yes. Now Anna Bell speaks"
    assert longer.ids[longer.lookup] == plain.ids[plain.lookup]
