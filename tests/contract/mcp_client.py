"""The official client of the Model Context Protocol, which knows an address and keys, and nothing else of Nova."""

import asyncio
import logging
import os
from contextlib import asynccontextmanager

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

URL = os.environ["NOVA_URL"] + "/mcp"
ADMIN, READER = os.environ["NOVA_API_KEY"], os.environ["NOVA_READER_KEY"]
NOTE = "Ann prefers short answers."
# The tools, and what each cannot do without.
TOOLS = {
    "memory_store": ["content"],
    "memory_search": [],
    "memory_get": ["memory_id"],
    "task_create": ["type"],
    "task_status": ["task_id"],
}


@asynccontextmanager
async def connected(key, mode, domain="general", refusals=None):
    """A client; what the daemon refuses before the protocol begins goes to `refusals`."""

    async def keep(response):
        if refusals is not None and response.status_code >= 400:
            await response.aread()
            refusals.append((response.status_code, response.json()["error"]))

    headers, hooks = {"X-API-Key": key}, {"response": [keep]}
    async with httpx2.AsyncClient(headers=headers, timeout=30, event_hooks=hooks) as http:
        transport = streamable_http_client(f"{URL}?domain={domain}", http_client=http)
        async with Client(transport, mode=mode) as client:
            yield client


async def call(client, tool, failed=False, **arguments):
    """What a tool answers, which must be an error or must not be one."""
    result = await client.call_tool(tool, arguments)
    assert bool(result.is_error) is failed, result
    return result.structured_content


async def works(mode):
    """Memory and tasks, with the handshake of this mode."""
    async with connected(ADMIN, mode) as client:
        assert client.server_info.name == "nova" and client.instructions, client.server_info
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert sorted(tools) == sorted(TOOLS), tools
        for name, required in TOOLS.items():
            schema = tools[name].input_schema
            assert tools[name].description and schema["type"] == "object", tools[name]
            assert schema["required"] == required and schema["properties"], schema

        stored = await call(client, "memory_store", content=NOTE, metadata={"topic": "style"})
        wanted = {"query": "how short should answers be?", "filter": {"topic": "style"}}
        found = await call(client, "memory_search", **wanted)
        ids = [match["memory_id"] for match in found["matches"]]
        assert ids == [stored["memory_id"]], found
        got = await call(client, "memory_get", memory_id=ids[0])
        assert got["orchestration"]["content"] == NOTE, got

        made = await call(client, "task_create", type="write", priority=4)
        seen = await call(client, "task_status", task_id=made["task_id"])
        assert (seen["status"], seen["orchestration"]["priority"]) == ("ready", 4), seen

    async with connected(ADMIN, mode, domain="elsewhere") as client:
        found = await call(client, "memory_search", query=NOTE)
        assert found["matches"] == [], found
        refused = await call(client, "memory_get", failed=True, memory_id=ids[0])
        assert refused["code"] == "RESOURCE_NOT_FOUND", refused

    async with connected(READER, mode) as client:
        refused = await call(client, "memory_store", failed=True, content="x")
        assert refused["code"] == "PERMISSION_DENIED" and "write" in refused["message"], refused
        refused = await call(client, "task_create", failed=True, type="write")
        assert refused["code"] == "PERMISSION_DENIED", refused
        # The same client goes on.
        got = await call(client, "memory_get", memory_id=ids[0])
        assert got["orchestration"]["content"] == NOTE, got

    refused = await refusal("nova_wrong_key", mode)
    assert refused == (401, "AUTHENTICATION_ERROR", "the API key is not valid"), refused
    status, code, message = await refusal(READER, mode, domain="elsewhere")
    assert (status, code) == (403, "PERMISSION_DENIED") and "elsewhere" in message, message


async def refusal(key, mode, **to):
    """Why the daemon does not let this key in; the SDK says no more than that it does not."""
    refusals = []
    try:
        async with connected(key, mode, refusals=refusals, **to):
            pass
    except Exception:
        if not refusals:
            raise
        status, error = refusals[0]
        return status, error["code"], error["message"]
    raise AssertionError("a key that must be refused was taken")


async def main():
    # The handshake of the protocol's versions until 2025, and the one since.
    for mode in ["legacy", "auto"]:
        await works(mode)
    print("the official client works")


logging.disable(logging.CRITICAL)
asyncio.run(main())
