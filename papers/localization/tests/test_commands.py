"""The command line on the golden model: one fact traced and edited, and what is said when it cannot be."""

import pandas as pd
import pytest
from safetensors.torch import load_file

from papers.localization.__main__ import main
from papers.localization.tests import golden
from shared.fit.second_moment import SecondMoments

CASE = golden.cases()[0].request
FACT = ["--model", str(golden.FOLDER / "model"), "--subject", CASE.subject, "--prompt", CASE.prompt]
FACT += ["--true", CASE.target_true, "--noise", "0.27"]


def test_tracing_a_fact(tmp_path, capsys):
    assert main(["trace", *FACT, "--windows", "1", "3", "--samples", "2", "--out", str(tmp_path / "t")]) == 0
    frame = pd.read_csv(tmp_path / "t.csv")
    assert set(frame["window"]) == {1, 3}
    assert (tmp_path / "t.png").stat().st_size > 5000
    assert "window      1      3" in capsys.readouterr().out


def test_editing_a_fact_at_several_layers(tmp_path, capsys):
    words = ["edit", *FACT, "--editor", "ft_1", "--problem", "fact_amplification", "--layers", "0", "5"]
    assert main([*words, "--out", str(tmp_path / "t.csv")]) == 0
    frame = pd.read_csv(tmp_path / "t.csv")
    assert frame["layer"].tolist() == [0, 5]
    assert {"rewrite_score", "fraction_restored"} <= set(frame)
    assert "paraphrase_score" not in frame
    assert "Fact Amplification by ft_1" in capsys.readouterr().out


def test_rome_takes_second_moments(tmp_path):
    sums = load_file(golden.FOLDER / "moments" / "mom2_float32.safetensors")
    SecondMoments({3: sums["layer3.mom2_sum"].double()}, 13612).save(tmp_path / "m.safetensors")
    words = ["edit", *FACT, "--new", CASE.target_new, "--layers", "3", "--moments", str(tmp_path / "m.safetensors")]
    paraphrase = f"It rains. {CASE.prompt.replace('{}', CASE.subject)}"
    assert main([*words, "--paraphrase", paraphrase, "--out", str(tmp_path / "t.csv")]) == 0
    assert pd.read_csv(tmp_path / "t.csv")["rewrite_score"].iloc[0] > 0.05


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["edit", *FACT], "--problem error_injection needs --new"),
        (["edit", *FACT, "--new", "x", "--layers", "3"], "needs the second moments"),
        (["trace", *FACT, "--windows", "0"], "a window has at least one layer"),
        (["trace", *FACT[:4], "--prompt", "no slot", "--true", "x"], "prompt: got 0 slots"),
    ],
)
def test_what_cannot_be_done_is_said(words, message, capsys):
    assert main(words) == 1
    assert message in capsys.readouterr().err
