"""Nova as an agent's memory.

What TinyTroupe puts into its semantic memory goes to Nova, and recall goes through Nova's search: no embeddings service is
needed, and other processes' agents of the same name remember it, too.
"""

from __future__ import annotations

import json
import threading
from typing import Any

from .client import Json, NovaClient
from .outbox import Outbox

#: Key of a memory's context under which an item's other fields are kept; the daemon's exports know it.
ITEM = "tinytroupe"
SOURCE = "tinytroupe"


def record_of(item: Any, agent_id: str, layer: str, task: Json | None = None) -> Json | None:
    """A TinyTroupe item as a memory to be stored; none where it has no text."""
    if isinstance(item, dict):
        content, rest = item.get("content"), {k: v for k, v in item.items() if k != "content"}
    else:
        content, rest = item, {}
    if not isinstance(content, (str, dict)):
        content = {"value": content}
    if not _has_text(content):
        return None
    metadata: Json = {"source": SOURCE}
    if isinstance(rest.get("type"), str):
        metadata["item_type"] = rest["type"]
    context: Json = {ITEM: _plain(rest)}
    if task is not None:
        metadata["task_id"] = task["task_id"]
        if task.get("flow_id"):
            metadata["flow_id"] = task["flow_id"]
    return {
        "content": _plain(content),
        "type": layer,
        "agent_id": agent_id,
        "context": context,
        "metadata": metadata,
    }


def item_of(memory: Json) -> Json:
    """A memory as TinyTroupe would have it."""
    kept = memory.get("context", {}).get(ITEM)
    item = dict(kept or {})
    item.setdefault("role", "assistant")
    item.setdefault("type", "stimulus" if memory.get("type") == "episodic" else "information")
    item.setdefault("simulation_timestamp", memory.get("created_at"))
    content = memory["content"]
    if kept is not None and isinstance(content, dict) and content.keys() == {"value"}:
        content = content["value"]
    item["content"] = content
    return item


def text_of(content: Any) -> str:
    """What a prompt shows of a content."""
    return content if isinstance(content, str) else json.dumps(content, ensure_ascii=False, default=str)


def semantic_memory(base: type, client: NovaClient, agent_id: str, outbox: Outbox | None = None) -> Any:
    """A semantic memory, of the library's own class, that lives in Nova."""
    outbox = outbox or Outbox(client)

    class NovaSemanticMemory(base):  # type: ignore[misc]
        """Stores in Nova and recalls through its search."""

        def _store(self, value: Any) -> None:
            record = record_of(value, agent_id, "semantic")
            if record is not None:
                outbox.store(record)

        def retrieve_relevant(self, relevance_target: str, top_k: int = 20) -> list[str]:
            matches = client.search(str(relevance_target)[:4000], limit=min(top_k, 200), agent_id=agent_id)
            return [text_of(match["content"]) for match in matches]

        def retrieve_all(self, item_type: str | None = None) -> list[Json]:
            items = [item_of(memory) for memory in client.memories(agent_id, "semantic")]
            return [item for item in items if item_type is None or item["type"] == item_type]

    return NovaSemanticMemory()


class Recorder:
    """Hears of every item that an agent's episodic memory is given."""

    def __init__(self, episodic_memory: Any):
        self._items: list[Any] = []
        self._lock = threading.Lock()
        store = episodic_memory.store

        def recording(value: Any) -> None:
            store(value)
            with self._lock:
                self._items.append(value)

        episodic_memory.store = recording

    def take(self) -> list[Any]:
        """The items since the last time."""
        with self._lock:
            items, self._items = self._items, []
        return items


def _has_text(content: Any) -> bool:
    if isinstance(content, str):
        return bool(content.strip())
    if isinstance(content, dict):
        return any(_has_text(value) for value in content.values())
    if isinstance(content, (list, tuple)):
        return any(_has_text(value) for value in content)
    return isinstance(content, (int, float)) and not isinstance(content, bool)


def _plain(value: Any) -> Any:
    """The value as JSON can carry it."""
    return json.loads(json.dumps(value, default=str))
