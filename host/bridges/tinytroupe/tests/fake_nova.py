"""Nova's answers without Nova, for what the client does with them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx

from nova_tinytroupe import NovaClient


class FakeNova:
    """Keeps memories, hands out the tasks it is given, and keeps what became of them."""

    def __init__(self) -> None:
        self.tasks: list[dict[str, Any]] = []
        self.done: dict[str, tuple[str, dict[str, Any]]] = {}
        self.memories: list[dict[str, Any]] = []
        self.calls: list[str] = []
        self.cancelled = False
        self.lost = False
        #: What storing a memory is answered with, in place of storing it.
        self.refusals: list[int] = []
        self.on_end: Callable[[], None] = lambda: None

    def client(self, **options: Any) -> NovaClient:
        return NovaClient("http://nova", "key", transport=httpx.MockTransport(self._answer), **options)

    def give(self, task_id: str, to: str | None = None, **parameters: Any) -> None:
        task = {"task_id": task_id, "type": "think", "flow_id": "f", "parameters": parameters, "dependencies": []}
        self.tasks.append({**task, "agent_id": to})

    def _answer(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        self.calls.append(path)
        body = json.loads(request.content) if request.content else {}
        assert request.headers["X-API-Key"] == "key"
        if path.endswith("/agents/import"):
            name = body["agent"]["persona"]["name"].replace(" ", "-")
            return _ok({"agent_id": body.get("agent_id", name), "orchestration": {"capabilities": ["a"], "sent": body}})
        if path.endswith("/lease"):
            leases = []
            agent_id = path.split("/")[-2]
            task = next((t for t in self.tasks if t["agent_id"] in (None, agent_id)), None)
            if task is not None:
                self.tasks.remove(task)
                leases = [{"lease_id": "l-" + task["task_id"], "task": task}]
            return _ok({"orchestration": leases})
        if path.endswith("/heartbeat"):
            return _conflict() if self.lost else _ok({"orchestration": {"cancelled": self.cancelled}})
        if path.endswith(("/complete", "/fail")):
            if self.lost:
                return _conflict()
            task_id, verb = path.split("/")[-2:]
            assert body["lease_id"] == f"l-{task_id}"
            self.done[task_id] = (verb, body)
            self.on_end()
            return _ok({})
        if path.endswith("/export"):
            assert request.url.params["memories"] == "false"
            return _ok({"type": "TinyPerson", "persona": {"name": path.split("/")[-2]}})
        if path.endswith("/memory/store") and self.refusals:
            error = {"code": "X", "message": "not now", "details": {}}
            return httpx.Response(self.refusals.pop(0), json={"error": error})
        if path.endswith("/memory/store"):
            self.memories.append(body)
            return _ok({"memory_id": str(len(self.memories))})
        if path.endswith("/memory/search"):
            words = set(body["query"].lower().split())
            found = [m for m in self.memories if words & set(json.dumps(m["content"]).lower().strip('"').split())]
            return _ok({"matches": found[: body["limit"]]})
        if path.endswith("/orchestration/memory"):
            kind = request.url.params["type"]
            return _ok({"items": [m for m in reversed(self.memories) if m["type"] == kind], "next_cursor": None})
        return httpx.Response(404, json={"error": {"code": "RESOURCE_NOT_FOUND", "message": path, "details": {}}})


def _ok(body: dict[str, Any]) -> httpx.Response:
    return httpx.Response(200, json=body)


def _conflict() -> httpx.Response:
    return httpx.Response(409, json={"error": {"code": "CONFLICT", "message": "not yours", "details": {}}})
