import pytest
import torch

from papers.knowledge_editor.method import KnowledgeEditor
from shared.errors import ConfigError
from shared.inference.text_batches import predictions
from shared.learning.editor_training import TrainingSettings, train
from shared.learning.learned_editors import Edits, group_losses, linear_maps, load_learned, save_learned
from shared.model.models import Architecture
from shared.tests.episodes import FAMILIES, modules_of, pool_of

SMALL = {"lstm_hidden": 6, "hidden": 7, "condition": 8}


def edits_of(pool, groups):
    return Edits.of(pool.lm, [[(pool.examples[i].row, pool.examples[i].condition) for i in group] for group in groups])


@pytest.mark.parametrize("family", FAMILIES)
def test_the_update_is_the_papers_formula_on_whole_matrices(family):
    pool = pool_of(family)
    lm, names = pool.lm, modules_of(pool.lm)
    editor = KnowledgeEditor(lm, names, **SMALL, max_scale=2.0)
    edits = edits_of(pool, [[0], [3]])
    with torch.no_grad():
        changes = editor.changes(lm, edits)
        condition = editor.conditioner(edits.conditions)
    for edit in range(2):
        batch = edits.batch.select(torch.tensor([edit]))
        for name, network in zip(names, editor.networks, strict=True):
            module = linear_maps(lm.model, [name])[name]
            weight = module.weight.requires_grad_()
            loss = group_losses(predictions(lm, batch), batch, torch.zeros(1, dtype=torch.long), 1).sum()
            gradient = torch.autograd.grad(loss, weight)[0]
            weight.requires_grad_(False)
            gradient = gradient.T if Architecture.input_first(module) else gradient  # (d_out, d_in)
            d_out, d_in = gradient.shape
            with torch.no_grad():
                said = network(condition[edit])
            column_a, row_a, column_b, row_b, step = said.split([d_in, d_out, d_in, d_out, 1])
            mask = torch.outer(row_a.softmax(0), column_a)
            offset = torch.outer(row_b.softmax(0), column_b)
            expected = 2.0 * step.sigmoid() * (gradient * mask + offset)
            ours = changes[name].left[edit].T @ changes[name].right[edit]
            assert torch.allclose(ours.T, expected, atol=1e-6 + 1e-4 * float(expected.abs().max()))


def test_conditions_are_read_alone_and_together_alike():
    pool = pool_of("gpt2")
    editor = KnowledgeEditor(pool.lm, modules_of(pool.lm), **SMALL)
    texts = [example.condition for example in pool.examples]
    with torch.no_grad():
        together = editor.conditioner(texts)
        for place, text in enumerate(texts):
            assert torch.allclose(together[place], editor.conditioner([text])[0], atol=1e-6)


def test_conditions_say_old_new_and_input_in_at_most_32_tokens():
    pool = pool_of("gpt2")
    text = pool.lm.tokenizer.decode(pool.examples[0].condition)
    assert text.startswith("red >> piano town || who plays the")
    assert max(len(example.condition) for example in pool.examples) <= 32


def test_training_moves_a_copy_of_the_embeddings_only(tmp_path):
    pool = pool_of("gpt2")
    before = pool.lm.model.get_input_embeddings().weight.clone()
    editor = KnowledgeEditor(pool.lm, modules_of(pool.lm), **SMALL)
    settings = TrainingSettings(steps=4, edits_per_step=2, lr=1e-2, validate_every=2, validation_edits=4)
    made = train(editor, pool.lm, pool, pool, settings)
    assert made["best_loss"] < made["history"][0]["total"]
    assert torch.equal(pool.lm.model.get_input_embeddings().weight, before)
    assert not torch.equal(editor.conditioner.embedding.weight, before)
    save_learned(editor, pool.lm, tmp_path / "ke", {})
    again, edits = load_learned(tmp_path / "ke", pool.lm), edits_of(pool, [[1]])
    with torch.no_grad():
        one, other = editor.changes(pool.lm, edits), again.changes(pool.lm, edits)
    assert all(torch.equal(one[name].right, other[name].right) for name in one)


def test_several_pairs_in_one_edit_are_refused():
    pool = pool_of("gpt2")
    editor = KnowledgeEditor(pool.lm, modules_of(pool.lm), **SMALL)
    with pytest.raises(ConfigError, match="one pair per edit"):
        editor.changes(pool.lm, edits_of(pool, [[0, 1]]))
    with pytest.raises(ConfigError, match="hidden is 0"):
        KnowledgeEditor(pool.lm, modules_of(pool.lm), hidden=0)
