"""A copy of the repository's sources in another folder, to run its workflow in without touching this one."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from shared.provenance import REPOSITORY

SOURCES = ["Snakefile", "workflow", "config", "data", "envs", "profiles", "shared", "papers"]
BLOCK = """module sample:
    snakefile:
        "papers/sample/Snakefile"
    config:
        paper_config("sample")


use rule * from sample as sample_*


"""


def copy_sources(folder: Path) -> Path:
    """Copy everything that the workflow reads into `folder` and return it."""
    skipped = shutil.ignore_patterns("__pycache__", "raw", "tests")
    for name in SOURCES:
        source = REPOSITORY / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=skipped)
        else:
            shutil.copy2(source, folder / name)
    return folder


def add_sample_paper(folder: Path) -> None:
    """Do what papers/_template/README.md says, for a paper called `sample`, and run no other paper."""
    shutil.copytree(folder / "papers/_template", folder / "papers/sample")
    for file in (folder / "papers/sample").rglob("*"):
        if file.is_file():
            file.write_text(file.read_text().replace("_template", "sample"))
    snakefile = folder / "Snakefile"
    before, marker, after = snakefile.read_text().partition('include: "workflow/compare.smk"')
    snakefile.write_text(before + BLOCK + marker + after)
    config = folder / "config/config.yaml"
    lines = ["papers: [sample]" if line.startswith("papers:") else line for line in config.read_text().splitlines()]
    config.write_text("\n".join(lines) + "\n")


def snakemake(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    """Run Snakemake in `folder`, whose own packages are imported, and return its output as text."""
    command = [sys.executable, "-m", "snakemake", *arguments]
    environment = os.environ | {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
