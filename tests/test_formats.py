"""The fixed files of every paper's folder, the registry, the configs and the lock."""

import re
from pathlib import Path

import pytest

from shared.data.fetch import read_registry
from shared.provenance import REPOSITORY
from shared.report.claims import read_claims
from shared.report.overview import read_items
from shared.report.tables import read_reported
from shared.settings import check_settings, read_yaml

PAPERS = sorted(file.parent for file in REPOSITORY.glob("papers/*/Snakefile"))
SHA256, DIGITS = re.compile(r"[0-9a-f]{64}|-"), re.compile(r"[0-9]+|-")


def name_of(folder: Path) -> str:
    return folder.name


@pytest.mark.parametrize("folder", PAPERS, ids=name_of)
def test_a_papers_folder_is_complete(folder):
    fixed = ["README.md", "Snakefile", "config.yaml", "config.schema.yaml", "reported.csv", "claims.yaml", "items.yaml"]
    missing = [
        name for name in [*fixed, "__init__.py", "__main__.py", "items", "tests"] if not (folder / name).exists()
    ]
    assert missing == []
    check_settings(read_yaml(folder / "config.yaml"), folder / "config.schema.yaml", [folder / "config.yaml"])


@pytest.mark.parametrize("folder", PAPERS, ids=name_of)
def test_reported_numbers_belong_to_listed_items(folder):
    items = read_items(folder / "items.yaml")
    rows = read_reported(folder / "reported.csv")
    assert rows, "a paper without numbers has nothing to be compared with"
    assert {row.item for row in rows} <= set(items)
    keys = [(row.item, row.model, row.method, row.dataset, row.metric) for row in rows]
    assert len(keys) == len(set(keys)), "a number is given twice"


@pytest.mark.parametrize("folder", PAPERS, ids=name_of)
def test_claims_read_listed_items(folder):
    items = read_items(folder / "items.yaml")
    for claim in read_claims(folder / "claims.yaml"):
        if claim.check:
            right = getattr(claim.check, "right", None)
            tables = {claim.check.left.table} | ({right.table} if hasattr(right, "table") else set())
            assert tables <= set(items), f"claim {claim.id} reads an item that items.yaml does not list"


@pytest.mark.parametrize("folder", PAPERS, ids=name_of)
def test_every_script_has_its_caption(folder):
    scripts = {file.stem for file in (folder / "items").glob("*.py") if re.match(r"(table|figure)_", file.name)}
    captions = {file.stem for file in (folder / "items").glob("*.rst")}
    items = read_items(folder / "items.yaml")
    assert scripts <= captions
    assert captions <= set(items)


def test_the_registry_pins_each_file():
    entries = read_registry(REPOSITORY / "data/registry.tsv")
    assert {"counterfact", "attribute_snippets", "idf", "tfidf_vocab", "known_1000", "zsre_mend_eval"} <= set(entries)
    for entry in entries.values():
        assert SHA256.fullmatch(entry.sha256), f"{entry.name}: sha256 is {entry.sha256!r}"
        assert DIGITS.fullmatch(entry.bytes), f"{entry.name}: bytes is {entry.bytes!r}"
        assert entry.url.startswith("https://")
        assert entry.sha256 != "-" or "no checksum known" in entry.note, f"{entry.name}: say why it has no checksum"


def test_the_lock_pins_every_direct_requirement():
    def names(lines):
        return {re.split(r"[=<>\[ \n]", line)[0].lower().replace("_", "-") for line in lines if line[0] not in "#\n"}

    lock = (REPOSITORY / "envs/requirements.lock").read_text().splitlines(keepends=True)
    wanted = (REPOSITORY / "envs/requirements.in").read_text().splitlines(keepends=True)
    pinned = re.compile(r"[A-Za-z0-9_.-]+==[0-9][A-Za-z0-9.!]*\n")
    assert [line for line in lock if not line.startswith("#") and not pinned.fullmatch(line)] == []
    assert names(wanted) <= names(lock)
    parts = read_yaml(REPOSITORY / "envs/environment.yaml")["dependencies"]
    conda = next(part["pip"] for part in parts if isinstance(part, dict))
    assert {line.strip() for line in lock if not line.startswith("#")} >= set(conda)
    assert names(wanted) <= names(conda), "envs/environment.yaml lacks a direct requirement"
