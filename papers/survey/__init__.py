"""Editing large language models: problems, methods, and opportunities (Yao et al., EMNLP 2023, arXiv:2305.13172).

Every editing method meets the same cases. An edit is judged by its reliability (the edit itself), generalization
(other wordings), locality (what it should not reach stays as the unedited model has it), portability (what should
follow from it: aliases of the subject, the question asked from the object, a step further) and efficiency (seconds,
memory), for single edits, batches and sequences. Each number is a function of stored answers, and names its scorer.
"""

from shared.paper import Paper

PAPER = Paper(
    key="survey",
    title="Editing Large Language Models: Problems, Methods, and Opportunities",
    authors="Yao, Wang, Tian, Cheng, Li, Deng, Chen and Zhang",
    year=2023,
    text="arXiv:2305.13172v3",
)
