"""Assess a model, calibrate it in several ways, and assess it again: `python -m papers.calinet.calibrate_facts --help`.

Written are, in the folder `--out`: `facts.csv` (what each model says about each fact), `texts.csv` (how it predicts
other text), `slots.csv` (the words that slots promote), `shift.csv` (how probabilities move as slots are added), and
`questions.csv` (answers to questions after calibration and tuning).
"""

import argparse
import json
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from papers.calinet.assessment import assess, text_nll
from papers.calinet.calibration import calibrated, settings_of
from papers.calinet.calibration_facts import CalibrationFact, calibration_facts
from papers.calinet.question_answering import QuestionStudy, question_rows
from papers.calinet.reading_slots import promoted_words, shift
from papers.calinet.slots import Slots, SlotSettings, begin
from shared import runtime
from shared.errors import ConfigError, DataError, reported
from shared.model.models import LM, load_lm
from shared.records import atomic_path
from shared.world.factbook import FactBook

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Study:
    """What all models are assessed on.

    Attributes:
        misstated: share of facts whose right object is not the corpus' one.
        alpha: α of the assessment.
        texts, length: texts of the language-modelling perplexity, and tokens read of each.
        shown: slots whose words are written, and the steps in which slots are added.
    """

    misstated: float | int = 0.45
    alpha: float | int = 0.001
    texts: int = 60
    length: int = 64
    shown: int = 16


class Tables:
    """The rows of all models."""

    def __init__(self, lm: LM, book: FactBook, texts: Sequence[str], study: Study, seed: int):
        self.lm, self.book, self.texts, self.study, self.seed = lm, book, texts, study, seed
        self.rows: dict[str, list[dict[str, Any]]] = {
            name: [] for name in ("facts", "texts", "slots", "shift", "questions")
        }

    def add(self, name: str, model: dict[str, Any]) -> None:
        """Calibrate as one entry of the configuration says, and note what the model then says.

        Raises:
            ConfigError: a setting is unknown, or an inner layer's slots shall be read.
        """
        settings = dict(model)
        method, count, read = settings.pop("method"), settings.pop("facts"), settings.pop("read", False)
        facts = calibration_facts(self.book, self.study.misstated, self.seed, count)
        with calibrated(self.lm, method, settings, facts, self.seed) as slots:
            for fact, found in zip(facts, assess(self.lm, facts, self.study.alpha), strict=True):
                asked = {"fact": fact.number, "prompt": fact.test[0], "gold": fact.gold, "false": fact.false}
                row = {"model": name, "facts": count, **asked, "misstated": fact.misstated, **asdict(found)}
                self.rows["facts"].append(row)
            for number, (nll, tokens) in enumerate(text_nll(self.lm, self.texts, self.study.length)):
                self.rows["texts"].append({"model": name, "text": number, "nll": nll, "tokens": tokens})
        log.info("%s: %d facts assessed", name, len(facts))
        if read:
            self._read(name, slots, facts, settings)

    def _read(self, name: str, slots: Slots | None, facts: Sequence[CalibrationFact], settings: dict[str, Any]) -> None:
        if slots is None or not slots.layer.is_last:
            raise ConfigError(f"{name}: only slots of the last layer are read")
        untrained = begin(slots.layer, settings_of(SlotSettings, settings), self.seed)
        for kind, own in (("trained", slots), ("untrained", untrained)):
            for row in promoted_words(self.lm, own, facts, self.study.shown):
                self.rows["slots"].append({"model": name, "kind": kind, **row})
        wrong = [fact for fact in facts if fact.misstated]
        for row in shift(self.lm, slots, wrong or list(facts), self.study.shown):
            self.rows["shift"].append({"model": name, **row})

    def ask(self, study: QuestionStudy) -> None:
        """Note how questions are answered after each way to calibrate."""
        self.rows["questions"] = list(question_rows(self.lm, self.book, self.study.misstated, study, self.seed))
        log.info("questions asked after %s", ", ".join(study.methods))

    def write(self, folder: Path) -> None:
        """Write one file per table."""
        for name, rows in self.rows.items():
            with atomic_path(folder / f"{name}.csv") as part:
                pd.DataFrame(rows).to_csv(part, index=False, float_format="%.6g", lineterminator="\n")


@reported(log)
def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m papers.calinet.calibrate_facts", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--model", required=True, help="folder or hub id of a decoder")
    parser.add_argument("--facts", type=Path, required=True, help="facts.json of the world")
    parser.add_argument("--texts", type=Path, required=True, help="other text, one passage a line")
    parser.add_argument("--study", type=json.loads, default={}, help="fields of Study as JSON")
    parser.add_argument(
        "--calibrations", type=json.loads, required=True, help="name → method, facts and settings, as JSON"
    )
    parser.add_argument("--questions", type=json.loads, help="fields of QuestionStudy as JSON")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float32", choices=["float32", "float64", "bfloat16", "float16"])
    parser.add_argument("--out", type=Path, required=True, help="folder of the .csv files")
    options = parser.parse_args(arguments)
    device = runtime.start(options.threads, options.device)
    study = settings_of(Study, options.study)
    lm = load_lm(options.model, device=device, dtype=getattr(torch, options.dtype))
    texts = options.texts.read_text(encoding="utf-8").splitlines()[: study.texts]
    if len(texts) < study.texts:
        raise DataError(f"{options.texts}: {len(texts)} passages, expected {study.texts}")
    tables = Tables(lm, FactBook.load(options.facts), texts, study, options.seed)
    for name, model in options.calibrations.items():
        tables.add(name, model)
    if options.questions:
        tables.ask(settings_of(QuestionStudy, options.questions))
    tables.write(options.out)


if __name__ == "__main__":
    main()
