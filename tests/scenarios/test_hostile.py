"""Clients and servers that try to get the two sides out of step, or something into the log."""

import time

import pytest

from harness.client import Client, Closed, secure_client
from harness.messages import message
from harness.ports import PATIENCE
from harness.scripted_server import HangUp, Obedient, PeerClosed


def codes_until_closed(client):
    """The codes of all replies until the gateway hangs up."""
    codes = []
    try:
        while True:
            codes.append(client.reply().code)
    except (Closed, OSError):
        return codes


@pytest.mark.parametrize("extra", ["250 2.0.0 one too many\r\n", "250 a\r\n250 b\r\n250 c\r\n", "354 go\r\n"])
@pytest.mark.parametrize("verb", ["NOOP", "MAIL", "RCPT", "RSET"])
def test_a_reply_too_many_never_accepts_a_message(start_gateway, scripted_server, verb, extra):
    """The server never answers the end of data; a surplus reply to an earlier command must not do that for it."""

    def at_step(connection, name):
        if name == verb + "!":
            connection.send(extra)
        if name == ".?":
            raise HangUp

    server = scripted_server(Obedient(at_step=at_step))
    gateway = start_gateway({"address": server.address})
    content = b"Subject: x\r\n\r\nbody\r\n.\r\n"
    for pipelined in (False, True):
        with Client(gateway.port()) as client:
            client.greeted()
            steps = [b"NOOP\r\n", b"RSET\r\n", b"MAIL FROM:<a@example.net>\r\n", b"RCPT TO:<b@example.org>\r\n", b"DATA\r\n"]
            successes = 0
            try:
                if pipelined:
                    client.send(b"".join(steps))
                else:
                    for step in steps:
                        client.send(step)
                        client.reply()
                        time.sleep(0.02)
                client.send(content)
            except (Closed, OSError):
                continue
            codes = codes_until_closed(client)
            # Pipelined: five replies belong to the commands (354 among them); what follows is about the message.
            successes = codes[5:] if pipelined else codes
            assert 250 not in successes, codes
    assert server.messages() == []


def test_content_does_not_overtake_the_354(start_gateway, scripted_server):
    class Watching(Obedient):
        early = b""

        def on_data(self, connection, line):
            time.sleep(0.2)
            connection.socket.setblocking(False)
            try:
                connection.more()
            except PeerClosed:
                pass
            connection.socket.setblocking(True)
            self.early += connection.waiting()
            super().on_data(connection, line)

    script = Watching()
    gateway = start_gateway({"address": scripted_server(script).address})
    with secure_client(gateway.port(), "starttls") as client:
        client.send(
            b"MAIL FROM:<a@example.net>\r\nRCPT TO:<b@example.org>\r\nDATA\r\nSubject: early\r\n\r\nbody\r\n.\r\nQUIT\r\n"
        )
        assert codes_until_closed(client) == [250, 250, 354, 250, 221]
    assert script.early == b""


def test_data_refused_with_content_already_sent(start_gateway, scripted_server):
    """The content then is a row of commands, as for every server; but none of it is a message."""
    server = scripted_server(Obedient(replies={"DATA": "554 5.5.1 no valid recipients\r\n"}))
    gateway = start_gateway({"address": server.address})
    with secure_client(gateway.port(), "starttls") as client:
        client.send(b"MAIL FROM:<a@example.net>\r\nDATA\r\nSubject: x\r\n.\r\nQUIT\r\n")
        codes = codes_until_closed(client)
    assert codes[:2] == [250, 554] and codes[-1] == 221
    assert all(code >= 500 for code in codes[2:-1]) and server.messages() == []


@pytest.mark.parametrize(
    "command",
    ["BDAT", "BDAT x", "BDAT -1", "BDAT 0x10", "BDAT 1e3", "BDAT 5 FIRST", "BDAT 5 LAST junk",
     "BDAT 18446744073709551616 LAST", "BDAT 99999999999999999999999999 LAST", "BDAT +5", "BDAT  "],
)  # fmt: skip
def test_bdat_whose_size_cannot_be_known_ends_the_session(start_gateway, scripted_server, command):
    server = scripted_server()
    gateway = start_gateway({"address": server.address})
    with secure_client(gateway.port(), "starttls") as client:
        client.expect(250, "MAIL FROM:<a@example.net>")
        client.expect(250, "RCPT TO:<b@example.org>")
        client.send(command.encode() + b"\r\nMAIL FROM:<injected@example.net>\r\n")
        codes = codes_until_closed(client)
    assert codes[0] == 501 and 250 not in codes
    assert b"injected" not in server.received() and b"BDAT" not in server.received()


def test_bdat_refused_by_the_server_stays_in_step(start_gateway, scripted_server):
    """A refused chunk is taken all the same: what follows it is the next command."""

    class Refusing(Obedient):
        def on_bdat(self, connection, line):
            connection.exactly(int(line.split()[1]))
            self.answer(connection, "BDAT", "552 5.2.2 full\r\n")

    server = scripted_server(Refusing())
    gateway = start_gateway({"address": server.address})
    with secure_client(gateway.port(), "starttls") as client:
        client.expect(250, "MAIL FROM:<a@example.net>")
        client.expect(250, "RCPT TO:<b@example.org>")
        client.send(b"BDAT 6\r\nNOOP\r\nBDAT 6 LAST\r\nNOOP\r\nRSET\r\nQUIT\r\n")
        assert codes_until_closed(client) == [552, 552, 250, 221]
    assert b"".join(server.commands()).count(b"NOOP") == 0


def test_a_client_that_goes_away_within_a_chunk(start_gateway, scripted_server):
    server = scripted_server()
    gateway = start_gateway({"address": server.address})
    with secure_client(gateway.port(), "starttls") as client:
        client.expect(250, "MAIL FROM:<a@example.net>")
        client.expect(250, "RCPT TO:<b@example.org>")
        client.send(b"BDAT 1000 LAST\r\n" + b"x" * 900)
    assert server.connections[0].finished.wait(PATIENCE)
    assert server.messages() == []


def test_an_endless_reply_to_ehlo(start_gateway, scripted_server):
    """Lines without end: the gateway hangs up on such a server in time, and does not collect them all."""

    def script(connection):
        connection.send("220 hello\r\n")
        connection.line()
        for _ in range(200_000):
            connection.send("250-X-" + "y" * 400 + "\r\n")
        connection.more()

    gateway = start_gateway({"address": scripted_server(script).address})
    with Client(gateway.port()) as client:
        client.expect(220)
        assert client.command("EHLO client.example").code == 421


def test_a_multi_line_reply_without_end(start_gateway, scripted_server):
    class Endless(Obedient):
        def on_noop(self, connection, line):
            for _ in range(100_000):
                connection.send("250-still going on\r\n" * 10)

    gateway = start_gateway({"address": scripted_server(Endless()).address})
    with Client(gateway.port()) as client:
        client.greeted()
        client.send(b"NOOP\r\n")
        client.socket.settimeout(2)
        try:
            client.rest()
        except TimeoutError:
            pass
    with Client(gateway.port()) as client:
        client.greeted()


def test_a_server_that_says_421_by_itself(start_gateway, scripted_server):
    """As a server does that is stopped: its client learns it with its next command."""

    def at_step(connection, name):
        if name == "MAIL!":
            connection.send("421 4.3.2 stopping\r\n")
            raise HangUp

    gateway = start_gateway({"address": scripted_server(Obedient(at_step=at_step)).address})
    with secure_client(gateway.port(), "starttls") as client:
        client.expect(250, "MAIL FROM:<a@example.net>")
        client.send(b"RCPT TO:<b@example.org>\r\n")
        assert codes_until_closed(client) == [421]


def test_nothing_of_the_network_gets_into_the_log_unescaped(start_gateway, scripted_server):
    server = scripted_server()
    gateway = start_gateway({"address": server.address}, top={"log": {"level": "debug"}})
    nasty = b"a\x1b[31m\x07\x9b0mb ended=quit\tclient=1.2.3.4"
    with secure_client(gateway.port(), "starttls") as client:
        client.command(b"EHLO " + nasty)
        client.command(b"HELO " + nasty)
        client.command(b"MAIL FROM:<" + nasty + b"@example.net>")
        client.command(nasty)
        client.send(b"QUIT\r\n")
        client.rest()
    gateway.wait_for_log("session ended")
    gateway.stop()
    with open(f"{gateway.folder}/gateway.1.log", "rb") as log:
        text = log.read()
    assert not any(octet < 0x20 and octet != 0x0A for octet in text) and b"\x9b" not in text and b"\x7f" not in text


def test_a_null_sender_and_odd_but_lawful_addresses(start_gateway, scripted_server):
    server = scripted_server()
    gateway = start_gateway({"address": server.address})
    commands = [
        b"MAIL FROM:<>",
        b"RCPT TO:<b@example.org> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;b@example.org",
        b'RCPT TO:<"odd \\" local"@example.org>',
        "RCPT TO:<straße@bücher.example>".encode(),
        b"RCPT TO:<postmaster>",
        b"rcpt TO:<c+d@example.org>",
    ]
    with secure_client(gateway.port(), "starttls") as client:
        for command in commands:
            client.expect(250, command)
    assert [line.removesuffix(b"\r\n") for line in server.commands()][-len(commands) :] == commands


def test_ehlo_within_a_transaction_ends_it(start_gateway, postfix):
    gateway = start_gateway({"address": f"127.0.0.1:{postfix.plain}"})
    with secure_client(gateway.port(), "starttls") as client:
        client.expect(250, "MAIL FROM:<a@example.net>")
        client.expect(250, "EHLO again.example")
        client.expect(503, "RCPT TO:<b@example.org>")


def test_a_message_for_nobody(start_gateway, scripted_server):
    """All recipients refused by the relay guard, DATA pipelined: no message comes into being."""
    server = scripted_server()
    gateway = start_gateway({"address": server.address}, recipients={"allow_domains": ["example.org"]})
    with secure_client(gateway.port(), "starttls") as client:
        client.send(b"MAIL FROM:<a@example.net>\r\nRCPT TO:<b@elsewhere.example>\r\nDATA\r\n")
        codes = [client.reply().code for _ in range(3)]
        assert codes[:2] == [250, 550]
        if codes[2] == 354:
            client.send(message() + b".\r\n")
            client.reply()
    assert not any(b"elsewhere" in line for line in server.commands())
