"""The client: patience with a daemon that is away, and clear errors."""

from __future__ import annotations

import httpx
import pytest

from nova_tinytroupe import LeaseLost, NovaClient, NovaError, is_transient


def client(answers: list[httpx.Response | Exception], patience_s: float = 5.0) -> NovaClient:
    def answer(_: httpx.Request) -> httpx.Response:
        found = answers.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    return NovaClient("http://nova", "k", transport=httpx.MockTransport(answer), patience_s=patience_s)


def refused(status: int, code: str = "X") -> httpx.Response:
    return httpx.Response(status, json={"error": {"code": code, "message": "m", "details": {"field": "f"}}})


def test_a_daemon_that_is_away_is_waited_for() -> None:
    answers = [httpx.ConnectError("away"), refused(503), refused(429), httpx.Response(200, json={"matches": [1]})]
    assert client(answers).search("x") == [1]
    assert answers == []


def test_patience_ends() -> None:
    with pytest.raises(httpx.ConnectError):
        client([httpx.ConnectError("away")], patience_s=0).search("x")
    with pytest.raises(NovaError) as caught:
        client([refused(503)], patience_s=0).search("x")
    assert is_transient(caught.value)


def test_a_refusal_is_told_at_once() -> None:
    with pytest.raises(NovaError) as caught:
        client([refused(400, "VALIDATION_ERROR")]).search("x")
    assert (caught.value.code, caught.value.details) == ("VALIDATION_ERROR", {"field": "f"})
    assert not is_transient(caught.value)
    with pytest.raises(NovaError):
        client([httpx.Response(400, text="<html>")]).search("x")


def test_a_lost_lease_has_its_own_error() -> None:
    for status in (404, 409):
        with pytest.raises(LeaseLost):
            client([refused(status)]).complete("t", "l", {})


def test_what_another_attempt_may_mend() -> None:
    class RateLimitError(Exception):
        pass

    class Status(Exception):
        def __init__(self, status_code: int):
            self.status_code = status_code

    for error, transient in [
        (TimeoutError(), True),
        (ConnectionResetError(), True),
        (httpx.ReadTimeout("late"), True),
        (RateLimitError(), True),
        (Status(503), True),
        (Status(401), False),
        (ValueError("no such prompt"), False),
        (KeyError("type"), False),
    ]:
        assert is_transient(error) is transient, repr(error)
    outer = RuntimeError("the agent could not act")
    outer.__cause__ = TimeoutError()
    assert is_transient(outer)
