"""What the tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fake_openai import FakeOpenAI
from standin_tinytroupe.agent import TinyPerson

from nova_tinytroupe import Library

STANDIN = "standin_tinytroupe"


def pytest_report_header() -> str:
    return "TinyTroupe itself is not used: these tests run against a stand-in of its interface (see README.md)"


@pytest.fixture
def library() -> Iterator[Library]:
    TinyPerson.all_agents.clear()
    yield Library.load(STANDIN)
    TinyPerson.all_agents.clear()


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeOpenAI]:
    fake = FakeOpenAI()
    monkeypatch.setenv("OPENAI_BASE_URL", fake.url)
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    yield fake
    fake.close()


def spec(name: str) -> dict[str, object]:
    """An agent's file."""
    return {"type": "TinyPerson", "persona": {"name": name, "occupation": "Tester"}}
