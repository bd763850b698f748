"""FT-1 and FT-5: windows, problems and noise; the numbers are tested against the authors' in test_golden."""

import pytest
import torch

from papers.localization.editing import window_layers
from papers.localization.tuning import WindowTuningEditor
from shared.data.requests import EditRequest
from shared.editing.editors import Editor
from shared.edits.deltas import applied
from shared.errors import ConfigError
from shared.inference.scoring import score_targets
from shared.model.tokens import encode_prompt, target_ids
from shared.tests.tiny import tiny_lm
from shared.traces.tracing import Restoration

REQUEST = EditRequest(case_id=7, subject="Anna Bell", prompt="{} plays the", target_new="piano")


def _log_prob(lm, edit):
    prompt, target = encode_prompt(lm, REQUEST.prompt, REQUEST.subject), target_ids(lm, REQUEST.target_new)
    with applied(lm, edit):
        return sum(score_targets(lm, [prompt.ids], [target])[0].log_probs)


@pytest.mark.parametrize(("center", "window"), [(0, 5), (3, 5), (7, 5), (4, 1), (2, 10)])
def test_windows_are_those_of_tracing(center, window):
    assert window_layers(center, window, 8) == list(Restoration("mlp", window).layers(center, 8))


def test_a_target_becomes_likelier_or_unlikelier():
    lm = tiny_lm()
    before = _log_prob(lm, WindowTuningEditor(layers=[1], n_steps=1, lr=1e-9).edit_each(lm, [REQUEST])[0])
    settings = {"layers": [0, 1], "n_steps": 8, "lr": 5e-3, "norm_constraint": 2e-2}
    raised = WindowTuningEditor(**settings).edit_each(lm, [REQUEST])[0]
    # The target is far below 0.01 from the start, where erasing would stop.
    lowered = WindowTuningEditor(**settings, objective="minimise", stop_below=0).edit_each(lm, [REQUEST])[0]
    assert isinstance(WindowTuningEditor(layers=[0]), Editor)
    assert _log_prob(lm, lowered) < before < _log_prob(lm, raised)
    assert [delta.module for delta in raised.deltas] == [lm.arch.name_of(lm.arch.mlp_out(layer)) for layer in (0, 1)]
    assert all(delta.dense.abs().max() <= 2e-2 + 1e-6 for delta in raised.deltas)
    jointly = WindowTuningEditor(**settings).edit(lm, [REQUEST])
    torch.testing.assert_close(jointly.deltas[0].dense, raised.deltas[0].dense, atol=1e-3, rtol=0)


def test_copies_are_corrupted_at_the_subject():
    lm = tiny_lm()
    noise = {"scale": 0.5, "seed": 4}
    problem = WindowTuningEditor(layers=[0], subject_noise=noise, copies=3).problem(lm, REQUEST)
    assert len(problem.rows) == 3
    assert len({float(row.noise.sum()) for row in problem.rows}) == 3
    redrawn = WindowTuningEditor(layers=[0], subject_noise=noise | {"redrawn": True}, copies=3)
    problem = redrawn.problem(lm, REQUEST)
    first, second = problem.fresh_noise(), problem.fresh_noise()
    assert len(first) == 3
    assert not torch.equal(first[0], second[0])
    with pytest.raises(ConfigError, match="needs single edits"):
        redrawn.edit(lm, [REQUEST])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"layers": []}, "expected one or more layer numbers"),
        ({"layers": [-1]}, "layers is \\[-1\\]"),
        ({"layers": [0], "objective": "forget"}, "objective is 'forget'"),
        ({"layers": [0], "copies": 0}, "copies is 0"),
        ({"layers": [0], "patience": 0}, "patience is 0"),
    ],
)
def test_bad_settings_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        WindowTuningEditor(**settings)
