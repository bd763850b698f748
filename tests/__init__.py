"""Checks that concern more than one module: walls, formats, and the workflow as its user meets it."""
