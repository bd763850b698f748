"""Prompt templates: texts with one `{}` where the subject stands. Nothing here needs a model."""

from shared.errors import DataError


def split_template(template: str) -> tuple[str, str]:
    """Return what stands before and after the one `{}` of a template.

    Raises:
        DataError: if the template has no slot or several.
    """
    pieces = template.split("{}")
    if len(pieces) != 2:
        raise DataError(
            f"template {template!r} has {len(pieces) - 1} slots, expected exactly one '{{}}' for the subject"
        )
    return pieces[0], pieces[1]


def fill(template: str, subject: str) -> str:
    """Put the subject into the slot; other braces in the texts are left alone."""
    before, after = split_template(template)
    return before + subject + after
