"""The program that runs streams: its files, and fine-tuning beside patches."""

import json

import pandas as pd
import pytest
import torch

from papers.t_patcher.data import Sizes, request_sources
from papers.t_patcher.edit_streams import main
from papers.t_patcher.fine_tuning import Tuning, TuningSettings
from papers.t_patcher.tests.golden import FOLDER
from papers.t_patcher.tests.problems import problem_of
from shared.errors import ConfigError

QUICK = {"max_steps": 40, "first_check": 10, "check_every": 10, "memory_top": 10, "max_patches": 20}


@pytest.mark.parametrize(
    ("family", "part", "kl"), [("t5", "last", 0), ("t5", "all", 4), ("bert_one_logit", "all", 4), ("gpt2", "last", 3)]
)
def test_fine_tuning_mends_and_gives_the_weights_back(family, part, kl):
    problem = problem_of(family, edits=3)
    model = problem.layer.lm.model
    before = {name: value.clone() for name, value in model.state_dict().items()}
    tuning = Tuning(problem, [[0, 1, 2]], TuningSettings(part, 1e-2, 200, kl_samples=kl, kl_rows=2, kl_weight=0.01))
    [stream] = tuning.streams
    home = problem.layer.lm.arch.name_of(problem.layer.stack.block(problem.layer.layer))
    for number in tuning.mend(stream):
        assert number == len(stream.edits)
        changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
        assert changed
        assert part == "all" or all(name.startswith(home) for name in changed)
    assert all(edit.right for edit in stream.edits)
    assert {"train", "test", "edited"} == set(tuning.at_end)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    untouched = tuning.retained(stream)
    assert untouched["train"] == problem.accuracy_before["train"]


def test_settings_of_fine_tuning_are_checked():
    with pytest.raises(ConfigError, match="part is 'first'"):
        TuningSettings(part="first")
    with pytest.raises(ConfigError, match="unknown"):
        TuningSettings.of({"rate": 1})


def test_requests_become_mistakes_of_a_causal_model():
    sources = request_sources(FOLDER / "requests.json", Sizes(memory=3, validation=2, train=2, edit=4, test=2))
    assert [len(part) for part in (sources.edit, sources.memory, sources.validation, sources.train, sources.test)] == [
        *(4, 3, 2, 2, 2)
    ]
    assert all(one.rephrases for one in sources.edit)
    kept = {(one.source, one.target) for part in (sources.memory, sources.train, sources.test) for one in part}
    assert not kept & {(one.source, one.target) for one in sources.edit}
    with pytest.raises(ConfigError, match="need numbers"):
        request_sources(FOLDER / "requests.json", Sizes(memory=3, validation=2, train=2))


def test_the_program_writes_what_the_items_read(tmp_path):
    variants = {"t_patcher": QUICK, "memory_2": QUICK | {"memory": 2}, "ft_all": {"editor": "ft", "max_steps": 2}}
    arguments = f"--model {FOLDER / 'model'} --kind decoder --format requests --files {FOLDER / 'requests.json'}"
    sizes = {"memory": 3, "validation": 2, "train": 2, "edit": 4, "test": 2}
    told = ["--sizes", json.dumps(sizes), "--variants", json.dumps(variants)]
    plain = ["--folds", "2", "--every", "1", "--shown", "3", "--rounds", str(tmp_path / "rounds")]
    main([*arguments.split(), *told, *plain, "--out", str(tmp_path)])
    streams = pd.read_csv(tmp_path / "streams.csv")
    assert streams.groupby("editor").size().to_dict() == {"ft_all": 2, "memory_2": 2, "t_patcher": 2}
    assert (streams["edits"] == 2).all()
    curves = pd.read_csv(tmp_path / "curves.csv")
    assert set(curves.columns) == set(streams.columns)
    assert set(curves["edits"]) == {1, 2}
    shown = pd.read_csv(tmp_path / "activations.csv")
    assert set(shown["of"]) == {"edit", "test"}
    assert shown.groupby("editor")["own"].sum().min() >= 2
    assert not (tmp_path / "rounds").exists()
    main([*arguments.split(), *told, *plain, "--streams", "1", "--out", str(tmp_path / "first")])
    first = pd.read_csv(tmp_path / "first/streams.csv")
    numbers = [name for name in first.columns if name != "seconds"]
    expected = streams[streams["fold"] == 0][numbers].reset_index(drop=True)
    pd.testing.assert_frame_equal(first[numbers], expected, check_dtype=False)
    with pytest.raises(SystemExit):
        main([*arguments.split(), "--sizes", json.dumps(sizes), "--variants", '{"a": {"editor": "x"}}'])
