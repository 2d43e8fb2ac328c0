"""The server goes away at every step of the dialogue: the client never sees a success that the server did not give."""

import contextlib
import ssl

import pytest

from harness.client import Client, Closed, tls_context
from harness.ports import PATIENCE
from harness.scripted_server import HangUp, Obedient, reset

VERBS = ["GREETING", "EHLO", "MAIL", "RCPT", "DATA", ".", "RSET", "NOOP", "QUIT"]
STEPS = [verb + moment for verb in VERBS for moment in "?!"]


class Leaving(Obedient):
    """Leaves at one step: before the reply ("MAIL?") or right after it ("MAIL!"), `occasion` times spared before."""

    def __init__(self, step, how, occasion=0):
        super().__init__(at_step=self._maybe_leave)
        self.step, self.how, self.spared = step, how, occasion
        self.left_at = None

    def _maybe_leave(self, connection, name):
        if name != self.step:
            return
        if self.spared > 0:
            self.spared -= 1
            return
        self.left_at = name
        if self.how == "half a reply":
            connection.send("250-2.0.0 mess" if name == ".?" else "25")
        if self.how == "reset":
            reset(connection)
        raise HangUp


DIALOGUE = [
    ("MAIL", b"MAIL FROM:<a@example.net>\r\n"),
    ("RCPT", b"RCPT TO:<b@example.org>\r\n"),
    ("DATA", b"DATA\r\n"),
    (".", b"Subject: x\r\n\r\nbody\r\n.\r\n"),
    ("RSET", b"RSET\r\n"),
    ("NOOP", b"NOOP\r\n"),
    ("QUIT", b"QUIT\r\n"),
]


def play(client, pipelined):
    """Talks to the end or until the gateway hangs up; returns the replies by step."""
    seen = {}
    with contextlib.suppress(Closed, ConnectionError, ssl.SSLError):
        for step, reply in talk(client, pipelined):
            seen.setdefault(step, []).append(reply)
    return seen


def talk(client, pipelined):
    yield "GREETING", (greeting := client.reply())
    if greeting.code != 220:
        return
    yield "EHLO", client.command("EHLO client.example")
    yield "STARTTLS", (started := client.command("STARTTLS"))
    if started.code != 220:
        return
    client.start_tls(tls_context())
    yield "EHLO", client.command("EHLO client.example")
    if pipelined:
        client.send(b"".join(octets for _, octets in DIALOGUE[:3]))
        for step, _ in DIALOGUE[:3]:
            yield step, client.reply()
        client.send(b"".join(octets for _, octets in DIALOGUE[3:]))
        for step, _ in DIALOGUE[3:]:
            yield step, client.reply()
    else:
        for step, octets in DIALOGUE:
            client.send(octets)
            yield step, client.reply()




@pytest.mark.parametrize("pipelined", [False, True], ids=["lock-step", "pipelined"])
@pytest.mark.parametrize("how", ["close", "reset", "half a reply"])
def test_server_lost_at_every_step(start_gateway, scripted_server, how, pipelined):
    server = scripted_server()
    gateway = start_gateway({"address": server.address})
    for step in STEPS:
        if how == "half a reply" and step.endswith("!"):
            continue
        for occasion in (0, 1) if step.startswith("EHLO") else (0,):
            server.script = script = Leaving(step, how, occasion)
            accepted_before = len(server.messages())
            with Client(gateway.port()) as client:
                seen = play(client, pipelined)
            server.connections[-1].finished.wait(PATIENCE)  # its thread may be behind what the client has seen
            assert script.left_at == step, f"{step}: the dialogue never came there, seen: {seen}"
            accepted = len(server.messages()) - accepted_before
            told = sum(1 for reply in seen.get(".", []) if reply.code // 100 == 2)
            context = f"server left at {step} by {how}: {[(s, str(r)) for s, rs in seen.items() for r in rs]}"
            assert told <= accepted, context
            check_replies(step, seen, context)


def check_replies(step, seen, context):
    """No step that the server did not answer is a success, and the client is told 421 or hung up on."""
    verb, before = step[:-1], step.endswith("?")
    order = [name for name, _ in DIALOGUE]
    if verb in order:
        unanswered = order[order.index(verb) + (0 if before else 1) :]
        for name in unanswered:
            for reply in seen.get(name, []):
                assert reply.code == 421 or (name == "QUIT" and reply.code == 221), context
    if verb == "GREETING" and before:
        assert [reply.code for reply in seen.get("GREETING", [])] in ([421], []), context
    if verb == "." and before:
        assert [reply.code for reply in seen["."]] == [421], context


def test_a_server_that_never_was(start_gateway, scripted_server):
    server = scripted_server()
    server.close()
    gateway = start_gateway({"address": server.address}, timeouts={"backend_connect": "2s"})
    with Client(gateway.port()) as client:
        client.expect(421)
        assert client.rest() == b""


def test_the_server_refuses_early_with_421(start_gateway, scripted_server):
    """A server that speaks before it is asked, and leaves: the client gets its words, or 421."""
    server = scripted_server(Obedient(replies={"MAIL": "421 4.3.2 going down\r\n"}))
    gateway = start_gateway({"address": server.address})
    with Client(gateway.port()) as client:
        client.greeted()
        client.expect(421, "MAIL FROM:<a@example.net>")


@pytest.mark.parametrize(
    "garbage",
    [b"\0\1\2\3\r\n", b"hello\r\n", b"x" * 100_000, b"999 what\r\n", b"250-a\r\n354 b\r\n"],
    ids=["binary", "a word", "an endless line", "no such code", "two codes in one reply"],
)
def test_a_server_that_speaks_no_smtp(start_gateway, scripted_server, garbage):
    def script(connection):
        connection.send(garbage)
        connection.more()

    gateway = start_gateway({"address": scripted_server(script).address})
    with Client(gateway.port()) as client:
        client.expect(421)
        assert client.rest() == b""
    gateway.wait_for_log("backend_protocol")


def test_garbage_instead_of_the_reply_to_the_end_of_data(start_gateway, scripted_server):
    for garbage in ("nonsense\r\n", "2 5 0 ok\r\n", "250ok\r\n", "\r\n" * 11, "x" * 100_000):
        gateway = start_gateway({"address": scripted_server(Obedient(replies={".": garbage})).address})
        with Client(gateway.port()) as client:
            seen = play(client, pipelined=False)
        assert [reply.code for reply in seen["."]] == [421], garbage[:20]
