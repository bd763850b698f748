"""The profiles: options that exist, groups of rules that exist, and plans of a whole run.

What a profile's plug-ins (envs/requirements-*.txt) decide is checked where they are installed and skipped elsewhere.
"""

import importlib.util
import os
import re
import shutil

import pytest
from snakemake.cli import get_argument_parser

from shared.provenance import REPOSITORY
from shared.settings import read_yaml
from tests.checkout import copy_sources, snakemake

PROFILES = sorted(folder.name for folder in (REPOSITORY / "profiles").iterdir())
PLUGINS = {
    "default": [],
    "slurm": ["snakemake_executor_plugin_slurm", "snakemake_executor_plugin_slurm_jobstep"],
    # The plan is made with files of a folder in the place of a bucket's.
    "kubernetes": [
        "snakemake_executor_plugin_kubernetes",
        "snakemake_storage_plugin_s3",
        "snakemake_storage_plugin_fs",
    ],
}
SMOKE = ["--configfile", "config/smoke.yaml"]


def profile_file(name):
    return REPOSITORY / "profiles" / name / "profile.yaml"


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """A copy of the checkout as it is."""
    return copy_sources(tmp_path_factory.mktemp("bare"))


def files_of_the_bucket():
    """Return the patterns of the files that docs/clusters.md tells its readers to put into the bucket."""
    command = re.search(r"git ls-files (.*)\); do", (REPOSITORY / "docs/clusters.md").read_text())
    return re.findall(r"'(\S+)'", command[1])


def unknown_options(settings, plugin):
    """Return the keys of a profile that neither Snakemake nor, by its prefix, the profile's plug-in knows."""
    known = {option.removeprefix("--") for option in get_argument_parser()._option_string_actions}
    return {key for key in settings if key not in known and not key.startswith(f"{plugin}-")}


@pytest.mark.parametrize("profile", PROFILES)
def test_profiles_say_what_they_are_for_and_hold_options_only(profile):
    assert profile_file(profile).read_text().startswith("# "), "a profile begins by saying what it is for"
    assert unknown_options(read_yaml(profile_file(profile)), profile) == set()
    assert unknown_options({"corse": 1, "slurm-qos": "x"}, "slurm") == {"corse"}


def test_groups_hold_rules_that_exist(bare):
    settings = read_yaml(profile_file("slurm"))
    groups = dict(entry.split("=") for entry in settings["groups"])
    listed = snakemake(bare, "--list-rules", "--workflow-profile", "none", *SMOKE)
    assert listed.returncode == 0, listed.stdout + listed.stderr
    rules = set(listed.stdout.split())
    assert "rome_edit_cases" in rules
    assert sorted(set(groups) - rules) == [], "profiles/slurm groups rules that no longer exist"
    assert sorted(set(settings["set-resources"]) - rules) == []
    assert set(settings["group-components"]) <= set(groups.values())


@pytest.mark.parametrize("profile", PROFILES)
def test_profiles_plan_a_run(bare, profile, tmp_path):
    missing = [name for name in PLUGINS[profile] if importlib.util.find_spec(name) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    arguments = ["-n", "--quiet", "rules", "--workflow-profile", f"profiles/{profile}", *SMOKE]
    if profile == "kubernetes":
        for file in [file for pattern in files_of_the_bucket() for file in bare.glob(pattern)]:
            target = tmp_path / file.relative_to(bare)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(file, target)
        arguments += ["--default-storage-provider", "fs", "--default-storage-prefix", str(tmp_path)]
    run = snakemake(bare, *arguments)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "rome_edit_cases" in run.stdout + run.stderr


def test_partition_and_account_come_from_the_environment(bare, monkeypatch):
    if importlib.util.find_spec("snakemake_executor_plugin_slurm") is None:
        pytest.skip("not installed: snakemake_executor_plugin_slurm")
    target = "runs/smoke/results/facts/world/facts.json"
    arguments = ["-n", target, "--workflow-profile", "profiles/slurm", *SMOKE]
    for name, resource in [("EDITING_SLURM_PARTITION", "slurm_partition"), ("EDITING_SLURM_ACCOUNT", "slurm_account")]:
        monkeypatch.setitem(os.environ, name, f"my-{resource}")
    planned = snakemake(bare, *arguments).stdout
    assert "slurm_partition=my-slurm_partition, slurm_account=my-slurm_account" in planned
