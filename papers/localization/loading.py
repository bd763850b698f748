"""What every program of this paper with a model begins with: the options that name model, cases, noise and mode."""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import torch

from papers.localization.corruption import noise_scale
from papers.localization.datasets import ZsreForm, read_cases
from papers.localization.modes import Mode, mode_named
from shared import runtime
from shared.data.requests import Case
from shared.model.models import LM, load_lm
from shared.records import read_json


def add_case_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that all programs with a model and cases share."""
    parser.add_argument("--model", required=True, help="folder or hub id of the model")
    parser.add_argument("--dataset", choices=["counterfact", "zsre"], default="counterfact")
    parser.add_argument("--cases", type=Path, required=True, help="file of cases")
    parser.add_argument("--zsre", type=_zsre, help="JSON object: question, unrelated, true_answer of zsRE's records")
    parser.add_argument("--first", type=int, help="only the first N cases of the file (default: all)")
    parser.add_argument("--unknown-too", action="store_true", help="use facts that the model does not know as well")
    parser.add_argument("--mode", default="as_paper", help="as_paper (default) or as_released")
    parser.add_argument("--noise", default="s3", help="noise on subjects: s3 (three sigma) or a number (default: s3)")
    parser.add_argument("--block", type=int, default=25, help="cases computed together")
    parser.add_argument("--shard", default="1-of-1", help="which part of the cases, e.g. 2-of-8")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", choices=["float32", "bfloat16", "float16"], default="float32")


def _zsre(text: str) -> ZsreForm:
    return ZsreForm(**(json.loads(text) if text.lstrip().startswith("{") else read_json(text)))


@dataclass(frozen=True)
class Loaded:
    """A model with the cases of a run.

    Attributes:
        cases: all of the run, of every shard.
        noise: scale of the noise on subjects, measured on all of them.
        mode: reading of the protocol.
    """

    lm: LM
    cases: list[Case]
    noise: float
    mode: Mode


def load(options: argparse.Namespace) -> Loaded:
    """Load what the options of `add_case_options` name."""
    device = runtime.start(options.threads, options.device)
    cases = read_cases(options.dataset, options.cases, options.zsre)[: options.first]
    lm = load_lm(options.model, dtype=getattr(torch, options.dtype), device=device)
    noise = noise_scale(lm, options.noise, [case.request.subject for case in cases])
    return Loaded(lm, cases, noise, mode_named(options.mode))
