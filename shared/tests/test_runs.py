"""Variants, grids and shards."""

import pytest

from shared.editing.runs import batch_size, blocks_of, expand, point_name, point_of, shard_bounds
from shared.errors import ConfigError


def test_a_grid_becomes_one_variant_per_point():
    grid = {"layer": "all", "norm_constraint": [0.001, None]}
    variants = expand({"ft": {"editor": "ft", "lr": 0.1, "layers": [9], "grid": grid}}, n_layers=3)
    assert [variant.settings["layers"] for variant in variants] == [[0], [0], [1], [1], [2], [2]]
    assert variants[0].settings == {"lr": 0.1, "layers": [0], "norm_constraint": 0.001}
    assert [point_of(variant.name) for variant in variants[:2]] == [
        {"variant": "ft", "layer": 0, "norm_constraint": 0.001},
        {"variant": "ft", "layer": 0, "norm_constraint": None},
    ]


def test_a_variant_without_a_grid_keeps_its_name():
    (variant,) = expand({"rome": {"editor": "rome", "layers": [1], "contexts": "none"}}, n_layers=2)
    assert (variant.name, variant.contexts, variant.settings) == ("rome", "none", {"layers": [1]})


def test_names_of_points_can_be_read_back():
    point = {"layer": 3, "fact_token": "last", "norm_constraint": None}
    assert point_of(point_name("rome", point)) == {"variant": "rome"} | point


def test_a_layer_that_the_model_lacks_is_refused():
    with pytest.raises(ConfigError, match=r"layers \[5\] do not exist, the model has 0..1"):
        expand({"rome": {"editor": "rome", "layers": [5]}}, n_layers=2)
    with pytest.raises(ConfigError, match="names no editor"):
        expand({"rome": {"layers": [0]}}, n_layers=2)


@pytest.mark.parametrize("count", [0, 1, 9, 10, 23])
@pytest.mark.parametrize("shards", [1, 2, 4, 7])
def test_shards_are_whole_blocks_and_cover_everything_in_order(count, shards):
    items = list(range(count))
    parts = [blocks_of(items, f"{part}-of-{shards}", block=5) for part in range(1, shards + 1)]
    assert [block for part in parts for block in part] == [items[start : start + 5] for start in range(0, count, 5)]


@pytest.mark.parametrize("shard", ["0-of-2", "3-of-2", "2/2", ""])
def test_a_bad_shard_is_refused(shard):
    assert shard_bounds("2-of-2", 10, 5) == (5, 10)
    with pytest.raises(ConfigError, match="not of the form 2-of-8"):
        shard_bounds(shard, 10, 5)


def test_protocols_are_read():
    assert batch_size("single") is None
    assert batch_size("batch:1") == 1
    assert batch_size("batch:10000") == 10000
    for wrong in ("batch", "batch:0", "batch:-3", "sequential:4", ""):
        with pytest.raises(ConfigError, match="is not `single` or `batch:N`"):
            batch_size(wrong)
