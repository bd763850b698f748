"""The workflow as its user meets it: every config plans, faults are explained, and only what changed runs again."""

import subprocess
import sys
import time

import psutil
import pytest

from shared.provenance import REPOSITORY
from shared.report.tables import read_csv
from tests.checkout import add_sample_paper, copy_sources, snakemake

CONFIGS = sorted(REPOSITORY.glob("config/*.yaml"))
CONFIGS.remove(REPOSITORY / "config/config.schema.yaml")
# Folders that a user puts in place before a config can run.
OWN_FOLDERS = {"bert-base-cased": ["data/raw/pararel/graphs_json", "data/raw/pararel/trex_lms_vocab"]}
QUICK = ["--cores", "1", "--workflow-profile", "none"]


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """A copy of the checkout as it is."""
    return copy_sources(tmp_path_factory.mktemp("bare"))


@pytest.mark.parametrize("config", CONFIGS, ids=lambda file: file.stem)
def test_every_config_plans(bare, config):
    for folder in OWN_FOLDERS.get(config.stem, []):
        (bare / folder).mkdir(parents=True)
    run = snakemake(bare, "-n", "--quiet", "rules", "--configfile", f"config/{config.name}")
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("run: {modles: [world-small]}\n", ["config/broken.yaml: unknown key 'run.modles'", "'models'"]),
        ("run: {models: [gpt5]}\n", ["run.models names 'gpt5'", "world-small"]),
        ("run: {device: tpu}\n", ["config/broken.yaml: run.device", "cpu, cuda"]),
        ("data: {counterfact.json: 'registry:counterfacts'}\n", ["no 'counterfacts'", "zsre_mend_eval"]),
        ("overrides: {nobody: {layer: 1}}\n", ["'nobody' is no folder of papers/"]),
        ("facts: {world: {people: 3}}\n", ["config/broken.yaml: facts.world.people: 3 is less than the minimum of 20"]),
    ],
)
def test_faulty_settings_are_explained(bare, settings, message):
    (bare / "config/broken.yaml").write_text(settings)
    run = snakemake(bare, "-n", "--configfile", "config/broken.yaml", *QUICK)
    (bare / "config/broken.yaml").unlink()
    assert run.returncode != 0
    assert [part for part in message if part not in run.stdout + run.stderr] == []


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    """A copy of the checkout with one more paper, made from the template, whose table has been computed."""
    folder = copy_sources(tmp_path_factory.mktemp("sample"))
    add_sample_paper(folder)
    run = snakemake(folder, "sample_all", "--configfile", "config/smoke.yaml", *QUICK)
    assert run.returncode == 0, run.stdout + run.stderr
    return folder


def plan(folder, *configs, settings=()):
    given = ["--configfile", "config/smoke.yaml", *configs, *QUICK, *settings]
    run = snakemake(folder, "-n", "sample_all", *given)
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout + run.stderr


def test_a_paper_is_a_folder_a_block_and_a_name(sample):
    table = read_csv(sample / "runs/smoke/figures/sample/table_1.csv")
    total = table[(table["method"] == "all") & (table["metric"] == "records")].iloc[0]
    assert total["value"] > 0
    assert total["paper_value"] == 21919
    assert not (sample / "results").exists(), "the smoke scale wrote outside of runs/smoke"


def test_a_finished_run_has_nothing_to_do(sample):
    assert "Nothing to be done" in plan(sample)


@pytest.mark.parametrize(
    "file", ["papers/sample/counts.py", "shared/report/tables.py", "papers/sample/items/table_1.py"]
)
def test_comments_rerun_nothing_and_logic_does(sample, file):
    path = sample / file
    before = path.read_text()
    try:
        path.write_text(before + "\n# A remark.\n")
        assert "Nothing to be done" in plan(sample)
        path.write_text(before + "\nREMARK = 1\n")
        planned = plan(sample)
        assert "sample_table_1" in planned
        assert "generate_world" not in planned
    finally:
        path.write_text(before)


def test_a_changed_setting_reruns_what_reads_it(sample):
    (sample / "config/changed.yaml").write_text("overrides: {sample: {min_records: 2}}\n")
    planned = plan(sample, "config/changed.yaml")
    assert "sample_table_1" in planned
    assert "generate_world" not in planned


def test_a_papers_unknown_setting_names_file_and_key(sample):
    arguments = ["--configfile", "config/smoke.yaml", "--config", "overrides={sample: {min_record: 2}}"]
    run = snakemake(sample, "-n", *arguments, *QUICK)
    assert run.returncode != 0
    assert "unknown key 'min_record'" in run.stdout + run.stderr
    assert "papers/sample/config.yaml" in run.stdout + run.stderr


def test_ones_own_file_takes_the_place_of_the_worlds(sample):
    mine = sample / "mine.json"
    mine.write_text((sample / "runs/smoke/results/facts/world/counterfact.json").read_text())
    planned = plan(sample, settings=["--config", "data={counterfact.json: mine.json}"])
    assert "mine.json" in planned
    assert "generate_world" not in planned


@pytest.fixture
def slow(tmp_path):
    """A workflow of one job that takes some seconds, and the command that launches it."""
    job = "echo $$ >> pids; sleep 4; touch {output}"
    (tmp_path / "Snakefile").write_text(f"rule all:\n    output: 'done'\n    shell: '{job}'\n")
    return {
        "args": [sys.executable, str(REPOSITORY / "workflow/launch.py"), "--cores", "1"],
        "cwd": tmp_path,
        "stdout": subprocess.PIPE,
        "stderr": subprocess.STDOUT,
        "text": True,
    }


def wait_for_job(folder):
    while not (folder / "pids").exists() or not (folder / "pids").read_text().endswith("\n"):
        time.sleep(0.05)
    return int((folder / "pids").read_text().split()[-1])


def running(process):
    """Return whether a process runs; one that has ended may still be listed until its parent asks for its status."""
    return psutil.pid_exists(process) and psutil.Process(process).status() != psutil.STATUS_ZOMBIE


def test_a_living_run_keeps_another_from_starting(slow):
    with subprocess.Popen(**slow) as first:
        wait_for_job(slow["cwd"])
        second = subprocess.run(**slow, check=False)
        first.stdout.read()
    assert second.returncode == 1
    assert "Another run is going on" in second.stdout
    assert first.returncode == 0
    assert (slow["cwd"] / "done").exists()


def test_a_killed_run_is_continued_by_the_same_command(slow):
    with subprocess.Popen(**slow) as first:
        job = wait_for_job(slow["cwd"])
        for process in psutil.Process(first.pid).children():
            process.kill()
        first.kill()
    assert running(job), "the job was to outlive its run"
    again = subprocess.run(**slow, check=False)
    assert again.returncode == 0, again.stdout
    assert "a killed run left behind" in again.stdout
    assert (slow["cwd"] / "done").exists()
    assert len((slow["cwd"] / "pids").read_text().split()) == 2


def test_jobs_do_not_outlive_a_snakemake_that_was_killed_alone(slow):
    with subprocess.Popen(**slow) as first:
        job = wait_for_job(slow["cwd"])
        for process in psutil.Process(first.pid).children():
            process.kill()
        output = first.stdout.read()
    assert first.returncode != 0
    assert "a killed run left behind" in output
    assert not running(job)
    assert not (slow["cwd"] / "done").exists()
