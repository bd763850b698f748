"""Seeds that depend on what is computed, never on order, shard or process."""

import hashlib


def seed_for(*parts: str | int) -> int:
    """Return a seed in [0, 2**63) derived from `parts`, e.g. `seed_for("rome", case_id, "generation")`.

    The parts are joined by an unprintable separator, so ("a", "bc") and ("ab", "c") differ.
    """
    text = "\x1f".join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
