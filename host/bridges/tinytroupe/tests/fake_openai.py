"""A model service in a thread: chat completions that answer with TinyTroupe's actions."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class FakeOpenAI:
    """Echoes what it is asked, in an action; keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.heard = threading.Condition()
        #: Statuses answered to the next requests in place of an answer.
        self.failures: list[int] = []
        #: A request whose text has this in it waits until :attr:`release`.
        self.hold = ""
        self.release = threading.Event()
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                text = " ".join(str(m["content"]) for m in body["messages"])
                with fake.heard:
                    fake.asked.append(body)
                    fake.heard.notify_all()
                    status = fake.failures.pop(0) if fake.failures else 200
                if fake.hold and fake.hold in text:
                    fake.release.wait(60)
                try:
                    self._answer(status, body)
                except OSError:
                    pass  # the asker was killed

            def _answer(self, status: int, body: dict[str, Any]) -> None:
                said = body["messages"][-1]["content"].splitlines()[-1]
                actions = [
                    {"type": "TALK", "content": f"I have thought about it: {said}", "target": ""},
                    {"type": "DONE", "content": "", "target": ""},
                ]
                state = {"goals": "Answer.", "context": [], "attention": "The question.", "emotions": "Calm."}
                content = json.dumps({"actions": actions, "cognitive_state": state})
                answer = {"choices": [{"message": {"role": "assistant", "content": content}}]}
                data = json.dumps(answer if status == 200 else {"error": {"message": "no"}}).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def wait_for(self, text: str, timeout_s: float = 60) -> None:
        """Until a request with this text has come."""

        def came() -> bool:
            return any(text in json.dumps(body) for body in self.asked)

        with self.heard:
            assert self.heard.wait_for(came, timeout_s), f"nobody asked about {text!r}"

    def close(self) -> None:
        self.release.set()
        self._server.shutdown()
        self._server.server_close()
