import hashlib
import http.server
import json
import os
import threading
import zipfile
from dataclasses import replace

import pytest

from shared.data import fetch
from shared.errors import DataError

BODY = json.dumps([{"case_id": number, "text": "x" * 50} for number in range(2000)]).encode()


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves one body, with ranges; the server's `cuts` says after how many bytes the next answers break off."""

    def do_GET(self):
        server = self.server
        start = int(self.headers.get("Range", "bytes=0-")[6:-1]) if server.ranges else 0
        server.starts.append(start)
        if self.path == "/absent":
            self.send_error(404)
            return
        body = server.body[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        cut = server.cuts.pop(0) if server.cuts else len(body)
        self.wfile.write(body[:cut])

    def log_message(self, *arguments):
        """Keep the test's output quiet."""


@pytest.fixture
def server(request, monkeypatch):
    monkeypatch.setattr(fetch, "CHUNK_BYTES", 500)
    # The shape checker wraps every function of the package, and a wrapped generator is no fixture: hence finalizers.
    running = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    running.body, running.cuts, running.starts, running.ranges = BODY, [], [], True
    threading.Thread(target=running.serve_forever).start()
    request.addfinalizer(running.server_close)  # noqa: PT021
    request.addfinalizer(running.shutdown)  # noqa: PT021
    return running


def entry(server, **changes):
    known = {"name": "cases", "file": "cases.json", "url": f"http://127.0.0.1:{server.server_port}/cases.json"}
    known |= {"sha256": hashlib.sha256(BODY).hexdigest(), "bytes": str(len(BODY)), "member": "-"}
    return replace(fetch.Entry(**known, licence="MIT", used_by="tests", note="-"), **changes)


def test_downloads_once_and_whole(server, tmp_path):
    fetch.fetch(entry(server), tmp_path / "raw/cases.json")
    assert (tmp_path / "raw/cases.json").read_bytes() == BODY
    assert os.listdir(tmp_path / "raw") == ["cases.json"]


@pytest.mark.parametrize("ranges", [True, False])
def test_broken_connections_are_resumed(server, tmp_path, ranges):
    server.ranges, server.cuts = ranges, [1000, 20000]
    fetch.fetch(entry(server), tmp_path / "cases.json", pause=0.01)
    assert (tmp_path / "cases.json").read_bytes() == BODY
    assert server.starts == ([0, 1000, 21000] if ranges else [0, 0, 0])


def test_a_given_up_download_leaves_its_part_for_the_next_run(server, tmp_path):
    server.cuts = [1000, 1000]
    with pytest.raises(DataError, match="2 attempts.*EDITING_DATA_MIRROR"):
        fetch.fetch(entry(server), tmp_path / "cases.json", attempts=2, pause=0.01)
    assert os.listdir(tmp_path) == ["cases.json.part"]
    fetch.fetch(entry(server), tmp_path / "cases.json")
    assert (tmp_path / "cases.json").read_bytes() == BODY
    assert server.starts[-1] == 2000


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sha256": "0" * 64}, "has sha256 .*expected 0000"),
        ({"bytes": str(len(BODY) + 1)}, f"has {len(BODY)} bytes, expected"),
        ({"url": "absent"}, "answered 404"),
    ],
)
def test_wrong_files_never_get_the_final_name(server, tmp_path, changes, message):
    if "url" in changes:
        changes = {"url": f"http://127.0.0.1:{server.server_port}/absent"}
    with pytest.raises(DataError, match=message):
        fetch.fetch(entry(server, **changes), tmp_path / "cases.json")
    assert os.listdir(tmp_path) == []


def test_without_a_checksum_truncation_is_still_found(server, tmp_path, caplog):
    fetch.fetch(entry(server, sha256="-", bytes="-"), tmp_path / "cases.json")
    assert "no sha256 is pinned" in caplog.text
    server.body = BODY[:-10]
    with pytest.raises(DataError, match="not valid JSON"):
        fetch.fetch(entry(server, sha256="-", bytes="-"), tmp_path / "other.json")


def test_the_mirror_comes_first_and_is_checked(server, tmp_path):
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    (mirror / "cases.json").write_bytes(BODY)
    fetch.fetch(entry(server), tmp_path / "cases.json", mirror=mirror)
    assert (tmp_path / "cases.json").read_bytes() == BODY
    assert server.starts == []
    (mirror / "cases.json").write_bytes(BODY[:-1])
    with pytest.raises(DataError, match="mirror/cases.json has .* bytes"):
        fetch.fetch(entry(server), tmp_path / "again.json", mirror=mirror)
    assert not (tmp_path / "again.json").exists()


def test_a_member_is_taken_out_of_its_archive(server, tmp_path):
    with zipfile.ZipFile(tmp_path / "corpus.zip", "w") as archive:
        archive.writestr("folder/train.txt", "one two three\n")
    server.body = (tmp_path / "corpus.zip").read_bytes()
    known = {
        "file": "corpus.txt",
        "url": f"http://127.0.0.1:{server.server_port}/corpus.zip",
        "sha256": "-",
        "bytes": "-",
    }
    fetch.fetch(entry(server, member="folder/train.txt", **known), tmp_path / "out/corpus.txt")
    assert (tmp_path / "out/corpus.txt").read_text() == "one two three\n"
    with pytest.raises(DataError, match="holds no folder/test.txt"):
        fetch.fetch(entry(server, member="folder/test.txt", **known), tmp_path / "out/other.txt")


def test_own_files_are_checked_and_linked(tmp_path):
    (tmp_path / "mine.json").write_bytes(BODY)
    fetch.provide(tmp_path / "mine.json", tmp_path / "data/counterfact.json")
    assert (tmp_path / "data/counterfact.json").samefile(tmp_path / "mine.json")
    (tmp_path / "cut.json").write_bytes(BODY[:-3])
    with pytest.raises(DataError, match="cut.json: not valid JSON"):
        fetch.provide(tmp_path / "cut.json", tmp_path / "data/other.json")
    with pytest.raises(DataError, match="no such file"):
        fetch.provide(tmp_path / "absent.json", tmp_path / "data/other.json")
    assert os.listdir(tmp_path / "data") == ["counterfact.json"]


def test_large_json_is_checked_at_its_ends(tmp_path, monkeypatch):
    monkeypatch.setattr(fetch, "PARSED_BYTES", 10)
    (tmp_path / "whole.json").write_bytes(BODY)
    fetch.provide(tmp_path / "whole.json", tmp_path / "out.json")
    (tmp_path / "cut.json").write_bytes(BODY[:-3])
    with pytest.raises(DataError, match="not whole JSON"):
        fetch.provide(tmp_path / "cut.json", tmp_path / "cut_out.json")


def test_unknown_names_list_the_known_ones(tmp_path, caplog):
    with pytest.raises(SystemExit):
        fetch.main(["registry", "counterfacts", "--out", str(tmp_path / "x.json")])
    assert "no entry 'counterfacts'" in caplog.text
    assert "'counterfact'" in caplog.text


def test_the_command_line_ends_with_the_message_alone(tmp_path, caplog):
    with pytest.raises(SystemExit) as ended:
        fetch.main(["local", str(tmp_path / "absent.json"), "--out", str(tmp_path / "out.json")])
    assert ended.value.code == 1
    assert "absent.json" in caplog.text
    assert not (tmp_path / "out.json").exists()
