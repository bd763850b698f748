"""What the methods of one process leave behind."""

from dataclasses import dataclass, field
from typing import Any

from shared.data.probes import ProbeRow


@dataclass
class Findings:
    """Rows of all answers, what edits cost, and numbers of each edit of a sequence."""

    rows: list[ProbeRow] = field(default_factory=list)
    costs: list[dict[str, Any]] = field(default_factory=list)
    sequences: list[dict[str, Any]] = field(default_factory=list)

    def cost(self, form: str, editor: str, protocol: str, seconds: float, peak: float) -> None:
        """Note what an edit costs."""
        line = {"form": form, "editor": editor, "protocol": protocol}
        self.costs.append(line | {"seconds_per_edit": seconds, "peak_mib": peak})

    def extend(self, other: "Findings") -> None:
        """Add what another method left."""
        self.rows += other.rows
        self.costs += other.costs
        self.sequences += other.sequences
