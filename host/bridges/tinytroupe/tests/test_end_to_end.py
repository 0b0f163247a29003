"""Ten tasks over three agents of two processes, against a real daemon; one agent is killed on the way.

Needs ``NOVA_URL`` and ``NOVA_API_KEY`` of a daemon that sweeps leases often; the daemon's own tests start one.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import httpx
import pytest
from conftest import STANDIN, spec
from fake_openai import FakeOpenAI

HERE = Path(__file__).parent

pytestmark = pytest.mark.skipif(
    "NOVA_URL" not in os.environ, reason="NOVA_URL is not set: no daemon to work for; `cargo xtask test` starts one"
)


def bridge(folder: Path, *names: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "nova_tinytroupe", "--library", STANDIN]
    command += ["--capability", "talk", "--lease-s", "1", "--wait-s", "0.5"]
    for name in names:
        path = folder / f"{name}.agent.json"
        path.write_text(json.dumps(spec(name)))
        command += ["--agent", str(path)]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE.parent / "src"), str(HERE)])}
    process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.startswith("nova-tinytroupe ready:"), line
    return process


def test_a_flow_of_ten_tasks_completes_though_an_agent_is_killed(tmp_path: Path, model: FakeOpenAI) -> None:
    nova = httpx.Client(base_url=os.environ["NOVA_URL"], headers={"X-API-Key": os.environ["NOVA_API_KEY"]})
    # The same words on the same day are the same memory, and this daemon may have heard them before.
    run = uuid.uuid4().hex
    # The agent that will be killed never gets an answer.
    model.hold = "You are Cem"
    steady, doomed = bridge(tmp_path, "Ann", "Bob"), None
    try:
        doomed = bridge(tmp_path, "Cem")
        tasks = [
            {
                "key": f"k{i}",
                "type": "think",
                "parameters": {"prompt": f"Question {i} of {run}: what lives in harbour number {i}?"},
                "required_capabilities": ["talk"],
                "depends_on": [f"k{i - 5}"] if i >= 5 else [],
                "retry": {"max_attempts": 5, "backoff_ms": 10, "max_backoff_ms": 100},
            }
            for i in range(10)
        ]
        made = nova.post("/api/orchestration/flows", json={"name": "ten", "tasks": tasks})
        assert made.status_code == 201, made.text
        flow = made.json()["flow_id"]
        model.wait_for("You are Cem")
        doomed.send_signal(signal.SIGKILL)
        doomed.wait()
        deadline = time.monotonic() + 60
        while True:
            seen = nova.get(f"/api/orchestration/flows/{flow}").json()
            if seen["status"] != "active" or time.monotonic() > deadline:
                break
            time.sleep(0.05)
        assert seen["status"] == "completed", seen
        listed = nova.get("/api/orchestration/tasks", params={"flow_id": flow}).json()["items"]
        assert len(listed) == 10
        assert {t["agent_id"] for t in listed} <= {"Ann", "Bob"}
        assert all("I have thought about it" in t["result"]["text"] for t in listed)
        assert max(t["attempt"] for t in listed) >= 2, "the killed agent's task was tried again"
        search = {"query": "what lives in harbour number 7", "limit": 5, "filter": {"flow_id": flow}}
        found = nova.post("/api/orchestration/memory/search", json=search).json()["matches"]
        assert any("harbour number 7" in json.dumps(m["content"]) for m in found), found
        assert {m["agent_id"] for m in found} <= {"Ann", "Bob"}
    finally:
        if doomed is not None:
            doomed.kill()
        steady.send_signal(signal.SIGTERM)
        assert steady.wait(30) == 0, "it stops cleanly"
