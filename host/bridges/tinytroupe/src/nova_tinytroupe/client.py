"""Nova's HTTP interface, as much of it as a worker needs.

Every call here may be repeated without harm: leases are answered anew, completing twice is completing once, and the same
memory is recognised. So each is tried again while Nova is away, within ``patience_s``.
"""

from __future__ import annotations

import random
import threading
import time
from typing import Any

import httpx

from .errors import LeaseLost, NovaError

Json = dict[str, Any]


class NovaClient:
    """A client with a key, bound to one daemon and one domain; safe to share between threads."""

    def __init__(
        self,
        url: str,
        key: str,
        domain: str | None = None,
        *,
        timeout_s: float = 10.0,
        patience_s: float = 30.0,
        transport: httpx.BaseTransport | None = None,
    ):
        self._http = httpx.Client(
            base_url=url.rstrip("/"),
            headers={"X-API-Key": key},
            timeout=timeout_s,
            transport=transport,
        )
        self._domain = domain
        self._timeout_s = timeout_s
        self._patience_s = patience_s
        self._closing = threading.Event()

    def close(self) -> None:
        """Ends waiting for a daemon that is away, and the connections."""
        self._closing.set()
        self._http.close()

    def give_up_waiting(self) -> None:
        """A daemon that is away is not waited for any longer."""
        self._closing.set()

    # Agents

    def import_agent(self, spec: Json, **fields: Any) -> Json:
        """Registers an agent by its file, or brings one that is there up to date."""
        body = {"agent": spec, "update": True, **fields}
        return self._call("POST", "/api/orchestration/agents/import", body)

    def export_agent(self, agent_id: str, memories: bool = True) -> Json:
        """The agent's file."""
        flag = "true" if memories else "false"
        return self._call("GET", f"/api/orchestration/agents/{agent_id}/export", query={"memories": flag})

    # Work

    def lease(self, agent_id: str, *, lease_s: float, wait_ms: int, most: int = 1) -> list[Json]:
        """Takes work; waits up to ``wait_ms`` for it."""
        body = {"max": most, "lease_s": lease_s, "wait_ms": wait_ms}
        path = f"/api/orchestration/agents/{agent_id}/lease"
        answer = self._call("POST", path, body, timeout_s=self._timeout_s + wait_ms / 1000)
        leases: list[Json] = answer["orchestration"]
        return leases

    def heartbeat(self, task_id: str, lease_id: str) -> bool:
        """Keeps a lease; false when the task was called off."""
        answer = self._on_lease(task_id, "heartbeat", {"lease_id": lease_id})
        return not answer["orchestration"]["cancelled"]

    def complete(self, task_id: str, lease_id: str, result: Json) -> None:
        """Hands in what came of a task."""
        self._on_lease(task_id, "complete", {"lease_id": lease_id, "result": result})

    def fail(self, task_id: str, lease_id: str, error: str, *, transient: bool) -> None:
        """Gives a task up."""
        body = {"lease_id": lease_id, "error": error[:2000] or "failed", "transient": transient}
        self._on_lease(task_id, "fail", body)

    def task(self, task_id: str) -> Json:
        """One task."""
        record: Json = self._call("GET", f"/api/orchestration/tasks/{task_id}")["orchestration"]
        return record

    # Memory

    def store(self, memory: Json) -> Json:
        """Stores a memory, or recognises it."""
        return self._call("POST", "/api/orchestration/memory/store", memory)

    def search(self, query: str, *, limit: int = 20, **fields: Any) -> list[Json]:
        """Memories that match, best first."""
        body = {"query": query, "limit": limit, **fields}
        matches: list[Json] = self._call("POST", "/api/orchestration/memory/search", body)["matches"]
        return matches

    def memories(self, agent_id: str, layer: str, most: int = 1000) -> list[Json]:
        """An agent's newest memories of a layer, oldest first; not those whose place another took."""
        found: list[Json] = []
        cursor: str | None = None
        while len(found) < most:
            query: dict[str, str] = {"type": layer, "agent_id": agent_id, "limit": str(min(500, most - len(found)))}
            if cursor:
                query["cursor"] = cursor
            page = self._call("GET", "/api/orchestration/memory", query=query)
            found.extend(memory for memory in page["items"] if memory.get("valid_to") is None)
            cursor = page["next_cursor"]
            if cursor is None:
                break
        found.reverse()
        return found

    # The wire

    def _on_lease(self, task_id: str, verb: str, body: Json) -> Json:
        try:
            return self._call("POST", f"/api/orchestration/tasks/{task_id}/{verb}", body)
        except NovaError as error:
            if error.status in (404, 409):
                raise LeaseLost(str(error)) from error
            raise

    def _call(
        self,
        method: str,
        path: str,
        body: Json | None = None,
        *,
        query: dict[str, str] | None = None,
        timeout_s: float | None = None,
    ) -> Json:
        query = dict(query or {})
        if self._domain is not None:
            query["domain"] = self._domain
        deadline = time.monotonic() + self._patience_s
        pause_s = 0.1
        while True:
            wait_s = pause_s * random.uniform(0.5, 1.0)
            try:
                response = self._http.request(
                    method, path, json=body, params=query, timeout=timeout_s or self._timeout_s
                )
            except httpx.TransportError:
                if self._closing.is_set() or time.monotonic() + wait_s > deadline:
                    raise
            else:
                if response.is_success:
                    answer: Json = response.json()
                    return answer
                error = _error(response)
                if response.status_code not in (429, 502, 503, 504):
                    raise error
                wait_s = max(wait_s, _retry_after_s(response))
                if self._closing.is_set() or time.monotonic() + wait_s > deadline:
                    raise error
            self._closing.wait(wait_s)
            pause_s = min(pause_s * 2, 5.0)


def _error(response: httpx.Response) -> NovaError:
    try:
        error = response.json()["error"]
        return NovaError(response.status_code, error["code"], error["message"], error.get("details"))
    except (ValueError, KeyError, TypeError):
        return NovaError(response.status_code, "UNKNOWN", response.text[:200])


def _retry_after_s(response: httpx.Response) -> float:
    try:
        return min(float(response.headers.get("Retry-After", 0)), 30.0)
    except ValueError:
        return 0.0
