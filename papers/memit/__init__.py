"""MEMIT: mass-editing memory in a transformer (Meng et al., ICLR 2023, arXiv:2210.07229v2).

Thousands of facts are written at once. For each, a vector z is searched that makes the model state the new object
when it replaces the hidden state at the subject's last token, at the last of a range of critical layers (`targets`).
Then the MLPs of the range are changed one after another, each by the least-squares update that moves all subjects'
states towards their z by an even share of what is still missing (`insertion`, `solution`), so that ordinary text is
disturbed little.
"""

from shared.paper import Paper

PAPER = Paper(
    key="memit",
    title="Mass-Editing Memory in a Transformer",
    authors="Meng, Sen Sharma, Andonian, Belinkov and Bau",
    year=2023,
    text="arXiv:2210.07229v2",
    editors={"memit": "papers.memit.editor", "ft_w": "papers.memit.baselines"},
)
