"""An edit as the memory holds it: text, and nothing that depends on a model."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Descriptor:
    """An input with the answer that it shall have; a statement that is asserted true has the answer ""."""

    source: str
    target: str
