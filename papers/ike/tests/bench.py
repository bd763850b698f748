"""What IKE's engine is measured against: every sequence on its own, and every query against every record."""

import copy
from collections.abc import Iterator
from itertools import cycle, islice

import numpy as np
import torch
from torch import nn

from papers.ike.editor import IkeEditor
from papers.ike.retrieval import Pool, TfidfEncoder, retrieval_text
from shared.data.probes import counterfact_probes
from shared.data.requests import EditRequest
from shared.inference.prefix_scoring import score_in_groups
from shared.model.models import LM
from shared.model.tokens import encode, target_ids
from tests.bench import Comparison, Setup

RECORDS, QUERIES, K = 20_000, 2000, 32
# The paper's contexts: 32 demonstrations, over a thousand tokens (§4.1).
DEMONSTRATIONS = 32
POSITIONS = 2048


def longer(lm: LM, positions: int) -> LM:
    """Return the model with at least so many positions, the learned ones repeated."""
    model = copy.deepcopy(lm.model)
    if lm.arch.n_positions < positions and lm.arch.position_embedding is not None:
        table = model.transformer.wpe.weight
        model.transformer.wpe = nn.Embedding.from_pretrained(table[torch.arange(positions) % len(table)])
        model.config.n_positions = positions
    return LM(model, lm.tokenizer, lm.name)


@torch.no_grad()
def one_by_one(lm: LM, prompts: list[list[int]], targets: list[list[int]]) -> list[float]:
    """Return the mean NLL of each target by a pass over its whole sequence, as the authors' icl.py does."""
    found = []
    for prompt, target in zip(prompts, targets, strict=True):
        log_probs = lm.model(torch.tensor([prompt + target], device=lm.device)).logits[0].log_softmax(-1)
        rows = log_probs[len(prompt) - 1 : -1]
        found.append(-float(rows[range(len(target)), target].mean()))
    return found


def made_up(count: int, seed: int) -> list[EditRequest]:
    """Return facts of made-up words, for the retrieval."""
    rng = np.random.default_rng(seed)
    words = [f"w{number}" for number in range(3000)]
    return [
        EditRequest(
            case_id=i, subject=" ".join(words[j] for j in drawn[:2]), prompt=f"{{}} {words[drawn[2]]}", target_new="x"
        )
        for i, drawn in enumerate(rng.integers(0, len(words), (count, 3)).tolist())
    ]


def one_query_at_a_time(pool: list[EditRequest], queries: list[EditRequest]) -> np.ndarray:
    """Return the nearest records of each query, encoded and compared with the pool on its own."""
    encoder = TfidfEncoder()
    texts = [retrieval_text(request) for request in pool]
    encoder.fit(texts)
    rows, found = encoder.encode(texts), []
    for query in queries:
        nearness = (encoder.encode([retrieval_text(query)]) @ rows.T).toarray()[0].astype(np.float32)
        found.append(np.argsort(-nearness, kind="stable")[:K])
    return np.array(found)


def comparisons(setup: Setup) -> Iterator[Comparison]:
    """Yield IKE's comparisons: the 26 sequences of one record, and the retrieval."""
    case, *others = setup.cases
    lm = longer(setup.lm, POSITIONS)
    # Few cases are demonstrated several times; what is timed depends on the length alone.
    editor = IkeEditor(list(islice(cycle(others), 2 * DEMONSTRATIONS)), k=DEMONSTRATIONS)
    context = editor.edit(lm, [case.request]).context
    asked = [probe.prompt for probe in counterfact_probes(case)]
    objects = [target_ids(lm, case.request.target_new), target_ids(lm, case.request.target_true)]
    prompts = [encode(lm, context + prompt) for prompt in asked for _ in objects]
    targets = [*objects] * len(asked)
    yield Comparison(
        f"one record in context: {len(prompts)} sequences of {max(map(len, prompts))} tokens",
        10,
        lambda: one_by_one(lm, prompts, targets),
        lambda: [score.mean_nll for score in score_in_groups(lm, prompts, targets, [0] * len(prompts))],
        lambda slow, fast: float(np.abs(np.array(slow) - np.array(fast)).max()),
        "nats",
    )
    records, queries = made_up(RECORDS, 0), made_up(QUERIES, 1)
    yield Comparison(
        f"nearest {K} of {RECORDS} records, {QUERIES} queries, in one product",
        None,
        lambda: one_query_at_a_time(records, queries),
        lambda: Pool(records, TfidfEncoder()).nearest(queries, K),
        lambda slow, fast: float((slow != fast).mean()),
        "share of other records",
    )
