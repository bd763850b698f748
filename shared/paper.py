"""The card of a paper: what a folder of papers/ reproduces."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Paper:
    """A paper's key (the name of its folder), title, authors, year, and the version of the text that was read."""

    key: str
    title: str
    authors: str
    year: int
    text: str

    def citation(self) -> str:
        """Return the one-line citation that command lines and captions show."""
        return f"{self.authors} ({self.year}): {self.title}. {self.text}"
