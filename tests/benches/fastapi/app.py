"""The endpoint that the benchmark asks of Nova, as it is commonly written with FastAPI: a key dependency, a sliding-window
limiter per key, a middleware for request ids, one row from SQLite, typed answers.

    uvicorn app:app --no-access-log        NOVA_BENCH_DB names the database, NOVA_BENCH_KEY the key
"""

import hashlib
import hmac
import os
import sqlite3
import time
import uuid
from collections import deque
from datetime import datetime, timezone

from fastapi import Depends, FastAPI, Header, HTTPException, Request, Response
from pydantic import BaseModel

LIMIT, WINDOW_S = 1_000_000, 60.0
PEPPER = b"pepper"


def keyed_hash(secret: str) -> bytes:
    return hmac.digest(PEPPER, secret.encode(), hashlib.sha256)


KEYS = {keyed_hash(os.environ["NOVA_BENCH_KEY"]): "bench"}
DB = sqlite3.connect(os.environ["NOVA_BENCH_DB"], check_same_thread=False)
DB.execute("PRAGMA journal_mode=WAL")
DB.execute(
    "CREATE TABLE IF NOT EXISTS resources (domain TEXT, resource_id TEXT, capacity REAL, in_use REAL, unit TEXT, "
    "cost_per_unit REAL, version INTEGER, created TEXT, updated TEXT, PRIMARY KEY (domain, resource_id))"
)
NOW = "2026-01-01T00:00:00.000Z"
DB.execute(
    "INSERT OR IGNORE INTO resources VALUES ('general', 'cpu', 8.0, 0.0, 'cores', 0.0, 1, ?, ?)", (NOW, NOW)
)
DB.commit()


class Resource(BaseModel):
    resource_id: str
    domain: str
    capacity: float
    in_use: float
    unit: str
    cost_per_unit: float
    version: int
    created_at: str
    updated_at: str


class Answer(BaseModel):
    resource_id: str
    status: str
    orchestration: Resource
    confidence: float
    timestamp: str


class Limiter:
    """Buckets of a second: exact within a bucket's width."""

    def __init__(self) -> None:
        self.buckets: dict[str, deque[list[float]]] = {}

    def take(self, key: str) -> int:
        now = time.monotonic()
        buckets = self.buckets.setdefault(key, deque())
        while buckets and buckets[0][0] <= now - WINDOW_S:
            buckets.popleft()
        used = sum(count for _, count in buckets)
        if used >= LIMIT:
            return -1
        if buckets and now - buckets[-1][0] < 1.0:
            buckets[-1][1] += 1
        else:
            buckets.append([now, 1])
        return int(LIMIT - used - 1)


limiter = Limiter()
app = FastAPI()


@app.middleware("http")
async def request_id(request: Request, call_next):
    started = time.perf_counter()
    response = await call_next(request)
    response.headers["X-Request-ID"] = request.headers.get("x-request-id") or str(uuid.uuid4())
    response.headers["X-Response-Time"] = f"{time.perf_counter() - started:.6f}"
    return response


async def key(response: Response, x_api_key: str | None = Header(default=None)) -> str:
    name = KEYS.get(keyed_hash(x_api_key or ""))
    if name is None:
        raise HTTPException(401, "the API key is not valid")
    remaining = limiter.take(name)
    if remaining < 0:
        raise HTTPException(429, "too many requests", {"Retry-After": "1"})
    response.headers["RateLimit-Limit"] = str(LIMIT)
    response.headers["RateLimit-Remaining"] = str(remaining)
    return name


@app.get("/api/orchestration/resources/{resource_id}")
async def resource(resource_id: str, domain: str = "general", _: str = Depends(key)) -> Answer:
    row = DB.execute(
        "SELECT resource_id, domain, capacity, in_use, unit, cost_per_unit, version, created, updated FROM resources "
        "WHERE domain = ? AND resource_id = ?",
        (domain, resource_id),
    ).fetchone()
    if row is None:
        raise HTTPException(404, "there is no such resource")
    record = Resource(**dict(zip(Resource.model_fields, row)))
    now = datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return Answer(
        resource_id=record.resource_id, status="found", orchestration=record, confidence=1.0, timestamp=now
    )
