"""TinyTroupe where it is installed, and what of it is used here.

Only this module imports it, by name, when it is needed: its import alone takes some ten seconds.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from .errors import LibraryMissing

HOW_TO_GET = (
    "TinyTroupe is not installed. PyPI's 'tinytroupe' is an empty placeholder; install the library from its repository: "
    "pip install git+https://github.com/microsoft/TinyTroupe.git"
)


class EpisodicMemory(Protocol):
    """What is used of an agent's episodic memory."""

    def store(self, value: Any) -> None: ...

    def retrieve_all(self) -> list[Any]: ...


class Person(Protocol):
    """What is used of a ``TinyPerson``."""

    name: str
    episodic_memory: EpisodicMemory
    semantic_memory: Any
    environment: Any

    def listen_and_act(self, speech: str, return_actions: bool = False) -> list[Any] | None: ...

    def listen(self, speech: str, source: Any = None) -> Any: ...


@dataclass(frozen=True)
class Library:
    """The classes of a library with TinyTroupe's interface."""

    person: Any
    world: Any
    semantic_memory: type

    @staticmethod
    def load(name: str = "tinytroupe") -> Library:
        """Imports it; slow."""
        _offline_tokens()
        try:
            agent = importlib.import_module(f"{name}.agent")
            memory = importlib.import_module(f"{name}.agent.memory")
            environment = importlib.import_module(f"{name}.environment")
        except ModuleNotFoundError as error:
            if error.name is not None and error.name.split(".")[0] == name:
                raise LibraryMissing(HOW_TO_GET) from error
            raise
        return Library(agent.TinyPerson, environment.TinyWorld, memory.SemanticMemory)

    def person_from(self, spec: dict[str, Any]) -> Person:
        """An agent made from its file. Memories are left out: TinyTroupe cannot load those it writes."""
        kept = {k: v for k, v in spec.items() if k not in MEMORY_KEYS}
        person: Person = self.person.load_specification(kept)
        for item in episodes(spec):
            person.episodic_memory.store(item)
        return person


MEMORY_KEYS = frozenset({"episodic_memory", "semantic_memory", "nova_memory"})


def episodes(spec: dict[str, Any]) -> list[Any]:
    """The episodes in an agent's file, Nova's or TinyTroupe's."""
    found: list[Any] = []
    own = spec.get("nova_memory")
    if isinstance(own, dict):
        found.extend(_bare(item) for item in own.get("episodic") or [])
    theirs = spec.get("episodic_memory")
    if isinstance(theirs, list):
        found.extend(theirs)
    elif isinstance(theirs, dict):
        for key in ("memory", "episodic_buffer"):
            found.extend(theirs.get(key) or [])
    return found


def _bare(item: Any) -> Any:
    """An item without what Nova alone knows of it."""
    return {k: v for k, v in item.items() if k != "nova"} if isinstance(item, dict) else item


def _offline_tokens() -> None:
    """TinyTroupe counts tokens with a table that llama-index brings along; without this it would be downloaded."""
    if "TIKTOKEN_CACHE_DIR" in os.environ:
        return
    try:
        core = importlib.util.find_spec("llama_index.core")
    except (ImportError, AttributeError, ValueError):
        return
    if core is not None and core.origin is not None:
        cache = Path(core.origin).parent / "_static" / "tiktoken_cache"
        if cache.is_dir():
            os.environ["TIKTOKEN_CACHE_DIR"] = str(cache)
