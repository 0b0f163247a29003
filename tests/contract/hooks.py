"""What Schemathesis does not know by itself: how components and lines are sent."""

import schemathesis


@schemathesis.serializer("application/wasm", "application/x-ndjson")
def as_it_is(ctx, value):
    return value if isinstance(value, bytes) else str(value).encode()
