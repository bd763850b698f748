"""Seeds that depend on what is computed, never on order, shard or process."""

import hashlib

import torch


def seed_for(*parts: str | int) -> int:
    """Return a seed in [0, 2**63) derived from `parts`, e.g. `seed_for("rome", case_id, "generation")`.

    The parts are joined by an unprintable separator, so ("a", "bc") and ("ab", "c") differ.
    """
    text = "\x1f".join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator_for(*parts: str | int, device: str | torch.device = "cpu") -> torch.Generator:
    """Return a torch generator seeded by `seed_for(*parts)`."""
    return torch.Generator(device=device).manual_seed(seed_for(*parts))
