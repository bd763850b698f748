"""Some edits in words: what an encoder-decoder answers before and after, to questions near and far (Tables 2 and 10).

    python -m papers.mend.shown --model results/models/world-qa --questions results/data/zsre_validation.jsonl \\
        --editor results/mend/studies/questions/editors/mend.safetensors --records 0 5 11 --out shown.jsonl
"""

import argparse
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel

import papers.mend.method  # noqa: F401 (a trained file is built by it)
from shared import runtime
from shared.data.reading import read_records
from shared.edits.deltas import applied
from shared.edits.factor_edits import edit_of
from shared.errors import DataError, reported
from shared.inference.text_batches import encode_row
from shared.learning.edit_examples import question_examples
from shared.learning.learned_editors import Edits, LearnedEditor, load_learned
from shared.model.models import LM, load_model
from shared.records import write_jsonl

log = logging.getLogger(__name__)


class _Meta(BaseModel):
    same_subject: tuple[tuple[str, str], ...] = ()
    same_relation: tuple[tuple[str, str], ...] = ()


class _Question(BaseModel):
    """A question with harder statements for locality, where the file has them."""

    input: str
    meta: _Meta = _Meta()


def answer(lm: LM, question: str, longest: int = 12) -> str:
    """Return the model's greedy answer."""
    asked = lm.tokenizer(question, return_tensors="pt").to(lm.device)
    with torch.no_grad():
        ids = lm.model.generate(**asked, max_new_tokens=longest, do_sample=False, num_beams=1)
    return lm.tokenizer.decode(ids[0], skip_special_tokens=True).strip()


def shown_edits(
    lm: LM, editor: LearnedEditor, path: str | Path, wanted: Sequence[int], seed: int
) -> Iterator[dict[str, Any]]:
    """Yield one row per question: edit, kind, question, wanted answer, answers before and after.

    Raises:
        DataError: a wanted record is no edit of the file.
    """
    records = read_records(path, _Question)
    examples = {example.example_id: example for example in question_examples(path, seed).examples}
    for number in wanted:
        if number not in examples:
            raise DataError(f"{path}: record {number} cannot be shown as an edit; the file has {len(examples)} edits")
        example, meta = examples[number], records[number].meta
        row = encode_row(lm, example.source, example.target)
        with torch.no_grad():
            made = edit_of(editor.changes(lm, Edits.of(lm, [[(row, ())]])), 0)
        asked = [("edited", example.source, example.target), ("rephrased", example.equivalents[0], example.target)]
        asked += [("same relation", question, truth) for question, truth in meta.same_relation[:1]]
        asked += [("same subject", question, truth) for question, truth in meta.same_subject[:2]]
        before = [answer(lm, question) for _, question, _ in asked]
        with applied(lm, made):
            after = [answer(lm, question) for _, question, _ in asked]
        for (kind, question, truth), old, new in zip(asked, before, after, strict=True):
            yield {"edit": number, "asked": kind, "question": question, "wanted": truth, "before": old, "after": new}


@reported(log)
def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m papers.mend.shown", description=__doc__.split("\n")[0])
    parser.add_argument("--model", required=True, help="folder or hub id of an encoder-decoder")
    parser.add_argument("--questions", type=Path, required=True, help="annotated zsRE file")
    parser.add_argument("--editor", type=Path, required=True, help="trained MEND editor")
    parser.add_argument("--records", type=int, nargs="+", required=True, help="numbers of the records to edit")
    parser.add_argument("--seed", type=int, default=0, help="decides which alternative is edited in")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(arguments)
    lm = load_model(options.model, kind="seq2seq", device=runtime.start(options.threads, options.device))
    editor = load_learned(options.editor, lm)
    write_jsonl(options.out, shown_edits(lm, editor, options.questions, options.records, options.seed))


if __name__ == "__main__":
    main()
