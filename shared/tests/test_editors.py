"""The list of editing methods."""

import pytest

from shared.editing.editors import make_editor, register, registered, takes_of
from shared.errors import ConfigError
from shared.tests.random_editor import RandomEditor


def test_methods_are_known_by_name_with_what_they_take():
    assert {"none", "random", "random_in_contexts"} <= set(registered())
    assert takes_of("none") == takes_of("random") == ()
    assert takes_of("random_in_contexts") == ("moments", "contexts")
    assert isinstance(make_editor("random", layers=[1]), RandomEditor)


def test_a_wrong_registration_changes_nothing():
    before = registered()
    with pytest.raises(ValueError, match="'random' is registered already"):
        register("random", RandomEditor)
    with pytest.raises(ValueError, match=r"takes \['moment'\], expected some of moments, contexts"):
        register("new", RandomEditor, takes=["moment"])
    assert registered() == before


def test_unknown_names_and_settings_are_explained():
    for ask in (takes_of, make_editor):
        with pytest.raises(ConfigError, match="editing method 'magic' is unknown; known here: .*random"):
            ask("magic")
    with pytest.raises(ConfigError, match="does not take these settings: .*speed"):
        make_editor("random", speed=3)
