"""What Schemathesis does not know by itself: how a component is sent."""

import schemathesis


@schemathesis.serializer("application/wasm")
def component(ctx, value):
    return value if isinstance(value, bytes) else str(value).encode()
