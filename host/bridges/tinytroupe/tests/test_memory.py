"""Nova as semantic memory, and items to and from memories."""

from __future__ import annotations

from fake_nova import FakeNova

from nova_tinytroupe import Library, semantic_memory
from nova_tinytroupe.library import episodes
from nova_tinytroupe.memory import item_of, record_of


def test_knowledge_goes_to_nova_and_is_recalled(library: Library) -> None:
    nova = FakeNova()
    memory = semantic_memory(library.semantic_memory, nova.client(), "ann")
    assert isinstance(memory, library.semantic_memory)
    memory.store_all(
        [
            {"content": "Tides follow the moon", "type": "consolidated", "simulation_timestamp": "2024-01-01T00:00:00"},
            {"content": "Reefs grow slowly", "type": "information"},
        ]
    )
    assert [m["type"] for m in nova.memories] == ["semantic", "semantic"]
    assert memory.retrieve_relevant("moon", top_k=5) == ["Tides follow the moon"]
    kept = memory.retrieve_all(item_type="consolidated")
    assert [k["content"] for k in kept] == ["Tides follow the moon"]
    assert kept[0]["simulation_timestamp"] == "2024-01-01T00:00:00"
    nova.memories[1]["valid_to"] = "2024-02-01T00:00:00.000Z"
    assert len(memory.retrieve_all()) == 1, "what holds no more is left out"


def test_items_survive_the_way_there_and_back() -> None:
    item = {"role": "user", "content": {"stimuli": [{"type": "X", "content": "hello"}]}, "type": "stimulus", "n": 1}
    record = record_of(item, "ann", "episodic", {"task_id": "t", "flow_id": None})
    assert record is not None
    assert record["metadata"] == {"source": "tinytroupe", "item_type": "stimulus", "task_id": "t"}
    back = item_of({**record, "created_at": "2024-01-01T00:00:00.000Z"})
    assert {k: back[k] for k in item} == item
    bare = record_of({"type": "action", "content": 3}, "ann", "episodic")
    assert bare is not None and item_of(bare)["content"] == 3
    assert record_of({"content": {"a": [True, None, ""]}}, "ann", "episodic") is None
    assert record_of(["a", "b"], "ann", "episodic") is not None


def test_episodes_are_found_in_either_kind_of_file() -> None:
    theirs = {"episodic_memory": {"memory": [1], "episodic_buffer": [2]}}
    assert episodes(theirs) == [1, 2]
    assert episodes({"nova_memory": {"episodic": [3, {"content": "x", "nova": {}}]}}) == [3, {"content": "x"}]
    assert episodes({"persona": {}}) == []
