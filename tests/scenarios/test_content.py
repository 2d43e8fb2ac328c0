"""Message content octet for octet: size, framing, how the octets are cut, and bare newlines."""

import random
import time

import pytest

from harness.client import dot_stuffed, secure_client
from harness.maildir import body_of, sha256
from harness.messages import DEMANDING_BODIES, big_body, message, new_token
from harness.ports import PATIENCE


def begin(client):
    """Up to the moment when content may be sent."""
    client.expect(250, "MAIL FROM:<a@example.net>")
    client.expect(250, "RCPT TO:<b@example.org>")
    client.expect(354, "DATA")


def test_an_empty_message_is_a_lone_dot(start_gateway, scripted_server):
    server = scripted_server()
    gateway = start_gateway({"address": server.address})
    with secure_client(gateway.port(), "starttls") as client:
        begin(client)
        client.send(b".\r\n")
        client.expect(250)
        client.expect(250, "MAIL FROM:<a@example.net>")
        client.expect(250, "RCPT TO:<b@example.org>")
        client.expect(250, "BDAT 0 LAST")
        client.quit()
    assert server.messages() == [b"", b""]


@pytest.mark.parametrize("mode", ["starttls", "implicit"])
def test_the_server_gets_the_very_octets_of_the_client(start_gateway, scripted_server, mode):
    server = scripted_server()
    gateway = start_gateway({"address": server.address}, mode=mode)
    sent = []
    with secure_client(gateway.port(), mode) as client:
        for body in DEMANDING_BODIES.values():
            client.send_message("a@example.net", ["b@example.org"], message(body))
            client.send_message_by_bdat("a@example.net", ["b@example.org"], message(body), chunk=33_333)
        client.quit()
    for body in DEMANDING_BODIES.values():
        sent += [sha256(dot_stuffed(body)), sha256(body)]
    assert [sha256(body_of(content)) for content in server.messages()] == sent


def test_how_the_client_cuts_its_octets_changes_nothing(start_gateway, scripted_server):
    server = scripted_server()
    gateway = start_gateway({"address": server.address})
    body = DEMANDING_BODIES["dots"] + DEMANDING_BODIES["dots at the edges of reads"][:20_000]
    whole = message(body + b"\r\n", "cut")
    short = whole[: whole.index(b"\r\n", 1500) + 2]
    generator = random.Random(5)
    with secure_client(gateway.port(), "starttls") as client:
        for largest in (1, 2, 3, 7, 100, 5000):
            begin(client)
            wire = dot_stuffed(whole if largest > 1 else short) + b".\r\n"
            while wire:
                length = generator.randint(1, largest)
                client.send(wire[:length])
                wire = wire[length:]
            client.expect(250)
        client.quit()
    expected = [dot_stuffed(short)] + [dot_stuffed(whole)] * 5
    assert [sha256(content) for content in server.messages()] == [sha256(content) for content in expected]


def test_bdat_content_that_looks_like_commands_and_ends(start_gateway, scripted_server):
    server = scripted_server()
    gateway = start_gateway({"address": server.address})
    content = b"a\nb\rc\r\n.\r\nMAIL FROM:<x@example.net>\r\nSTARTTLS\r\n\n.\n\r.\r\0"
    with secure_client(gateway.port(), "starttls") as client:
        client.expect(250, "MAIL FROM:<a@example.net>")
        client.expect(250, "RCPT TO:<b@example.org>")
        client.send(b"BDAT %d\r\n" % len(content) + content)  # all in one segment, the next chunk too
        client.send(b"BDAT 3 LAST\r\n.\r\nNOOP\r\n")
        client.expect(250)
        client.expect(250)
        client.expect(250)
        client.quit()
    assert server.messages() == [content + b".\r\n"]


@pytest.mark.parametrize("by_bdat", [False, True], ids=["DATA", "BDAT"])
def test_64_mib(start_gateway, sink, by_bdat):
    a_big_message(start_gateway, sink, by_bdat, 64 << 20)


@pytest.mark.full
@pytest.mark.parametrize("by_bdat", [False, True], ids=["DATA", "BDAT"])
def test_512_mib(start_gateway, sink, by_bdat):
    a_big_message(start_gateway, sink, by_bdat, 512 << 20)


def a_big_message(start_gateway, sink, by_bdat, size):
    gateway = start_gateway({"address": sink.address}, mode="implicit")
    body = big_body(size)
    token = new_token()
    with secure_client(gateway.port(), "implicit", timeout=300) as client:
        send = client.send_message_by_bdat if by_bdat else client.send_message
        options = {"chunk": 8 << 20} if by_bdat else {}
        send("a@example.net", ["b@example.org"], message(body, token), **options)
        client.quit()
    assert sha256(body_of(sink.maildir.wait_for(token.encode(), timeout=120))) == sha256(body)


def test_10000_recipients(start_gateway, sink):
    gateway = start_gateway({"address": sink.address})
    token = new_token()
    with secure_client(gateway.port(), "starttls") as client:
        client.expect(250, "MAIL FROM:<a@example.net>")
        for start in range(0, 10_000, 500):
            client.send(b"".join(b"RCPT TO:<user%d@example.org>\r\n" % n for n in range(start, start + 500)))
            for _ in range(500):
                client.expect(250)
        client.expect(354, "DATA")
        client.send(message(b"to many\r\n", token) + b".\r\n")
        client.expect(250)
        client.quit()
    assert body_of(sink.maildir.wait_for(token.encode())) == b"to many\r\n"


def test_10000_recipients_reach_the_server_in_order(start_gateway, scripted_server):
    server = scripted_server()
    gateway = start_gateway({"address": server.address}, recipients={"allow_domains": ["example.org"]})
    recipients = [b"RCPT TO:<user%d@example.org>\r\n" % number for number in range(10_000)]
    with secure_client(gateway.port(), "starttls") as client:
        client.expect(250, "MAIL FROM:<a@example.net>")
        for start in range(0, 10_000, 250):
            client.send(b"".join(recipients[start : start + 250]))
            for _ in range(250):
                client.expect(250)
        client.quit()
    assert [command for command in server.commands() if command.startswith(b"RCPT")] == recipients


# What the client sends as content, and what the server must get with `normalize` (both with the end of data).
NORMALIZED = [
    (b"a\nb\r\n.\r\n", b"a\r\nb\r\n.\r\n"),
    (b"a\rb\r\n.\r\n", b"a\r\nb\r\n.\r\n"),
    (b"a\r\r\nb\r\n.\r\n", b"a\r\nb\r\n.\r\n"),
    (b"\n\n\r\n.\r\n", b"\r\n\r\n\r\n.\r\n"),
    (b"a\n.\nb\r\n.\r\n", b"a\r\n..\r\nb\r\n.\r\n"),
    (b"a\n.\r\nb\r\n.\r\n", b"a\r\n..\r\nb\r\n.\r\n"),
    (b"a\r\n.\nb\r\n.\r\n", b"a\r\n..\r\nb\r\n.\r\n"),
    (b"a\r\n.\rb\r\n.\r\n", b"a\r\n..\r\nb\r\n.\r\n"),
    (b"a\r.\rb\r\n.\r\n", b"a\r\n..\r\nb\r\n.\r\n"),
    (b"a\r.\r\nb\r\n.\r\n", b"a\r\n..\r\nb\r\n.\r\n"),
]

# Everything but CRLF.CRLF that some server took for the end of data, with a second message behind it.
SMUGGLED = b"MAIL FROM:<evil@example.net>\r\nRCPT TO:<victim@example.org>\r\nDATA\r\nSubject: smuggled\r\n\r\n"
FALSE_ENDS = [b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r\n.\r", b"\r.\r\n", b"\n.\r", b"\r.\n", b"\r\n\0.\r\n"]


@pytest.mark.parametrize("sent, expected", NORMALIZED)
def test_normalize_bare_newlines(start_gateway, scripted_server, sent, expected):
    server = scripted_server()
    gateway = start_gateway({"address": server.address}, bare_newline="normalize")
    for octetwise in (False, True):
        with secure_client(gateway.port(), "starttls") as client:
            begin(client)
            (client.send_bytewise if octetwise else client.send)(sent)
            client.expect(250)
            client.quit()
    assert server.messages() == [expected.removesuffix(b".\r\n")] * 2


@pytest.mark.parametrize("mode", ["normalize", "pass"])
def test_no_second_message_is_smuggled(start_gateway, scripted_server, mode):
    """The scripted server takes CRLF.CRLF alone for the end, so it must see one message for each that was sent."""
    server = scripted_server()
    gateway = start_gateway({"address": server.address}, bare_newline=mode)
    with secure_client(gateway.port(), "starttls") as client:
        for end in FALSE_ENDS:
            begin(client)
            client.send(b"Subject: x\r\n\r\nbody" + end + SMUGGLED + b"\r\n.\r\n")
            client.expect(250)
        client.quit()
    assert len(server.messages()) == len(FALSE_ENDS)
    assert not any(b"evil" in command for command in server.commands())
    for end, content in zip(FALSE_ENDS, server.messages()):
        assert b"MAIL FROM:<evil" in content, "the smuggled commands are content"
        if mode == "normalize":
            assert b"\n" not in content.replace(b"\r\n", b"") and b"\r" not in content.replace(b"\r\n", b"")
            assert b"\r\n.\r\n" not in content
        else:
            assert b"body" + end + SMUGGLED in content


@pytest.mark.parametrize("end", FALSE_ENDS[:-1] + [b"a\nb", b"a\rb"])
def test_reject_bare_newlines(start_gateway, scripted_server, end):
    server = scripted_server()
    gateway = start_gateway({"address": server.address}, bare_newline="reject")
    with secure_client(gateway.port(), "starttls") as client:
        begin(client)
        client.send(b"Subject: x\r\n\r\nbody" + end + b"more\r\n.\r\n")
        client.expect(521)
        assert client.rest() == b""
    connection = server.connections[0]
    assert connection.finished.wait(PATIENCE), "the server's connection is dropped"
    assert server.messages() == []
    assert b"\r\n.\r\n" not in bytes(connection.received)


def test_a_client_that_goes_away_within_the_content(start_gateway, scripted_server):
    """The server must see the connection end without the end of data, wherever the cut is."""
    server = scripted_server()
    gateway = start_gateway({"address": server.address})
    wire = b"Subject: x\r\n\r\nbody\r\n.\r\n"
    for length in range(0, len(wire)):
        with secure_client(gateway.port(), "starttls") as client:
            begin(client)
            client.send(wire[:length])
            if length % 2:
                client.reset()
    deadline = time.monotonic() + PATIENCE
    for connection in server.connections:
        assert connection.finished.wait(max(0.1, deadline - time.monotonic()))
        assert b"\r\n.\r\n" not in bytes(connection.received)
    assert len(server.connections) == len(wire) and server.messages() == []
