"""Raw records for tests, in the public formats."""

from typing import Any


def counterfact_record(case_id: int, subject: str, new: str, true: str) -> dict[str, Any]:
    """Return a record about a mother tongue, with one paraphrase and two neighbors."""
    return {
        "case_id": case_id,
        "requested_rewrite": {
            "prompt": "The mother tongue of {} is",
            "subject": subject,
            "relation_id": "P103",
            "target_new": {"str": new, "id": f"Q{new}"},
            "target_true": {"str": true, "id": f"Q{true}"},
        },
        "paraphrase_prompts": [f"{subject} speaks"],
        "neighborhood_prompts": ["Anna Bell is a native speaker of", "The mother tongue of Bo Kant is"],
        "attribute_prompts": [],
        "generation_prompts": [f"{subject} is"],
    }
