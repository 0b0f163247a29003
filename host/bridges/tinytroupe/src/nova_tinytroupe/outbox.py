"""Memories on their way to Nova: what it cannot take now waits, in order, and is sent later."""

from __future__ import annotations

import json
import logging
import threading
from collections import deque
from pathlib import Path

import httpx

from .client import Json, NovaClient
from .errors import NovaError, is_transient

log = logging.getLogger("nova_tinytroupe")

#: Memories that wait at most; of more, the oldest are dropped.
WAITING_MAX = 1000


class Outbox:
    """Sends memories, the oldest first; safe to share between threads.

    With a ``file``, what waits outlives the process.
    """

    def __init__(self, client: NovaClient, file: Path | None = None, most: int = WAITING_MAX):
        self._client = client
        self._file = file
        self._most = most
        self._waiting: deque[Json] = deque(_read(file))
        self._lock = threading.Lock()
        self._sending = threading.Lock()

    def __len__(self) -> int:
        return len(self._waiting)

    def store(self, record: Json) -> None:
        """Sends a memory, after those that wait."""
        with self._lock:
            self._waiting.append(record)
            while len(self._waiting) > self._most:
                log.error("%d memories wait already, and one is dropped: %s", self._most, _shown(self._waiting.popleft()))
        self.send()

    def send(self) -> None:
        """Sends what waits, until Nova cannot take any more."""
        # Whoever sends now sends the others', too.
        if not self._sending.acquire(blocking=False):
            return
        try:
            while self._waiting and self._send(self._waiting[0]):
                pass
            self._write()
        finally:
            self._sending.release()

    def _send(self, record: Json) -> bool:
        try:
            self._client.store(record)
        except (NovaError, httpx.TransportError) as error:
            if is_transient(error):
                log.warning("%d memories wait for Nova: %s", len(self._waiting), error)
                return False
            log.error("a memory was refused (%s) and is dropped: %s", error, _shown(record))
        with self._lock:
            # It may have been dropped meanwhile.
            if self._waiting and self._waiting[0] is record:
                self._waiting.popleft()
        return True

    def _write(self) -> None:
        if self._file is None or not (self._waiting or self._file.exists()):
            return
        with self._lock:
            lines = "".join(json.dumps(record) + "\n" for record in self._waiting)
        if not lines:
            self._file.unlink()
            return
        part = self._file.with_name(self._file.name + ".part")
        part.write_text(lines, encoding="utf-8")
        part.replace(self._file)


def _read(file: Path | None) -> list[Json]:
    if file is None or not file.exists():
        return []
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def _shown(record: Json) -> str:
    return f"{record.get('agent_id')}: {json.dumps(record.get('content'), ensure_ascii=False)[:200]}"
