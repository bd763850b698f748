"""The card of a paper: what a folder of papers/ reproduces."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Paper:
    """A paper's key (the name of its folder), title, authors, year, and the version of the text that was read.

    Attributes:
        editors: editing methods that its room offers to all others → the module that registers each.
    """

    key: str
    title: str
    authors: str
    year: int
    text: str
    editors: Mapping[str, str] = field(default_factory=dict, hash=False)

    def citation(self) -> str:
        """Return the one-line citation that command lines and captions show."""
        return f"{self.authors} ({self.year}): {self.title}. {self.text}"
