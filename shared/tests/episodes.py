"""A few examples for models of every family, in the words that their tiny tokenizers know."""

from shared.learning.edit_examples import EditExample, ExampleSet, Statement
from shared.learning.edit_pools import Pool
from shared.model.models import LM
from shared.tests.families import tiny_model
from shared.tests.tiny import tiny_lm

FAMILIES = ("gpt2", "gptj", "t5", "t5_gated", "bart", "bert_one_logit", "bert_two_classes")
SUBJECTS = ("anna bell", "doctor bell", "anna", "the doctor", "piano town", "red rain", "blue rain", "one two")


def model_of(family: str) -> LM:
    """Return a tiny random model of a family."""
    return tiny_lm(family) if family.startswith("gpt") else tiny_model(family)


def modules_of(lm: LM) -> list[str]:
    """Return the names of both MLP matrices of the last block of every stack."""
    names = {id(module): name for name, module in lm.model.named_modules()}
    if lm.model.config.is_encoder_decoder:
        layers = [f"encoder.{lm.arch.encoder.n_layers - 1}", f"decoder.{lm.arch.decoder.n_layers - 1}"]
    else:
        layers = [lm.arch.n_layers - 2, lm.arch.n_layers - 1]
    return [names[id(side(layer))] for layer in layers for side in (lm.arch.mlp_in, lm.arch.mlp_out)]


def examples_of(family: str) -> ExampleSet:
    """Return edits and statements about made-up subjects."""
    answers = ("SUPPORTS", "REFUTES") if family.startswith("bert") else ("piano town", "red")
    examples = tuple(
        EditExample(
            number,
            f"who plays the {subject} ?",
            answers[number % 2],
            (f"who works in {subject} ?", f"a doctor of {subject} plays in town"),
            answers[1 - number % 2],
        )
        for number, subject in enumerate(SUBJECTS)
    )
    anchors = tuple(Statement(f"{subject} is a", answers[place % 2]) for place, subject in enumerate(SUBJECTS))
    return ExampleSet(examples, anchors)


def pool_of(family: str) -> Pool:
    """Return the examples, tokenised for the family's tiny model."""
    return Pool(model_of(family), examples_of(family))
