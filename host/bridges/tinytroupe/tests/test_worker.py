"""The worker against a stand-in of TinyTroupe and a fake model service."""

from __future__ import annotations

import json
import threading
import time

import pytest
from conftest import spec
from fake_nova import FakeNova
from fake_openai import FakeOpenAI

from nova_tinytroupe import Bridge, BridgeOptions, Library

OPTIONS = BridgeOptions(lease_s=0.3, wait_s=0.01, grace_s=10)


def work(bridge: Bridge, nova: FakeNova, count: int) -> None:
    """Runs until so many tasks have ended."""

    def ended() -> None:
        if len(nova.done) >= count:
            bridge.stop()

    nova.on_end = ended
    runner = threading.Thread(target=bridge.run)
    runner.start()
    runner.join(60)
    assert not runner.is_alive()


def test_work_is_done_and_remembered(library: Library, model: FakeOpenAI) -> None:
    nova = FakeNova()
    bridge = Bridge(nova.client(), library, OPTIONS)
    assert bridge.host_file(spec("Ann Lee")) == "Ann-Lee"
    nova.give("t1", prompt="What is a tide?")
    nova.give("t2", text="What is a reef?")
    work(bridge, nova, 2)
    verb, body = nova.done["t1"]
    assert verb == "complete"
    assert body["result"]["text"] == "I have thought about it: What is a tide?"
    assert [a["action"]["type"] for a in body["result"]["actions"]] == ["TALK", "DONE"]
    kinds = [m["metadata"]["item_type"] for m in nova.memories if m["metadata"]["task_id"] == "t1"]
    assert kinds == ["stimulus", "action", "action"]
    first = nova.memories[0]
    assert (first["agent_id"], first["type"], first["metadata"]["flow_id"]) == ("Ann-Lee", "episodic", "f")
    assert first["context"]["tinytroupe"]["role"] == "user"


def test_memories_that_nova_cannot_take_are_sent_later(library: Library, model: FakeOpenAI) -> None:
    nova = FakeNova()
    bridge = Bridge(nova.client(patience_s=0), library, OPTIONS)
    bridge.host_file(spec("Ann"))
    nova.refusals = [503, 429, 503]
    nova.give("t1", prompt="What is a tide?")
    nova.give("t2", prompt="What is a reef?")
    work(bridge, nova, 2)
    told = [m["metadata"]["task_id"] for m in nova.memories]
    assert told == ["t1"] * 3 + ["t2"] * 3, "in their order"


def test_failures_say_whether_another_attempt_may_help(library: Library, model: FakeOpenAI) -> None:
    for status, transient in [(503, True), (429, True), (401, False)]:
        nova = FakeNova()
        bridge = Bridge(nova.client(), library, OPTIONS)
        bridge.host_file(spec(f"Ann {status}"))
        model.failures = [status]
        nova.give("t", prompt="x")
        work(bridge, nova, 1)
        verb, body = nova.done["t"]
        assert (verb, body["transient"]) == ("fail", transient), body
        assert str(status) in body["error"]
        assert nova.memories, "what was heard is remembered all the same"


def test_heartbeats_keep_a_long_task_and_a_cancelled_one_is_dropped(library: Library, model: FakeOpenAI) -> None:
    nova = FakeNova()
    bridge = Bridge(nova.client(), library, OPTIONS)
    bridge.host_file(spec("Ann"))
    model.hold = "slowly"
    nova.give("t1", prompt="Think slowly")
    nova.cancelled = True
    nova.give("t2", prompt="Think")

    def release() -> None:
        model.wait_for("slowly")
        deadline = time.monotonic() + 30
        while not any(c.endswith("t1/heartbeat") for c in nova.calls) and time.monotonic() < deadline:
            threading.Event().wait(0.01)
        nova.cancelled = False
        model.release.set()

    threading.Thread(target=release).start()
    work(bridge, nova, 1)
    assert list(nova.done) == ["t2"], "nothing is handed in for what was called off"


def test_a_lost_lease_is_let_go(library: Library, model: FakeOpenAI) -> None:
    nova = FakeNova()
    bridge = Bridge(nova.client(), library, OPTIONS)
    bridge.host_file(spec("Ann"))
    nova.lost = True
    nova.give("t1", prompt="x")
    threading.Thread(target=bridge.run, daemon=True).start()
    model.wait_for("x")
    deadline = time.monotonic() + 30
    while not any("t1/" in c for c in nova.calls) and time.monotonic() < deadline:
        threading.Event().wait(0.01)
    nova.lost = False
    nova.give("t2", prompt="y")
    while "t2" not in nova.done and time.monotonic() < deadline:
        threading.Event().wait(0.01)
    bridge.stop()
    assert list(nova.done) == ["t2"]


def test_running_work_is_given_back_when_the_grace_is_over(library: Library, model: FakeOpenAI) -> None:
    nova = FakeNova()
    bridge = Bridge(nova.client(), library, BridgeOptions(lease_s=5, wait_s=0.01, grace_s=0.1))
    bridge.host_file(spec("Ann"))
    model.hold = "slowly"
    nova.give("t1", prompt="Think slowly")
    runner = threading.Thread(target=bridge.run)
    runner.start()
    model.wait_for("slowly")
    bridge.stop()
    runner.join(30)
    verb, body = nova.done["t1"]
    assert (verb, body["transient"]) == ("fail", True)
    model.release.set()


def test_agents_of_a_mesh_hear_each_other(library: Library, model: FakeOpenAI) -> None:
    nova = FakeNova()
    bridge = Bridge(nova.client(), library, OPTIONS)
    for name in ("Ann", "Bob", "Cem"):
        bridge.host_file(spec(name))
    part = {"coordination_id": "c", "pattern": "mesh", "role": "peer", "round": 1, "agents": ["Ann", "Bob"]}
    nova.give("t1", to="Ann", prompt="Name a colour", coordination=part)
    work(bridge, nova, 1)
    heard = [m for m in nova.memories if "I have thought about it" in json.dumps(m["content"])]
    heard = [m["agent_id"] for m in heard if m["metadata"]["item_type"] == "stimulus"]
    assert heard == ["Bob"], "Bob hears Ann; Cem takes no part"
    assert all(p.environment is None for p in bridge.hosted().values()), "the world is left after the task"
    told = json.dumps(model.asked[0])
    assert "Your role: peer, round 1" in told


def test_further_capabilities_and_registered_agents(library: Library) -> None:
    nova = FakeNova()
    bridge = Bridge(nova.client(), library, BridgeOptions(capabilities=("talk",)))
    bridge.host_file(spec("Ann"))
    assert nova.calls.count("/api/orchestration/agents/import") == 2
    nova.memories = [
        {"content": "it rained", "type": "episodic", "created_at": "2024-01-01T00:00:00.000Z"},
        {"content": "Bob is a baker", "type": "semantic"},
    ]
    assert bridge.host_registered("Bob") == "Bob"
    items = bridge.hosted()["Bob"].episodic_memory.retrieve_all()
    assert [(item["content"], item["type"]) for item in items] == [("it rained", "stimulus")]


def test_the_library_says_how_it_is_got() -> None:
    with pytest.raises(Exception, match="install the library from its repository"):
        Library.load("no_such_library_as_tinytroupe")
