"""The programs from facts to records, and the command line, on tiny models."""

import json

import pandas as pd
import pytest

from papers.kn import __main__ as command
from papers.kn import attribute_facts, facts, modify_facts, open_text, rewrite_values, select_neurons
from papers.kn.items import (
    figure_3,
    figure_4,
    figure_6,
    figure_related,
    table_1,
    table_2,
    table_3,
    table_4,
    table_5,
    table_6,
    table_changes,
)
from papers.kn.tests.networks import TEMPLATES, masked_network
from shared.provenance import REPOSITORY
from shared.report.item_command import Drawing, Listing, Request, Table

GOLDEN = str(REPOSITORY / "tests/golden/model")
SETTINGS = {
    "stands_for": {"tiny": "bert-base-cased"},
    "exact": False,
    "scale": "test",
    "templates": ["P106"],
    "sentences": ["P106"],
}
FACTS = {
    "P106": [("Anna Bell", "doctor"), ("Carl Dorn", "pilot")],
    "P1303": [("Anna Bell", "piano"), ("Carl Dorn", "guitar")],
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Run all programs on a random masked model and return the folder of their files."""
    folder = tmp_path_factory.mktemp("kn")
    network = masked_network()
    network.lm.model.save_pretrained(folder / "model")
    network.lm.tokenizer.save_pretrained(folder / "model")
    patterns = [{"pattern": text, "relation": name} for name in FACTS for text in TEMPLATES]
    pairs = [
        {"sub_label": head, "obj_label": tail, "predicate_id": name}
        for name, own in FACTS.items()
        for head, tail in own
    ]
    for name, lines in (("patterns", patterns), ("facts", pairs)):
        (folder / f"{name}.jsonl").write_text("\n".join(map(json.dumps, lines)))
    bags = {
        name: [
            {
                "th_bags": [
                    f"{tail} is the work of {head}.",
                    f"{head} was a {tail}.",
                    f"a {tail} was {head}.",
                    f"{tail}, {head}.",
                ]
            }
            | {"h_bags": [f"{head} was born in Rome."]}
            for head, tail in own
        ]
        for name, own in FACTS.items()
    }
    (folder / "sentences.json").write_text(json.dumps(bags))
    chosen = ["--model", folder / "model", "--patterns", folder / "patterns.jsonl", "--facts", folder / "facts.jsonl"]
    common = [*map(str, chosen), "--neurons", str(folder / "neurons.json")]
    shards = [str(folder / f"{part}.jsonl") for part in (1, 2)]
    for part, shard in enumerate(shards, start=1):
        attribute_facts.main([*common[:6], "--steps", "4", "--shard", f"{part}-of-2", "--out", shard])
    sharing = {"ig": {"threshold": 0.2}, "activation": {"threshold": 0.5}}
    select_neurons.main(["--attributions", *shards, "--sharing", json.dumps(sharing), "--out", common[-1]])
    modify_facts.main([*common, "--out", str(folder / "changes.csv")])
    texts = ["--sentences", str(folder / "sentences.json"), "--out", str(folder / "open_text.csv")]
    open_text.main([*common, *texts, "--each", str(folder / "sentences.csv")])
    outs = ["--updates-out", str(folder / "updates.csv"), "--erasures-out", str(folder / "erasures.csv")]
    rewrite_values.main([*common, "--erase", "P106", "--counts", "3", "--edits", "2", "--common", "1", *outs])
    return folder


def test_attributions_of_all_shards(made):
    lines = [json.loads(line) for part in (1, 2) for line in (made / f"{part}.jsonl").read_text().splitlines()]
    assert len(lines) == 4 * len(TEMPLATES)
    for line in lines:
        assert line["shape"] == [3, 80]
        top = max(score for _, _, score in line["ig"])
        assert all(score >= 0.0999 * top for _, _, score in line["ig"])


def test_changes_are_those_of_the_prompts(made):
    frame = pd.read_csv(made / "changes.csv")
    assert len(frame) == 4 * 4 * 2
    sizes = frame.pivot_table(index=["relation", "line"], columns="set", values="neurons")
    assert (sizes["ig"] == sizes["random"]).all()
    unchanged = frame[frame["neurons"] == 0]
    assert unchanged["before"].tolist() == pytest.approx(unchanged["after"].tolist(), abs=1e-6)
    assert (frame.loc[frame["neurons"] > 0, "before"] != frame.loc[frame["neurons"] > 0, "after"]).any()


def test_sentences_and_erasures(made):
    texts = pd.read_csv(made / "open_text.csv")
    assert set(texts["kind"]) == {"T1", "T2", "T3"}
    erased = pd.read_csv(made / "erasures.csv")
    assert erased["asked"].tolist() == ["own", "others"] * 2
    assert (erased["prompts"] == 2 * len(TEMPLATES)).all()
    assert (erased["nll_before"] != erased["nll_after"]).any()


ITEMS = [
    (table_2, "neurons.json"),
    (table_3, "open_text.csv"),
    (table_4, "sentences.csv"),
    (table_5, "updates.csv"),
    (table_6, "erasures.csv"),
    (table_changes, "changes.csv"),
    (figure_3, "neurons.json"),
    (figure_4, "changes.csv"),
    (figure_6, "open_text.csv"),
    (figure_related, "changes.csv"),
]


@pytest.mark.parametrize(("item", "file"), ITEMS, ids=lambda one: getattr(one, "__name__", one))
def test_items(made, item, file):
    paper = REPOSITORY / "papers/kn/reported.csv"
    found = item.make(Request(["tiny"], [made / file], SETTINGS, paper))
    frame = {Table: lambda: found.frame, Drawing: lambda: found.data, Listing: lambda: found.frame}[type(found)]()
    if item is table_5 and frame.empty:
        pytest.fail("no update was made")
    assert isinstance(found, Listing) or "tiny" in set(frame["model"])


def test_templates(made):
    request = Request(["a", "b"], [made / "patterns.jsonl", made / "facts.jsonl"], SETTINGS)
    assert table_1.make(request).frame["template"].tolist() == list(TEMPLATES)


def test_facts_are_chosen_by_options(made):
    options = ["--model", "m", "--patterns", str(made / "patterns.jsonl"), "--facts", str(made / "facts.jsonl")]
    parser = attribute_facts.argparse.ArgumentParser()
    facts.add_options(parser)
    chosen = parser.parse_args([*options, "--max-facts", "1", "--max-relations", "1"])
    assert [(one.id, len(one.facts)) for one in facts.relations_of(chosen)] == [("P106", 1)]


PROMPTS = ["Fes Seisax is originally from", "Fes Seisax was born in", "The birthplace of Fes Seisax is"]


def test_command_line(tmp_path, capsys):
    common = ["--model", GOLDEN, "--answer", "Brimom", "--prompts", *PROMPTS, "--share", "0.3", "--steps", "5"]
    assert command.main(["find", *common, "--out", str(tmp_path / "n.csv")]) == 0
    assert "knowledge neurons" in capsys.readouterr().out
    assert {"layer", "neuron", "prompts", "mean_score"} == set(pd.read_csv(tmp_path / "n.csv").columns)
    assert command.main(["suppress", *common, "--also", "Fes Seisax works as a=doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()[1:]
    assert len(lines) == 4
    before, after = (float(part.split()[0]) for part in lines[0].split("->")[:2])
    assert after < before
    assert command.main(["amplify", *common]) == 0
    edit = ["edit", "--model", GOLDEN, "--subject", "Fes Seisax", "--prompt", "{} was born in", "--target", "Kunen"]
    assert command.main(edit) == 1
    assert "give --true" in capsys.readouterr().err
    assert command.main([*edit, "--true", "Brimom", "--leading-space", "--length", "12"]) == 0
    assert command.main(["find", "--model", GOLDEN, "--answer", "no such place", "--prompts", *PROMPTS]) == 1
    assert "expected an answer of one token" in capsys.readouterr().err
