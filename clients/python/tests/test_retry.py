"""What is repeated, when, and with which key: the flow of a call, driven by hand."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from plugin_registry import Conflict, RegistryError, StillHeld, TooManyRequests, Unavailable, Unreachable
from plugin_registry._core import calls, retry
from plugin_registry._core.http import KEY, Failure, Request, Response, Send, Sleep

SERVER = "http://registry.test"
WRITE = calls.register({"name": "x"})
READ = calls.get("/stats")
OK = Response(200, {}, b"{}")


class Clock:
    """A clock that goes on only while a flow waits."""

    def __init__(self) -> None:
        self.seconds = 0.0


def outcome(request: Request, replies: Iterator[Response | Failure], **policy: float) -> tuple[list[Request], list[float], object]:
    """The requests that were sent, the waits, and the response or the error."""
    clock, sent, waits = Clock(), list[Request](), list[float]()
    rules = retry.Policy(int(policy.get("retries", 4)), policy.get("deadline", 60.0), lambda: clock.seconds, lambda: 0.0)
    flow = retry.attempts(request, rules, SERVER)
    reply: Response | Failure | None = None
    while True:
        try:
            effect = flow.send(reply)
        except StopIteration as end:
            return sent, waits, end.value
        except RegistryError as error:
            return sent, waits, error
        if isinstance(effect, Send):
            sent.append(effect.request)
            reply = next(replies)
        else:
            assert isinstance(effect, Sleep)
            waits.append(effect.seconds)
            clock.seconds += effect.seconds
            reply = None


def test_all_attempts_of_a_call_have_one_key() -> None:
    sent, _, answer = outcome(WRITE, iter([Response(503, {}, b""), Failure("cut off", sent=True), OK]))
    assert answer is OK
    assert len({request.headers[KEY] for request in sent}) == 1 and len(sent) == 3


def test_two_calls_have_two_keys() -> None:
    keys = {outcome(WRITE, iter([OK]))[0][0].headers[KEY] for _ in range(2)}
    assert len(keys) == 2


def test_what_has_a_secret_in_its_answer_has_no_key_and_is_not_repeated() -> None:
    create = calls.post("/tokens", {}, takes_key=False, repeatable=False)
    sent, _, error = outcome(create, iter([Failure("cut off", sent=True)]))
    assert len(sent) == 1 and KEY not in sent[0].headers and isinstance(error, Unreachable)


def test_what_was_never_sent_is_repeated_always() -> None:
    create = calls.post("/tokens", {}, takes_key=False, repeatable=False)
    assert outcome(create, iter([Failure("refused", sent=False), OK]))[2] is OK


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 410, 412, 422, 500, 501, 507])
def test_an_answer_is_not_repeated(status: int) -> None:
    sent, waits, error = outcome(WRITE, iter([Response(status, {}, b"")]))
    assert len(sent) == 1 and not waits and isinstance(error, RegistryError)


@pytest.mark.parametrize("status", [408, 429, 502, 503, 504])
def test_a_passing_failure_is_repeated(status: int) -> None:
    assert outcome(READ, iter([Response(status, {}, b""), OK]))[2] is OK


def test_waits_double_up_to_eight_seconds() -> None:
    _, waits, error = outcome(READ, iter([Response(503, {}, b"")] * 9), retries=6)
    assert waits == [0.5, 1, 2, 4, 8, 8] and isinstance(error, Unavailable)


def test_retry_after_is_obeyed() -> None:
    _, waits, _ = outcome(READ, iter([Response(429, {"retry-after": "7"}, b""), OK]))
    assert waits == [7]


def test_a_retry_after_beyond_two_minutes_is_not_waited_for() -> None:
    _, waits, _ = outcome(READ, iter([Response(503, {"retry-after": "3600"}, b""), OK]))
    assert waits == [0.5]


def test_no_wait_goes_beyond_the_deadline() -> None:
    _, waits, error = outcome(READ, iter([Response(429, {"retry-after": "40"}, b"")] * 3), deadline=60)
    assert waits == [40] and isinstance(error, TooManyRequests)
    assert error.retry_after == 40


def test_a_conflict_is_an_answer_with_its_own_class() -> None:
    body = b'{"type":"urn:plugin-registry:problem:still-held","status":409,"title":"t","detail":"d"}'
    _, _, error = outcome(WRITE, iter([Response(409, {}, body)]))
    assert type(error) is StillHeld and isinstance(error, Conflict)
