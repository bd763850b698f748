"""KnowledgeEditor: editing factual knowledge in language models (De Cao et al., EMNLP 2021, arXiv:2104.08164).

A hyper-network reads the edit as text (the old answer, the new one and the input) with a bidirectional LSTM and
predicts, for each edited matrix, how its gradient is to be changed: a mask and an offset of rank one, and a step size.
It is trained so that the new answer is given, also to paraphrases, and other predictions stay.
"""

from shared.paper import Paper

PAPER = Paper(
    key="knowledge_editor",
    title="Editing Factual Knowledge in Language Models",
    authors="De Cao, Aziz and Titov",
    year=2021,
    text="arXiv:2104.08164",
    editors={"ke": "papers.knowledge_editor.editor"},
)
