"""Time-aware editing (Zheng et al. 2023, §5.4, Table 10): is an old fact still there when newer ones were edited in?

    python -m papers.ike.memorisation --methods papers.ike.editor papers.rome.editor --model DIR --sequences FILE \\
        --variants '{"ike": {"editor": "ike", "k": 8}}' --pool pool.json --save-sequences used.json \\
        --out memorisation.csv

The facts of a sequence are edited one after the other. The memorisation ratio is P(o1 | s, r, t1) after all of them
over the same after the first alone; objects' probabilities are geometric means over their tokens.
"""

import argparse
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch

from papers.ike.sequences import read_sequences, sequences_of
from shared import runtime
from shared.data.requests import EditRequest, read_counterfact
from shared.data.templates import fill
from shared.editing.edit_cases import import_methods, make_editors
from shared.editing.editors import Editor
from shared.editing.runs import DEFAULT_CONTEXTS, expand
from shared.edits.deltas import applied
from shared.errors import reported
from shared.fit.second_moment import SecondMoments
from shared.inference.scoring import score_targets
from shared.measures.intervals import mean_interval
from shared.model.models import LM, load_lm
from shared.model.tokens import encode, target_ids
from shared.records import atomic_path, read_json, write_json
from shared.world.factbook import FactBook

log = logging.getLogger(__name__)
PERCENT = 100


@dataclass(frozen=True)
class Memory:
    """Probability of a sequence's oldest object: after its own edit, and after all."""

    first: float
    last: float

    @property
    def ratio(self) -> float:
        """What is left of the probability, in percent; it may exceed 100."""
        return PERCENT * self.last / self.first


def remember(lm: LM, editor: Editor, edits: Sequence[EditRequest]) -> Memory:
    """Return the probabilities of the oldest object of one sequence, which is edited in turn.

    An edit of weights starts from the weights that the one before it left; a context holds all facts so far.
    """
    asked, found = edits[0], []
    with ExitStack() as stack:
        for count in range(1, len(edits) + 1):
            made = editor.edit(lm, edits[count - 1 : count])
            if made.kind == "context" and count > 1:
                made = editor.edit(lm, edits[:count])
            stack.enter_context(applied(lm, made))
            if count in (1, len(edits)):
                prompt = encode(lm, made.context + fill(asked.prompt, asked.subject))
                found.append(score_targets(lm, [prompt], [target_ids(lm, asked.target_new)])[0].probability)
    return Memory(*found)


def measure(
    lm: LM, editors: Mapping[str, Editor], sequences: Sequence[Sequence[EditRequest]]
) -> Iterator[dict[str, float | int | str]]:
    """Yield editor, metric, mean, low, high, n: the memorisation ratio, and the probabilities behind it in percent.

    The ratio is the mean over sequences of each one's, cut at 100: a few sequences whose first edit failed would
    otherwise decide it.
    """
    for name, editor in editors.items():
        found = [remember(lm, editor, sequence) for sequence in sequences]
        log.info("%s: %d sequences", name, len(found))
        values = {
            "memorisation_ratio": [min(memory.ratio, PERCENT) for memory in found],
            "probability_first": [PERCENT * memory.first for memory in found],
            "probability_last": [PERCENT * memory.last for memory in found],
        }
        for metric, numbers in values.items():
            yield {"editor": name, "metric": metric, **vars(mean_interval(torch.tensor(numbers).double().numpy()))}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m papers.ike.memorisation", description=__doc__.split("\n")[0])
    parser.add_argument("--methods", nargs="+", required=True, metavar="MODULE", help="modules that register editors")
    parser.add_argument("--model", required=True, help="folder or hub id of the model")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--sequences", type=Path, help="dated facts in TempLAMA's format (time_editing.json)")
    source.add_argument("--facts", type=Path, help="a fact book to make such sequences from")
    parser.add_argument("--first", type=int, default=None, help="only so many sequences")
    parser.add_argument("--variants", type=json.loads, required=True, help="JSON object: name -> {editor, settings}")
    parser.add_argument("--moments", type=Path, help="second moments of keys")
    parser.add_argument("--contexts", type=Path, help="context templates")
    parser.add_argument("--pool", type=Path, help="records of the demonstrations, in CounterFact's format")
    parser.add_argument("--save-sequences", type=Path, required=True, help="the sequences used, to write")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", choices=["float32", "bfloat16", "float16"], default="float32")
    parser.add_argument("--out", type=Path, required=True, help="CSV to write")
    return parser


@reported(log)
def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    options = _parser().parse_args(arguments)
    device = runtime.start(options.threads, options.device)
    made = sequences_of(FactBook.load(options.facts), options.first or 100) if options.facts else None
    used = (read_json(options.sequences) if made is None else made)[: options.first]
    write_json(options.save_sequences, used)
    sequences = read_sequences(options.save_sequences)
    import_methods(options.methods, [variant["editor"] for variant in options.variants.values()])
    lm = load_lm(options.model, dtype=getattr(torch, options.dtype), device=device)
    moments = SecondMoments.load(options.moments) if options.moments else None
    contexts = {DEFAULT_CONTEXTS: read_json(options.contexts)} if options.contexts else {}
    pool = read_counterfact(options.pool) if options.pool else []
    editors = make_editors(expand(options.variants, lm.arch.n_layers), moments, contexts, pool)
    frame = pd.DataFrame(
        list(measure(lm, editors, sequences)), columns=["editor", "metric", "mean", "low", "high", "n"]
    )
    with atomic_path(options.out) as part:
        frame.to_csv(part, index=False, float_format="%.9g", lineterminator="\n")


if __name__ == "__main__":
    main()
