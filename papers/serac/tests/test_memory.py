import json
import os
import signal
import subprocess
import sys

import pytest

from papers.serac.descriptor import Descriptor
from papers.serac.memory import EditMemory
from shared.errors import ConfigError, DataError
from shared.provenance import REPOSITORY

FIRST, SECOND, THIRD = (Descriptor(f"question {number}?", f"answer {number}") for number in range(3))


def test_edits_are_added_listed_and_removed(tmp_path):
    memory = EditMemory(tmp_path / "deep" / "memory.log")
    assert memory.edits() == {}
    assert memory.add([FIRST, SECOND]) == [0, 1]
    memory.remove([0])
    assert memory.add([THIRD]) == [2]
    assert EditMemory(memory.path).edits() == {1: SECOND, 2: THIRD}


def test_numbers_are_never_given_twice(tmp_path):
    memory = EditMemory(tmp_path / "memory.log")
    memory.add([FIRST, SECOND])
    memory.remove([1])
    memory.compact()
    assert memory.edits() == {0: FIRST}
    assert memory.path.read_bytes().count(b"\n") == 1
    assert memory.add([THIRD]) == [2]


def test_an_unfinished_line_is_no_edit_and_is_cut_off(tmp_path):
    memory = EditMemory(tmp_path / "memory.log")
    memory.add([FIRST])
    whole = memory.path.read_bytes()
    memory.path.write_bytes(whole + b'{"add": [[1, "half')
    assert memory.edits() == {0: FIRST}
    assert memory.add([SECOND]) == [1]
    assert memory.edits() == {0: FIRST, 1: SECOND}
    assert memory.path.read_bytes().startswith(whole)


def test_faults_are_explained_and_change_nothing(tmp_path):
    memory = EditMemory(tmp_path / "memory.log")
    memory.add([FIRST])
    before = memory.path.read_bytes()
    with pytest.raises(ConfigError, match="no edit 7; it holds 1 edits"):
        memory.remove([0, 7])
    with pytest.raises(DataError, match="empty input"):
        memory.add([SECOND, Descriptor(" ", "x")])
    assert memory.path.read_bytes() == before
    memory.path.write_bytes(before + b"[1]\n")
    with pytest.raises(DataError, match="line 2: no change of a memory"):
        memory.edits()


WRITER = """
import sys
from papers.serac.memory import EditMemory
from papers.serac.descriptor import Descriptor
memory = EditMemory(sys.argv[1])
while True:
    numbers = memory.add([Descriptor("x" * 5000, "first"), Descriptor("question?", "second")])
    sys.stdout.write(f"{numbers[-1]}\\n")
    sys.stdout.flush()
"""


@pytest.mark.parametrize("acknowledged", [1, 4, 9])
def test_a_killed_writer_loses_nothing_that_it_acknowledged(tmp_path, acknowledged):
    path = tmp_path / "memory.log"
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, env=environment, text=True
    )
    try:
        for _ in range(acknowledged):
            last = int(writer.stdout.readline())
    finally:
        writer.send_signal(signal.SIGKILL)
        rest = writer.communicate()[0].split()
    held = EditMemory(path).edits()
    assert set(range(max([last, *map(int, rest)]) + 1)) <= set(held)
    assert len(held) % 2 == 0, "edits that were added together are held together"
    assert EditMemory(path).add([FIRST]) == [len(held)]


def test_two_processes_share_a_memory(tmp_path):
    path = tmp_path / "memory.log"
    add = (
        "import sys; from papers.serac.memory import EditMemory; from papers.serac.descriptor import Descriptor\n"
        "for n in range(30): EditMemory(sys.argv[1]).add([Descriptor(sys.argv[2], str(n))])"
    )
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    writers = [subprocess.Popen([sys.executable, "-c", add, str(path), name], env=environment) for name in ("a", "b")]
    assert [writer.wait() for writer in writers] == [0, 0]
    held = EditMemory(path).edits()
    assert list(held) == list(range(60))
    assert [edit.target for edit in held.values() if edit.source == "a"] == [str(number) for number in range(30)]
    assert all(json.loads(line) for line in path.read_text().splitlines())
