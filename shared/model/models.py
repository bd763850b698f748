"""Loading a model with its tokenizer and its parts, from safetensors only.

Decoders (GPT-2, GPT-J, GPT-NeoX and LLaMA-like), masked encoders and classifiers (BERT) and encoder-decoders (T5, BART)
load the same way; `shared.model.architectures` finds their parts by structure.
"""

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import torch
from transformers import (
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoModelForSeq2SeqLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils.logging import disable_progress_bar

from shared.errors import ModelError
from shared.model.architectures import Architecture, EncoderDecoder, find_parts

__all__ = ["LM", "Architecture", "EncoderDecoder", "Kind", "load_lm", "load_model"]

Kind = Literal["decoder", "masked", "seq2seq", "classifier"]

_LOADERS = {
    "decoder": (AutoModelForCausalLM, "causal language model"),
    "masked": (AutoModelForMaskedLM, "masked language model"),
    "seq2seq": (AutoModelForSeq2SeqLM, "encoder-decoder"),
    "classifier": (AutoModelForSequenceClassification, "sequence classifier"),
}


@dataclass(frozen=True)
class LM:
    """A model with its tokenizer and its parts; `arch` is an `EncoderDecoder` where there are two stacks."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    name: str
    arch: Architecture | EncoderDecoder = field(init=False)

    def __post_init__(self) -> None:
        self.model.eval().requires_grad_(False)
        object.__setattr__(self, "arch", find_parts(self.model))

    @property
    def device(self) -> torch.device:
        """Device of the embedding, where inputs are placed."""
        return self.arch.embedding.weight.device

    @property
    def dtype(self) -> torch.dtype:
        """Floating-point type of the residual stream."""
        return self.arch.embedding.weight.dtype


def _check_local(path: Path) -> None:
    if not (path / "config.json").exists():
        raise ModelError(f"{path}: no config.json; expected a folder written by save_pretrained")
    if not any(path.glob("*.safetensors")):
        found = ", ".join(sorted(file.name for file in path.glob("*.bin"))) or "none"
        raise ModelError(
            f"{path}: no .safetensors weights (pickled weights found: {found}); pickles can run code and are refused: "
            "convert the checkpoint with save_pretrained(safe_serialization=True)"
        )


def load_model(
    name_or_path: str | Path,
    kind: Kind = "decoder",
    *,
    revision: str | None = None,
    dtype: torch.dtype = torch.float32,
    device: str | torch.device = "cpu",
) -> LM:
    """Load a model and its tokenizer from a folder or the Hugging Face hub, safetensors only.

    Args:
        name_or_path: a folder written by `save_pretrained`, or a hub id such as `gpt2-xl`.
        kind: what the model is; a classifier may have one logit or two classes.
        revision: commit of the hub repository, for a pinned checkpoint.
        dtype: type of the weights; headline runs use float32.
        device: where the weights go.

    Raises:
        ModelError: no such model, no safetensors weights, an unknown layout, or weights that lack a part of this kind
            of model (a classifier's head, say, which would be random).
    """
    path = Path(name_or_path)
    if path.is_dir():
        _check_local(path)
    options = {"revision": revision, "trust_remote_code": False}
    if not sys.stderr.isatty():
        disable_progress_bar()
    loader, title = _LOADERS[kind]
    try:
        model, found = loader.from_pretrained(
            name_or_path, dtype=dtype, use_safetensors=True, output_loading_info=True, **options
        )
        tokenizer = AutoTokenizer.from_pretrained(name_or_path, **options)
    except (OSError, ValueError) as error:
        raise ModelError(f"cannot load {str(name_or_path)!r} as a {title}: {error}") from error
    if found["missing_keys"]:
        missing = ", ".join(sorted(found["missing_keys"]))
        raise ModelError(f"cannot load {str(name_or_path)!r} as a {title}: the weights lack {missing}")
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    tokenizer.padding_side = "right"
    lm = LM(model.to(device), tokenizer, str(name_or_path))
    if kind == "decoder" and lm.arch.family == "bert":
        raise ModelError(f"cannot load {str(name_or_path)!r} as a {title}: it is a masked encoder")
    return lm


def load_lm(
    name_or_path: str | Path,
    *,
    revision: str | None = None,
    dtype: torch.dtype = torch.float32,
    device: str | torch.device = "cpu",
) -> LM:
    """Load a decoder, see `load_model`."""
    return load_model(name_or_path, "decoder", revision=revision, dtype=dtype, device=device)
