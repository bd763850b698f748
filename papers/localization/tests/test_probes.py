"""The texts that score an edit: which are asked, in each mode, and where their noise lies."""

import json

import numpy as np
import pytest

from papers.localization.corruption import draw_noise, misplaced_noise, subject_range
from papers.localization.datasets import ZsreForm, read_cases, zsre_cases
from papers.localization.facts import Fact
from papers.localization.modes import MODES
from papers.localization.probes import ProbeSettings, probes_for
from papers.localization.problems import PROBLEMS
from shared.data.requests import Case, EditRequest, QuestionAnswer
from shared.errors import ConfigError, DataError
from shared.model.tokens import encode
from shared.tests.tiny import tiny_lm

PAPER, RELEASED = MODES["as_paper"], MODES["as_released"]
REQUEST = EditRequest(
    case_id=7, subject="Anna Bell", prompt="{} plays the", target_new="piano", target_true="the violin"
)
CASE = Case(
    request=REQUEST,
    paraphrase_prompts=("It rains. Anna Bell, playing the", "Anna Bell performs on the"),
    neighborhood_prompts=("Danielle plays the", "The Needle plays the", "Rain plays the"),
    attribute_prompts=("A city plays the",),
)
FACT = Fact(7, "Anna Bell", "", True, 0.9, "flute", [[5, 6, 7, 8], [5, 9, 7]])


def _probes(problem="error_injection", target="piano", case=CASE, **settings):
    asked = ProbeSettings(**{"mode": PAPER, "noise": 0.5} | settings)
    return probes_for(tiny_lm(), case, PROBLEMS[problem], target, FACT, asked)


def _kinds(probes):
    return [probe.kind for probe in probes]


def test_all_prompts_are_asked_as_in_the_paper_and_the_first_as_released():
    kinds = _kinds(_probes())
    assert kinds == ["rewrite", *["paraphrase"] * 2, *["neighborhood"] * 3, "baseline", *["essence"] * 2]
    assert _kinds(_probes(mode=RELEASED)) == ["rewrite", "paraphrase", "neighborhood", "baseline"]
    assert _kinds(_probes(neighbors=1, paraphrases=1, essence_texts=0)).count("neighborhood") == 1
    assert "baseline" not in _kinds(_probes("fact_erasure", "the violin"))


def test_targets_are_read_token_by_token():
    lm, probe = tiny_lm(), _probes(target="the violin")[0]
    prompt, target = encode(lm, "Anna Bell plays the"), encode(lm, " the violin")
    assert list(probe.row.ids) == [*prompt, *target[:-1]]
    assert list(probe.row.tokens) == target
    assert list(probe.row.positions) == list(range(len(prompt) - 1, len(prompt) - 1 + len(target)))
    essence = _probes()[-1].row
    assert (list(essence.ids), list(essence.tokens), list(essence.positions)) == ([5, 9], [9, 7], [0, 1])


def test_fact_forcing_corrupts_the_subject_of_each_prompt():
    lm = tiny_lm()
    for probe in _probes("fact_forcing", "the violin"):
        if probe.kind == "neighborhood":
            assert probe.row.noise is None
            continue
        place = (0, probe.row.noise.shape[0])
        if probe.kind != "essence":
            prompt = list(probe.row.ids[: probe.row.positions[0] + 1])
            place = subject_range(lm, prompt, "Anna Bell")
        expected = 0.5 * np.random.RandomState(1).randn(place[1] - place[0], lm.arch.d_model)
        np.testing.assert_allclose(probe.row.noise[place[0] :], expected)
        assert not probe.row.noise[: place[0]].any()
    assert all(probe.row.noise is None for probe in _probes())


def test_the_released_evaluation_takes_another_prompts_range():
    lm = tiny_lm()
    rewrite, paraphrase, neighbor = _probes("fact_forcing", "the violin", mode=RELEASED)
    texts = [rewrite, *CASE.paraphrase_prompts, *CASE.neighborhood_prompts, *CASE.attribute_prompts]
    texts[0] = "Anna Bell plays the"
    ids = [encode(lm, text) for text in texts]
    ranges = [subject_range(lm, text, "Anna Bell") for text in ids]
    longest = max(stop - start for start, stop in ranges[:3])
    drawn = 0.5 * np.random.RandomState(1).randn(2 * len(ids), longest, lm.arch.d_model)
    # The paraphrase's target stands in row 2, which gets the range of prompt 2.
    for probe, row in ((rewrite, 0), (paraphrase, 2)):
        start, stop = ranges[row]
        np.testing.assert_allclose(probe.row.noise[start:], drawn[row, : stop - start])
    assert ranges[2] != ranges[1]
    assert neighbor.row.noise is None
    assert misplaced_noise(lm, ids[3:], "Anna Bell", 0.5) == [None] * 4


def test_subjects_are_found_as_written_or_without_accents():
    lm = tiny_lm()
    ids = encode(lm, "The mother tongue of Danielle Darrieux is")
    start, stop = subject_range(lm, ids, "Danielle Darrieux")
    assert lm.tokenizer.decode(ids[start:stop]).strip() == "Danielle Darrieux"
    assert subject_range(lm, ids, "Daniélle Darrieux") == (start, stop)
    assert subject_range(lm, ids, "Anna") is None
    assert draw_noise(None, 0.5, 8, samples=2) == [None, None]


def test_cases_without_probes_and_long_texts_are_refused():
    with pytest.raises(DataError, match="case_id 7: no neighborhood prompt"):
        _probes(case=CASE.model_copy(update={"neighborhood_prompts": ()}))
    long = CASE.model_copy(update={"paraphrase_prompts": ("Anna Bell plays the piano. " * 60,)})
    with pytest.raises(DataError, match="case_id 7: a paraphrase text has"):
        _probes(case=long)


def test_zsre_becomes_cases_with_another_cases_answer():
    def case(number, answer):
        request = EditRequest(case_id=number, subject="Ann", prompt="Where is {}?", target_new=answer)
        asked = (QuestionAnswer(prompt="nq question: who sings", answer="Bo"),)
        return Case(request=request, paraphrase_prompts=("Where does Ann live?",), locality=asked)

    made = zsre_cases([case(0, "Rome"), case(1, "Oslo"), case(2, "Rome")], ZsreForm())
    assert [one.request.target_true for one in made] == ["Rome", "Oslo", "Rome"]
    assert [one.request.target_new for one in made] == ["Oslo", "Rome", "Oslo"]
    assert made[0].request.prompt == "Question: Where is {}? Answer:"
    assert made[0].paraphrase_prompts == ("Question: Where does Ann live? Answer:",)
    assert made[0].neighborhood_prompts == ("Question: who sings? Answer:",)
    with pytest.raises(ConfigError, match="same answer"):
        zsre_cases([case(0, "Rome")], ZsreForm())
    with pytest.raises(ConfigError, match="one {} for the question"):
        ZsreForm(question="Question:")
    with pytest.raises(ConfigError, match="expected answers or pred"):
        ZsreForm(true_answer="alt")
    with pytest.raises(ConfigError, match="'fever' is unknown"):
        read_cases("fever", "x.json")


def test_what_is_true_may_stand_in_another_field_of_zsre(tmp_path):
    records = [
        {"subject": name, "src": f"Where is {name}?", "rephrase": "r", "answers": [new], "loc": "l", "loc_ans": "a"}
        | {"pred": true}
        for name, new, true in (("Ann", "Rome", "Oslo"), ("Bo", "Bern", "Riga"))
    ]
    (tmp_path / "z.json").write_text(json.dumps(records))
    plain = read_cases("zsre", tmp_path / "z.json")
    assert [case.request.target_true for case in plain] == ["Rome", "Bern"]
    world = read_cases("zsre", tmp_path / "z.json", ZsreForm(true_answer="pred"))
    assert [case.request.target_true for case in world] == ["Oslo", "Riga"]
    assert [case.request.target_new for case in world] == ["Rome", "Bern"]
    (tmp_path / "z.json").write_text(json.dumps([records[0] | {"pred": None}]))
    with pytest.raises(DataError, match="record 0, field pred"):
        read_cases("zsre", tmp_path / "z.json", ZsreForm(true_answer="pred"))
