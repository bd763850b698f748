"""KnowledgeEditor as a learned editor: a conditioner reads the edit, small networks shape each gradient.

ΔW = s σ(η) (∇W ⊙ A + B) with A = softmax(row_a) ⊗ col_a and B = softmax(row_b) ⊗ col_b (§3.3). Because ∇W is a sum of
outer products of δ and u, so is ∇W ⊙ A: its factors are δ ∘ softmax(row_a) and u ∘ col_a. No matrix is ever made.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm
from torch.nn.utils.rnn import pack_sequence

from shared.edits.factor_edits import Changes, LowRank
from shared.edits.gradient_factors import factor_rows, token_factors
from shared.errors import ConfigError
from shared.inference.text_batches import predictions
from shared.learning.learned_editors import Edits, LearnedEditor, group_losses, linear_maps, map_shape, register_learned
from shared.model.models import LM


@dataclass(frozen=True)
class KnowledgeEditorSettings:
    """Sizes of the hyper-network; defaults are the released ones of the paper, MEND's comparison has 512, 512 and 768.

    Attributes:
        lstm_hidden: of the LSTM, per direction.
        hidden: of each matrix's network.
        condition: dimensions of what the LSTM says about the edit.
        max_scale: s, the largest step.
    """

    lstm_hidden: int = 128
    hidden: int = 128
    condition: int = 1024
    max_scale: float | int = 1.0

    def __post_init__(self) -> None:
        for name in ("lstm_hidden", "hidden", "condition"):
            if getattr(self, name) < 1:
                raise ConfigError(f"knowledge editor: {name} is {getattr(self, name)}, expected at least 1")


class Conditioner(nn.Module):
    """Reads an edit's text: embeddings, a bidirectional LSTM, and its last states through a linear layer and tanh.

    Args:
        embeddings: the base model's word embeddings, copied: training moves the copy.
    """

    def __init__(self, embeddings: Float[Tensor, "vocab width"], hidden: int, condition: int):
        super().__init__()
        self.embedding = nn.Embedding.from_pretrained(embeddings.detach().clone().float(), freeze=False)
        self.lstm = nn.LSTM(embeddings.shape[1], hidden, bidirectional=True)
        self.linear = nn.Linear(2 * hidden, condition)

    def forward(self, texts: Sequence[Sequence[int]]) -> Float[Tensor, "text condition"]:
        """Return one vector per text of token ids."""
        device = self.embedding.weight.device
        embedded = [self.embedding(torch.tensor(list(ids), device=device)) for ids in texts]
        _, (states, _) = self.lstm(pack_sequence(embedded, enforce_sorted=False))
        return self.linear(torch.cat([states[0], states[1]], dim=-1)).tanh()


class KnowledgeEditor(LearnedEditor):
    """One hyper-network for all matrices of one model, each with a network of its own on a shared condition.

    Raises:
        ConfigError: a setting is out of range.
    """

    method = "ke"

    def __init__(self, lm: LM, modules: Sequence[str], **settings: Any):
        own = KnowledgeEditorSettings(**settings)
        super().__init__(modules, asdict(own))
        self.own = own
        self.conditioner = Conditioner(lm.model.get_input_embeddings().weight, own.lstm_hidden, own.condition)
        self.shapes = [map_shape(module) for module in linear_maps(lm.model, modules).values()]
        self.networks = nn.ModuleList(
            nn.Sequential(
                weight_norm(nn.Linear(own.condition, own.hidden)),
                nn.Tanh(),
                weight_norm(nn.Linear(own.hidden, 2 * (d_in + d_out) + 1)),
            )
            for d_in, d_out in self.shapes
        )

    def changes(self, lm: LM, edits: Edits, *, training: bool = False) -> Changes:
        """Return ΔW of every matrix for every edit.

        Raises:
            ConfigError: an edit of several pairs: the condition describes one.
        """
        if edits.n_groups != len(edits.batch):
            raise ConfigError("KnowledgeEditor reads one pair per edit; it cannot write several facts together")
        captured = token_factors(
            linear_maps(lm.model, self.modules_edited),
            lambda: group_losses(predictions(lm, edits.batch), edits.batch, edits.group, edits.n_groups).sum(),
        )
        condition = self.conditioner(edits.conditions)
        changes = {}
        for name, network, (d_in, d_out) in zip(self.modules_edited, self.networks, self.shapes, strict=True):
            parts = network(condition).split([d_in, d_out, d_in, d_out, 1], dim=-1)
            column_a, row_a, column_b, row_b, step = parts
            rows = factor_rows(*captured[name], edits.group, edits.n_groups)
            left = rows.padded(rows.u) * column_a[:, None]
            right = rows.padded(rows.delta) * row_a.softmax(-1)[:, None]
            scale = self.own.max_scale * step.sigmoid()[:, :, None]
            changes[name] = LowRank(
                torch.cat([left, column_b[:, None]], dim=1),
                scale * torch.cat([right, row_b.softmax(-1)[:, None]], dim=1),
            )
        return changes


register_learned("ke", KnowledgeEditor)
