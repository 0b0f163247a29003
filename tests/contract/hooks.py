"""What Schemathesis does not know by itself: how components and lines are sent."""

import schemathesis


@schemathesis.serializer("application/wasm", "application/x-ndjson")
def as_it_is(ctx, value):
    if isinstance(value, bytes):
        return value
    return b"" if value is None else str(value).encode()
