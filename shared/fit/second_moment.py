"""Second moments of MLP keys, E[k kᵀ], streamed over a corpus for any set of layers in one pass.

ROME (Eq. 2, §3.1) and MEMIT (Eq. 14, §4.2) weigh what an edit disturbs by the uncentred second moment C of the keys
that a layer sees in ordinary text: every token of every document counts, no token is put in front. Products are formed
per batch and summed in float64; sums of disjoint shards add up. A file says which model, tokenizer, corpus, length and
precision it was made from, and is refused for any other.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from weakref import WeakSet
from zipfile import BadZipFile

import numpy as np
import torch
from jaxtyping import Float, Float64
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from shared.errors import DataError, ModelError, NumericalError
from shared.model.models import LM
from shared.records import write_tensors


class SecondMoments:
    """Sums of k kᵀ per layer, with the number of tokens and what they were made from.

    Attributes:
        sums: layer → Σ k kᵀ in float64, on the CPU.
        count: number of tokens summed.
        made_from: digests and settings of the collection (see `shared/fit/moments.py`).
        shards: which shards ("0/4") are inside.
        verified: models whose digests were found to agree, so that many editors check one model once.
    """

    def __init__(
        self,
        sums: Mapping[int, Float64[Tensor, "d_mlp d_mlp"]],
        count: int,
        made_from: Mapping[str, str] | None = None,
        shards: Iterable[str] = ("0/1",),
    ):
        if count < 1:
            raise DataError(f"second moments of {count} tokens; the corpus gave no token to sum over")
        self.sums = dict(sums)
        self.count = count
        self.made_from = dict(made_from or {})
        self.shards = frozenset(shards)
        self.verified: WeakSet[nn.Module] = WeakSet()
        self._factors: dict[tuple[int, float, torch.device], Tensor] = {}

    @property
    def layers(self) -> list[int]:
        """Layers whose moments are here."""
        return sorted(self.sums)

    def total(self, layer: int) -> Float64[Tensor, "d_mlp d_mlp"]:
        """Return Σ k kᵀ of a layer.

        Raises:
            DataError: if the layer was not collected.
        """
        if layer not in self.sums:
            raise DataError(
                f"no second moment of layer {layer}; collected layers are {self.layers}: collect it with "
                f"`python -m shared.fit.moments collect --layers {layer} …`"
            )
        return self.sums[layer]

    def moment(self, layer: int) -> Float64[Tensor, "d_mlp d_mlp"]:
        """Return C = E[k kᵀ] of a layer (DataError if it was not collected)."""
        return self.total(layer) / self.count

    def solve(self, layer: int, keys: Float[Tensor, "key d_mlp"], ridge: float = 0.0) -> Float64[Tensor, "key d_mlp"]:
        """Return C⁻¹k for every key, by a Cholesky factor that is computed once per layer.

        Args:
            layer: which moment.
            keys: one key per row; the solution is computed on their device.
            ridge: multiple of the mean diagonal of C added to its diagonal.

        Raises:
            NumericalError: C is not positive definite (too few tokens, or dead neurons).
        """
        place = (layer, ridge, keys.device)
        if place not in self._factors:
            self._factors[place] = self._factor(layer, ridge, keys.device)
        return torch.cholesky_solve(keys.double().T, self._factors[place]).T

    def _factor(self, layer: int, ridge: float, device: torch.device) -> Tensor:
        matrix = self.moment(layer).to(device)
        size = len(matrix)
        remedy = (
            "collect over more documents (--max-documents), or set `ridge` to a small positive number such as 1e-6 "
            "to add that multiple of the mean diagonal"
        )
        if self.count < size and ridge <= 0:
            raise NumericalError(
                f"second moment of layer {layer}: {self.count} tokens cannot fill {size} dimensions; {remedy}"
            )
        if ridge:
            matrix.diagonal().add_(ridge * matrix.diagonal().mean())
        factor, failed = torch.linalg.cholesky_ex(matrix)
        if failed:
            raise NumericalError(
                f"second moment of layer {layer} is not positive definite (leading minor {int(failed)} of {size}, "
                f"{self.count} tokens); {remedy}"
            )
        return factor

    def merged(self, other: "SecondMoments") -> "SecondMoments":
        """Return the sums over both shards.

        Raises:
            DataError: if they were made from different things, hold different layers, or overlap.
        """
        self._require(other.made_from, "the shard to be merged")
        if self.layers != other.layers:
            raise DataError(f"shards hold different layers: {self.layers} and {other.layers}")
        overlap = self.shards & other.shards
        if overlap:
            raise DataError(f"shards {sorted(overlap)} are in both files; each shard may be summed once")
        sums = {layer: self.sums[layer] + other.sums[layer] for layer in self.layers}
        return SecondMoments(sums, self.count + other.count, self.made_from, self.shards | other.shards)

    def require_complete(self) -> None:
        """Check that all shards of the collection are inside.

        Raises:
            DataError: naming the missing shards.
        """
        total = {shard.split("/")[1] for shard in self.shards}
        missing = {f"{i}/{n}" for n in total for i in range(int(n))} - self.shards
        if missing:
            raise DataError(f"second moments lack shards {sorted(missing)}; merge all shards of the collection first")

    def _require(self, expected: Mapping[str, str], what: str) -> None:
        for field in sorted(self.made_from.keys() & expected.keys()):
            if self.made_from[field] != expected[field]:
                error = ModelError if field in ("model", "tokenizer") else DataError
                raise error(
                    f"second moments were made from {field} {self.made_from[field]}, {what} has {expected[field]}; "
                    "collect them again for this one"
                )

    def require(self, expected: Mapping[str, str], what: str = "this run") -> None:
        """Check the digests and settings that `expected` names.

        Raises:
            ModelError: another model or tokenizer. DataError: another corpus, length or precision, or not recorded.
        """
        unknown = expected.keys() - self.made_from.keys()
        if unknown:
            raise DataError(f"second moments do not say their {', '.join(sorted(unknown))}; collect them again")
        self._require(expected, what)

    def save(self, path: str | Path) -> None:
        """Write sums, count, shards and digests to one safetensors file, whole or not at all."""
        tensors = {f"layer.{layer}.sum": total for layer, total in self.sums.items()}
        described = {"count": self.count, "shards": sorted(self.shards), "made_from": self.made_from}
        # One key: several would stand in another order in each file of the same sums.
        write_tensors(path, tensors, {"moments": json.dumps(described, sort_keys=True)})

    @classmethod
    def load(cls, path: str | Path, *, expected: Mapping[str, str] | None = None, partial: bool = False):
        """Read a file written by `save`.

        Args:
            path: the file.
            expected: digests and settings that must agree, e.g. `digests(lm)` of the model to be edited.
            partial: accept a single shard of a collection.

        Raises:
            DataError: unreadable, incomplete, or from another corpus. ModelError: from another model or tokenizer.
        """
        if not Path(path).is_file():
            raise DataError(f"{path}: no such file of second moments; collect them with python -m shared.fit.moments")
        try:
            with safe_open(path, framework="pt") as file:
                described = json.loads((file.metadata() or {})["moments"])
                sums = {int(name.split(".")[1]): file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            count, shards, made_from = described["count"], described["shards"], described["made_from"]
        except (SafetensorError, KeyError, ValueError, IndexError) as error:
            raise DataError(f"{path}: not a file of second moments ({error}); collect them again") from error
        moments = cls(sums, count, made_from, shards)
        if not partial:
            moments.require_complete()
        if expected:
            moments.require(expected, f"what {path} is used for")
        return moments

    @classmethod
    def from_npz(cls, paths: Mapping[int, str | Path]) -> "SecondMoments":
        """Read the statistics files that the authors of ROME and MEMIT publish (one npz per layer).

        They hold `mom2.mom2` (Σ k kᵀ) and `mom2.count` and say nothing of their model, so only shapes can be checked.

        Raises:
            DataError: a file is unreadable or lacks these arrays.
        """
        sums, counts = {}, {}
        for layer, path in paths.items():
            try:
                with np.load(path, allow_pickle=False) as file:
                    sums[layer] = torch.from_numpy(np.asarray(file["mom2.mom2"], dtype=np.float64))
                    counts[layer] = int(file["mom2.count"])
            except (OSError, ValueError, KeyError, BadZipFile) as error:
                raise DataError(f"{path}: not a statistics file with mom2.mom2 and mom2.count ({error})") from error
        if len(set(counts.values())) > 1:
            # One count serves all layers here, so each sum is brought to the first file's number of tokens.
            common = next(iter(counts.values()))
            sums = {layer: total * (common / counts[layer]) for layer, total in sums.items()}
            counts = dict.fromkeys(counts, common)
        return cls(sums, next(iter(counts.values())), {"source": "npz"})


def unit_rows(vectors: Float[Tensor, "row d"]) -> Float[Tensor, "row d"]:
    """Scale every row to Euclidean length 1."""
    return vectors / vectors.norm(dim=1, keepdim=True)


def require_size(lm: LM, moments: SecondMoments, layers: Sequence[int]) -> None:
    """Check that the moments of `layers` have the width of the model's keys.

    Raises:
        ModelError: if not.
    """
    for layer in layers:
        lm.arch.block(layer)
        size = len(moments.total(layer))
        if size != lm.arch.d_mlp:
            raise ModelError(f"second moment of layer {layer} is {size} wide, the model's keys have {lm.arch.d_mlp}")
