"""Transformer-Patcher: one mistake, a few neurons.

A model that is in use makes mistakes one after another. Each is mended by neurons added to the last feed-forward layer,
one per wrong answer token: a key that responds to the mistake's input there, and a value that makes the model say the
right token. Losses keep a key silent on a memory of other inputs, so that the model's other answers, and the mistakes
mended before, stay as they are. The model's own weights and all earlier neurons never change.
"""

from shared.paper import Paper

PAPER = Paper(
    key="t_patcher",
    title="Transformer-Patcher: One Mistake worth One Neuron",
    authors="Huang, Shen, Zhang, Zhou, Rong and Xiong",
    year=2023,
    text="ICLR 2023; arXiv:2301.09785v1",
    editors={"t_patcher": "papers.t_patcher.editor"},
)
