"""The command line and the files it reads and writes."""

import json

import pytest

from papers.t_patcher.__main__ import main
from papers.t_patcher.data import Sizes, read_examples, read_sources
from papers.t_patcher.patches import Patches
from papers.t_patcher.tests.problems import examples
from shared.errors import DataError
from shared.tests.families import tiny_model


def write(path, count, seed):
    lines = [
        {"input": one.source, "output": [{"answer": one.target}], "rephrases": one.rephrases}
        for one in examples("t5", count, seed)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def test_patches_are_made_listed_and_removed(tmp_path, capsys):
    lm = tiny_model("t5")
    lm.model.save_pretrained(tmp_path / "model")
    lm.tokenizer.save_pretrained(tmp_path / "model")
    mistakes, memory = write(tmp_path / "mistakes.jsonl", 3, 0), write(tmp_path / "memory.jsonl", 10, 1)
    file = str(tmp_path / "mine.safetensors")
    given = ["--model", str(tmp_path / "model"), "--kind", "seq2seq", "--mistakes", str(mistakes), "--patches", file]
    more = ["--memory", str(memory), "--memory-weight", "0.01", "--max-steps", "60"]
    assert main(["patch", *given, *more]) == 0
    assert "mistakes mended with" in capsys.readouterr().out
    assert not list(tmp_path.glob("*.rounds"))
    assert main(["patch", *given, *more]) == 1
    assert "its patches would be lost" in capsys.readouterr().err
    patches, info = Patches.load(file)
    assert main(["list", "--patches", file]) == 0
    assert capsys.readouterr().out.startswith(f"{len(patches)} patches for")
    gone = patches.owner[0]
    assert main(["remove", "--patches", file, "--examples", str(gone)]) == 0
    left, later = Patches.load(file)
    assert gone not in left.owner
    assert str(gone) in json.loads(info["mistakes"]).keys() - json.loads(later["mistakes"]).keys()
    assert main(["remove", "--patches", file, "--examples", "99"]) == 1
    assert "no patch was made for [99]" in capsys.readouterr().err


def test_mistakes_that_stay_are_not_counted_as_mended(tmp_path, capsys):
    lm = tiny_model("t5")
    lm.model.save_pretrained(tmp_path / "model")
    lm.tokenizer.save_pretrained(tmp_path / "model")
    given = ["--model", str(tmp_path / "model"), "--kind", "seq2seq", "--patches", str(tmp_path / "mine.safetensors")]
    files = [f"--{name}={write(tmp_path / name, 6, seed)}" for seed, name in enumerate(("mistakes", "memory"))]
    # One update from a start that is drawn at random, of patches that weigh the memory alone.
    assert main(["patch", *given, *files, "--max-steps", "1", "--memory-weight", "1e6"]) == 0
    told = capsys.readouterr().out
    stay = told.count("NOT mended")
    assert stay
    assert f"{told.count(' steps') - stay} of {told.count(' steps')} mistakes mended" in told
    assert "a larger --max-steps" in told


def test_records_without_one_answer_or_another_wording_are_left_out(tmp_path):
    path = tmp_path / "x.jsonl"
    lines = [
        {"input": "a", "output": [{"answer": "b"}], "rephrases": ["c", "a"]},
        {"input": "a", "output": [{"answer": "b"}, {"answer": "c"}], "rephrases": ["c"]},
        {"input": "a", "output": [{"answer": "b"}]},
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert [one.example_id for one in read_examples(path)] == [0, 2]
    assert [one.rephrases for one in read_examples(path, rephrased=True)] == [("c",)]
    path.write_text('{"input": "a", "output": []}\n')
    with pytest.raises(DataError, match="line 1: output"):
        read_examples(path)


def test_parts_are_disjoint_and_large_enough(tmp_path):
    train, other = write(tmp_path / "train.jsonl", 12, 1), write(tmp_path / "other.jsonl", 4, 2)
    sources = read_sources(other, train, other, Sizes(memory=5, train=4, validation=3))
    parts = [{one.source for one in part} for part in (sources.memory, sources.train, sources.validation)]
    assert [len(part) for part in parts] == [5, 4, 3]
    assert len(set.union(*parts)) == 12
    with pytest.raises(DataError, match="12 records, expected 13"):
        read_sources(other, train, other, Sizes(memory=6, train=4, validation=3))
