"""The command line: which agents, which daemon."""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import sys
from pathlib import Path

from .client import NovaClient
from .errors import LibraryMissing, NovaError
from .library import Library
from .worker import Bridge, BridgeOptions


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = argparse.ArgumentParser(prog="nova-tinytroupe", description="Runs TinyTroupe's agents as workers of Nova.")
    made.add_argument("--url", default=os.environ.get("NOVA_URL", "http://127.0.0.1:8080"), help="the daemon (NOVA_URL)")
    made.add_argument("--domain", default=os.environ.get("NOVA_DOMAIN"), help="the domain; the key's default otherwise")
    made.add_argument("--agent", action="append", default=[], metavar="FILE", help="an *.agent.json; may be repeated")
    made.add_argument("--agent-id", action="append", default=[], metavar="ID", help="an agent that Nova knows; may be repeated")
    made.add_argument("--capability", action="append", default=[], help="a further capability of each agent of a file")
    made.add_argument("--lease-s", type=float, default=60.0, help="seconds of a lease; heartbeats come three times as often")
    made.add_argument("--wait-s", type=float, default=20.0, help="seconds of one wait for work")
    made.add_argument("--grace-s", type=float, default=30.0, help="seconds that running work has at the end")
    made.add_argument("--spool", type=Path, metavar="FILE", help="keeps memories over a restart that Nova cannot take now")
    made.add_argument("--local-memory", action="store_true", help="leave the agents their own semantic memory")
    made.add_argument("--library", default="tinytroupe", help=argparse.SUPPRESS)
    return made


def main(argv: list[str] | None = None) -> int:
    """Runs until SIGTERM or SIGINT."""
    args = parser().parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    key = os.environ.get("NOVA_API_KEY")
    if not key:
        print("error: set NOVA_API_KEY to a key that may read and write", file=sys.stderr)
        return 2
    if not args.agent and not args.agent_id:
        print("error: name at least one --agent FILE or --agent-id ID", file=sys.stderr)
        return 2
    options = BridgeOptions(
        lease_s=args.lease_s,
        wait_s=args.wait_s,
        grace_s=args.grace_s,
        nova_memory=not args.local_memory,
        capabilities=tuple(args.capability),
        spool=args.spool,
    )
    try:
        bridge = Bridge(NovaClient(args.url, key, args.domain), Library.load(args.library), options)
        for path in args.agent:
            bridge.host_file(json.loads(Path(path).read_text(encoding="utf-8")))
        for agent_id in args.agent_id:
            bridge.host_registered(agent_id)
    except (LibraryMissing, NovaError, OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: bridge.stop())
    print("nova-tinytroupe ready: " + ", ".join(bridge.hosted()), flush=True)
    bridge.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
