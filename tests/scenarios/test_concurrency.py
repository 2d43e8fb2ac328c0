"""Many sessions at once: every message arrives once, where it belongs, and none is mixed with another."""

import concurrent.futures
import random
import threading

import pytest

from harness.client import dot_stuffed, secure_client
from harness.maildir import body_of, sha256
from harness.messages import message

SESSIONS = 500
# All begin at once: on a busy machine the last of their handshakes takes a while.
PATIENT = {"handshake_timeout": "5m", "timeouts": {"greeting": "5m", "backend_connect": "1m"}}


def distinct_message(number):
    generator = random.Random(number)
    line = b"%d " % number * generator.randint(1, 20) + b"\r\n"
    return message(line * generator.choice([1, 10, 100, 1000]), token=f"session-{number}-")


@pytest.mark.parametrize("mode", ["starttls", "implicit"])
def test_500_sessions_at_once(start_gateway, scripted_server, mode):
    server = scripted_server()
    gateway = start_gateway({"address": server.address}, mode=mode, **PATIENT)
    everybody_there = threading.Barrier(SESSIONS)

    def session(number):
        with secure_client(gateway.port(), mode, version=("1.2", "1.3")[number % 2], timeout=300) as client:
            client.expect(250, f"MAIL FROM:<{number}@example.net>")
            everybody_there.wait(300)  # all 500 are within a transaction now
            client.expect(250, f"RCPT TO:<{number}@example.org>")
            client.expect(354, "DATA")
            client.send(dot_stuffed(distinct_message(number)) + b".\r\n")
            client.expect(250)
            client.quit()

    with concurrent.futures.ThreadPoolExecutor(SESSIONS) as pool:
        list(pool.map(session, range(SESSIONS)))
    assert len(server.connections) == SESSIONS
    seen = set()
    for connection in server.connections:
        sender = next(command for command in connection.commands if command.startswith(b"MAIL"))
        number = int(sender.partition(b"<")[2].partition(b"@")[0])
        assert b"RCPT TO:<%d@example.org>\r\n" % number in connection.commands
        assert [sha256(content) for content in connection.messages] == [sha256(dot_stuffed(distinct_message(number)))]
        seen.add(number)
    assert seen == set(range(SESSIONS))


def test_500_sessions_into_the_sink(start_gateway, sink):
    into_the_sink(start_gateway({"address": sink.address}, **PATIENT), sink, sessions=SESSIONS, at_once=100)


@pytest.mark.full
def test_5000_sessions_into_the_sink(start_gateway, sink):
    into_the_sink(start_gateway({"address": sink.address}, **PATIENT), sink, sessions=5000, at_once=1000)


def into_the_sink(gateway, sink, sessions, at_once):
    def session(number):
        with secure_client(gateway.port(), "starttls", timeout=300) as client:
            client.send_message(f"{number}@example.net", ["b@example.org"], distinct_message(number))
            client.quit()

    with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
        list(pool.map(session, range(sessions)))
    stored = sorted(sha256(body_of(text)) for text in sink.maildir.messages())
    assert stored == sorted(sha256(body_of(distinct_message(number))) for number in range(sessions))
