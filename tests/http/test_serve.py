"""The command ``wfsim serve``: how it begins, what it prints, how it ends."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import pytest

import wfsim
from tests.http.conftest import scenario
from wfsim.cli import main as cli

ROOT = Path(__file__).parents[2]
FLOWS = str(ROOT / "flows/tiem/platform")
NIGHTLY = str(ROOT / "flows/backup/nightly.yaml")


@contextmanager
def served(*words, **environment):
    """The process, and where it listens."""
    process = subprocess.Popen(
        [sys.executable, "-m", "wfsim.cli", "serve", *words, "--port", "0"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )
    try:
        said = process.stdout.readline()
        found = re.fullmatch(
            r"Listening on (http://127\.0\.0\.1:\d+) \(what can be asked: \1/docs\)\n",
            said,
        )
        assert found, said + process.stderr.read()
        yield process, found[1]
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()


def flows_at(url, **more):
    return httpx.get(f"{url}/api/v1/workflow/", timeout=20, **more)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly_and_what_was_asked_is_kept(tmp_path, number):
    words = (FLOWS, "--db", str(tmp_path / "flows.db"), "--factor", "3600")
    body = {"bizId": "p", "bizType": "platform", "flowName": "CheckPlatform"}
    with served(*words) as (process, url):
        httpx.post(f"{url}/api/v1/workflow/", json=body, timeout=20)
        process.send_signal(number)
        out, err = process.communicate(timeout=20)
        assert (process.returncode, out, err) == (0, "", "")
    with served(*words) as (_, url):
        (flow,) = flows_at(url).json()["data"]["workFlows"]
    assert (flow["id"], flow["status"]) == ("1-CheckPlatform", "Initializing")


def test_the_scenario_of_tiem_is_what_is_served_unless_another_is_named():
    with served("--factor", "0.001") as (_, url):
        about = f"{url}/api/v1/workflow"
        body = {"bizId": "cluster-1", "flowName": "RestartCluster"}
        flow = httpx.post(f"{about}/begin", json=body, timeout=20).json()["data"]
        status = "Processing"
        while status == "Processing":
            answer = httpx.get(f"{about}/{flow['workFlowId']}", timeout=20).json()
            status = answer["data"]["info"]["status"]
    assert status == "Finished"


def test_a_token_may_come_from_the_environment():
    with served(NIGHTLY, WFSIM_TOKEN="s3cret") as (_, url):
        assert flows_at(url).status_code == 401
        given = {"Authorization": "Bearer s3cret"}
        assert flows_at(url, headers=given).status_code == 200


def test_a_file_that_another_process_takes_over_ends_it_with_a_line(tmp_path):
    words = (NIGHTLY, "--db", str(tmp_path / "flows.db"))
    with served(*words) as (first, url), served(*words, "--take-over"):
        body = {"bizId": "p", "bizType": "", "flowName": "NightlyBackup"}
        answer = httpx.post(f"{url}/api/v1/workflow/", json=body, timeout=20)
        assert answer.json()["code"] == 9999
        _, err = first.communicate(timeout=20)
    assert first.returncode == 2
    assert re.fullmatch(r"wfsim: .*flows\.db has been opened by somebody else .*\n", err)


def refused(words):
    """What a second server of the file says."""
    command = [sys.executable, "-m", "wfsim.cli", "serve", *words, "--port", "0"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (2, "")
    return done.stderr


def test_a_file_that_is_served_is_refused_to_a_second_server_and_the_first_goes_on(
    tmp_path,
):
    db = tmp_path / "flows.db"
    words = (NIGHTLY, "--db", str(db))
    with served(*words) as (first, url):
        (tmp_path / "link.db").symlink_to(db)
        for name in (db, tmp_path / "link.db"):
            assert refused((NIGHTLY, "--db", str(name))) == (
                f"wfsim: {db} is served by another process ({first.pid}); stop it, give "
                "another file, or take the file from it with --take-over "
                "(Server(take_over=True))\n"
            )
        body = {"bizId": "p", "bizType": "", "flowName": "NightlyBackup"}
        answer = httpx.post(f"{url}/api/v1/workflow/", json=body, timeout=20)
        assert answer.json()["code"] == 0


def test_a_server_that_was_killed_leaves_its_file_to_the_next(tmp_path):
    words = (NIGHTLY, "--db", str(tmp_path / "flows.db"))
    with served(*words) as (first, _):
        first.kill()
        first.wait()
        with served(*words) as (_, url):
            assert flows_at(url).status_code == 200


def test_whoever_has_taken_over_has_the_file_though_the_first_lives_on(tmp_path):
    words = (NIGHTLY, "--db", str(tmp_path / "flows.db"))
    with served(*words) as (first, _), served(*words, "--take-over") as (second, _):
        assert f"({second.pid})" in refused(words)
        first.kill()
        first.wait()
        assert f"({second.pid})" in refused(words)


def test_it_listens_only_when_the_file_has_been_read(tmp_path):
    db = tmp_path / "flows.db"
    words = ("tiem", "--db", str(db))
    with served(*words, "--factor", "3600") as (_, url):
        body = {"bizId": "cluster-1", "flowName": "RestartCluster"}
        answer = httpx.post(f"{url}/api/v1/workflow/begin", json=body, timeout=20)
        assert answer.json()["code"] == 0
    with closing(sqlite3.connect(db)) as file, file:
        assert file.execute("UPDATE world SET text = 'nonsense'").rowcount == 1
    assert refused(words).startswith(f"wfsim: {db}: ")
    assert refused((*words, "--take-over")).startswith(f"wfsim: {db}: ")


@pytest.fixture
def run(monkeypatch, capsys):
    """Return a function that runs the command and returns (status, stdout, stderr)."""

    def command(*words):
        monkeypatch.setattr(sys, "argv", ["wfsim", "serve", *words])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        said = capsys.readouterr()
        return stop.value.code, said.out, said.err

    return command


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["polardb"], "a scenario of resources has no service"),
        (["nowhere"], "no scenario 'nowhere'"),
        ([FLOWS, "--factor", "0"], "factor is 0.0; give real seconds above 0"),
        ([FLOWS, "--factor", "nan"], "factor is nan; give real seconds above 0"),
        ([FLOWS, "--failure", "2"], "failure is 2.0; give a probability from 0 to 1"),
        ([FLOWS, "--duration", "soon"], "--duration: a duration is a number"),
        (["tiem", "--duration", "3"], "--duration: only a flow file has steps"),
        ([FLOWS, "--host", "192.0.2.1"], "192.0.2.1, port 8000: "),
        ([FLOWS, "--port", "0", "--db", "no/where.db"], "there is no folder"),
        ([str(ROOT / "README.md")], "README.md:"),
    ],
)
def test_wrong_input_is_told_in_a_line(run, words, said):
    status, out, err = run(*words)
    assert (status, out) == (2, "")
    assert said in err
    assert "Traceback" not in err


def test_a_port_that_is_none_is_refused(run):
    status, _, err = run(FLOWS, "--port", "70000")
    assert status == 2
    assert "65535" in err


def test_without_the_extra_it_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(wfsim.UsageError, match=r"needs uvicorn: pip install .*\[http\]"):
        wfsim.Server(scenario())


def test_who_listens_to_all_the_world_without_a_token_is_warned(tmp_path):
    words = [sys.executable, "-m", "wfsim.cli", "serve", NIGHTLY, "--port", "0"]
    with subprocess.Popen(
        [*words, "--host", "0.0.0.0"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        process.stdout.readline()
        process.terminate()
        _, err = process.communicate(timeout=20)
    assert err == "wfsim: whoever reaches 0.0.0.0 may ask; set a --token\n"
