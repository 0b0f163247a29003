"""Memories as TinyTroupe has them, as far as the bridge goes."""

from __future__ import annotations

from typing import Any


class EpisodicMemory:
    def __init__(self) -> None:
        self.memory: list[Any] = []
        self.episodic_buffer: list[Any] = []

    def store(self, value: Any) -> None:
        self.episodic_buffer.append(value)

    def retrieve_all(self) -> list[Any]:
        return self.memory + self.episodic_buffer


class SemanticMemory:
    def __init__(self, memories: list[Any] | None = None) -> None:
        self.memories = memories or []

    def _preprocess_value_for_storage(self, value: Any) -> Any:
        content = value["content"] if isinstance(value, dict) else value
        kind = value.get("type", "information") if isinstance(value, dict) else "information"
        stamp = value.get("simulation_timestamp") if isinstance(value, dict) else None
        return {"role": "assistant", "content": content, "type": kind, "simulation_timestamp": stamp}

    def store(self, value: Any) -> None:
        self._store(self._preprocess_value_for_storage(value))

    def store_all(self, values: list[Any]) -> None:
        for value in values:
            self.store(value)

    def _store(self, value: Any) -> None:
        self.memories.append(value)

    def retrieve_relevant(self, relevance_target: str, top_k: int = 20) -> list[Any]:
        raise NotImplementedError("needs an embeddings service")

    def retrieve_all(self, item_type: str | None = None) -> list[Any]:
        return [m for m in self.memories if item_type is None or m["type"] == item_type]
