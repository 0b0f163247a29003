"""Memories that Nova cannot take now."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from fake_nova import FakeNova

from nova_tinytroupe.outbox import Outbox


def said(text: str) -> dict[str, object]:
    return {"content": text, "agent_id": "ann", "type": "episodic"}


def stored(nova: FakeNova) -> list[str]:
    return [memory["content"] for memory in nova.memories]


def test_what_cannot_be_taken_is_sent_before_what_comes_later() -> None:
    nova = FakeNova()
    outbox = Outbox(nova.client(patience_s=0))
    nova.refusals = [503, 429]
    outbox.store(said("a"))
    outbox.store(said("b"))
    assert (stored(nova), len(outbox)) == ([], 2)
    outbox.store(said("c"))
    assert (stored(nova), len(outbox)) == (["a", "b", "c"], 0)


def test_what_is_dropped_is_told(caplog: pytest.LogCaptureFixture) -> None:
    nova = FakeNova()
    outbox = Outbox(nova.client(patience_s=0), most=2)
    nova.refusals = [503, 503, 503]
    with caplog.at_level(logging.ERROR):
        for text in ("a", "b", "c"):
            outbox.store(said(text))
        assert len(outbox) == 2
        nova.refusals = [400]
        outbox.send()
    assert stored(nova) == ["c"]
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 2
    assert 'ann: "a"' in told[0] and 'ann: "b"' in told[1]


def test_a_file_keeps_what_waits_over_a_restart(tmp_path: Path) -> None:
    nova, file = FakeNova(), tmp_path / "waiting.jsonl"
    nova.refusals = [503, 503]
    outbox = Outbox(nova.client(patience_s=0), file)
    outbox.store(said("a"))
    outbox.store(said("b"))
    again = Outbox(nova.client(), file)
    again.send()
    assert stored(nova) == ["a", "b"]
    assert not file.exists()
