"""Servers and clients that are a little odd, as real ones are, in both directions."""

import contextlib
import os
import signal
import ssl
import sys
import time

import pytest

from harness.client import Client
from harness.gateway import Gateway
from harness.messages import message
from harness.ports import PATIENCE, wait_until
from harness.scripted_server import HangUp, Obedient, Remote, reset

CLIENT_HELLO = bytes.fromhex("16030100c8010000c40303") + bytes(192)
LEAVING = ["close", "reset", "221 2.0.0 enough\r\n", "421-4.4.2 idle\r\n421 4.4.2 bye\r\n", "250 unasked\r\n", "what?\r\n"]


@pytest.fixture
def relay_through(postern, folder, gateways):
    """relay_through(server, **listener settings): a gateway in front of that relay, at level may."""

    def start(server, **listener):
        outbound = {
            "route": "relay", "relay": {"address": server.address, "mode": "starttls"},
            "dane": False, "mta_sts": False, **listener,
        }  # fmt: skip
        gateway = Gateway(postern, f"{folder}/relay{len(gateways)}", outbound={"mx": outbound})
        gateways.append(gateway)
        return gateway.start()

    return start


@pytest.fixture(params=["inbound", "outbound"])
def in_front_of(request):
    """in_front_of(server): a gateway of either direction; its clients speak plaintext."""
    if request.param == "outbound":
        return request.getfixturevalue("relay_through")
    start_gateway = request.getfixturevalue("start_gateway")
    return lambda server, **settings: start_gateway({"address": server.address}, **{"mode": "none", **settings})


def leave(connection, how):
    if how == "reset":
        reset(connection)
    if how != "close":
        connection.send(how)
        with contextlib.suppress(Exception):  # it may be hung up on first
            connection.more()
    raise HangUp


def server_context(pair):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.chain, pair.key)
    return context


class LeavesBehindMessage(Obedient):
    """Stores a message, says so, and leaves."""

    def __init__(self, how):
        super().__init__(at_step=self._leave_behind_it)
        self.how = how

    def _leave_behind_it(self, connection, name):
        if name == ".!":
            leave(connection, self.how)


# --- replies


@pytest.mark.parametrize("ending", ["", "250-second\r\n", "250 sec", "550 no\r\n"])
def test_the_beginning_of_a_reply_is_no_reply(in_front_of, scripted_server, ending):
    def torn(connection, name):
        if name == ".?":
            connection.send("250-first\r\n" + ending)
            raise HangUp

    gateway = in_front_of(scripted_server(Obedient(at_step=torn)))
    with Client(gateway.port()) as client:
        client.greeted()
        client.expect(250, "MAIL FROM:<a@example.net>")
        client.expect(250, "RCPT TO:<b@example.org>")
        client.expect(354, "DATA")
        client.send(message() + b".\r\n")
        assert client.reply().code in (421, 451)
    gateway.wait_for_log("it may be delivered twice")


@pytest.mark.parametrize("how", LEAVING)
@pytest.mark.parametrize("command, code", [("QUIT", 221), ("NOOP", 421), ("MAIL FROM:<c@example.net>", 421)])
def test_a_server_that_leaves_behind_its_last_250(in_front_of, scripted_server, how, command, code):
    server = scripted_server(LeavesBehindMessage(how))
    gateway = in_front_of(server)
    with Client(gateway.port()) as client:
        client.greeted()
        client.send_message("a@example.net", ["b@example.org"], message())
        if how in ("close", "reset"):
            server.connections[-1].finished.wait(PATIENCE)
        client.socket.settimeout(0.2)
        with pytest.raises(TimeoutError):
            client.reply()
        client.socket.settimeout(PATIENCE)
        client.expect(code, command)
        assert client.rest() == b""
    gateway.wait_for_log(r"session ended.* messages=1 .*ended=" + ("quit" if code == 221 else "(backend|server)_"))


def test_a_server_that_has_left_holds_up_no_stop(in_front_of, scripted_server):
    server = scripted_server(LeavesBehindMessage("close"))
    gateway = in_front_of(server)
    with Client(gateway.port()) as client:
        client.greeted()
        client.send_message("a@example.net", ["b@example.org"], message())
        os.kill(gateway.pid, signal.SIGTERM)
        assert client.reply().code == 421
    gateway.daemon.process.wait(PATIENCE)
    gateway.daemon = None


def with_odd_ends(connection, script):
    """Lets `script` talk with an empty line behind every reply, each line ended by CR CR LF."""
    plainly = connection.send
    connection.send = lambda text: plainly(text.replace("\r\n", "\r\r\n") + "\r\n")
    return script(connection)


@pytest.mark.parametrize("keywords", [["SIZE 1000000", "8BITMIME"], ["PIPELINING", "SIZE 1000000"]])
def test_empty_lines_of_servers_are_passed_over(in_front_of, scripted_server, keywords):
    script = Obedient(keywords=keywords)
    server = scripted_server(lambda connection: with_odd_ends(connection, script))
    gateway = in_front_of(server)
    with Client(gateway.port()) as client:
        assert "SIZE" in client.greeted().keywords()
        client.send_message("a@example.net", ["b@example.org"], message())
        client.quit()
    assert len(server.messages()) == 1
    gateway.wait_for_log(r"blank_reply_lines=\d")


def test_an_empty_line_behind_the_220_to_starttls_is_an_injection(relay_through, scripted_server, certificates):
    server = scripted_server(Remote(server_context(certificates.ecdsa), behind_220="\r\n"))
    gateway = relay_through(server, level="encrypt")
    with Client(gateway.port()) as client:
        client.expect(220)
        client.command("EHLO client.example")
        client.command("MAIL FROM:<a@example.net>")
        assert client.command("RCPT TO:<b@example.org>").code == 451
    assert not server.messages()


@pytest.mark.parametrize("reply", ["what?\r\n", "354 go\r\n", "\r\n" * 20])
def test_a_server_that_answers_ehlo_with_nonsense(start_gateway, scripted_server, reply):
    gateway = start_gateway({"address": scripted_server(Obedient(replies={"EHLO": reply})).address})
    with Client(gateway.port()) as client:
        client.expect(220)
        client.expect(421, "EHLO client.example")
    gateway.wait_for_log(r"ended=backend_protocol reason=.*(what\?|354 go|empty lines)")


# --- one EHLO on a connection


class OneEhloOnly(Obedient):
    """As OpenSMTPD: EHLO or HELO is said once. After STARTTLS, too, if it offers that."""

    def __init__(self, refusal, **options):
        super().__init__(**options)
        self.refusal = refusal

    def on_ehlo(self, connection, line):
        if getattr(connection, "introduced", False):
            return connection.send(self.refusal)
        connection.introduced = True
        return super().on_ehlo(connection, line)

    on_helo = on_ehlo


REFUSALS = [
    "503 5.5.1 Invalid command: Already identified\r\n", "503-no\r\n503 twice\r\n", "501 no\r\n", "502 no\r\n", "504 no\r\n",
]  # fmt: skip


@pytest.mark.parametrize("refusal", REFUSALS)
def test_a_server_that_takes_one_ehlo(start_gateway, scripted_server, refusal):
    server = scripted_server(OneEhloOnly(refusal, keywords=["PIPELINING", "8BITMIME", "SIZE 1000000", "AUTH PLAIN"]))
    gateway = start_gateway({"address": server.address})
    with Client(gateway.port()) as client:
        client.greeted()
        client.starttls()
        for _ in range(2):
            offered = client.expect(250, "EHLO client.example").keywords()
            assert {"8BITMIME", "SIZE", "AUTH", "PIPELINING"} <= set(offered)
        client.send_message("a@example.net", ["b@example.org"], message())
        client.quit()
    assert len(server.messages()) == 1
    assert len(server.connections) == 3
    assert not [command for command in server.commands() if command.startswith(b"HELO")]


def test_a_remote_server_that_takes_one_ehlo(relay_through, scripted_server, certificates):
    class OneEhloInAll(Remote):
        def on_ehlo(self, connection, line):
            if connection.in_tls:
                return connection.send("503 5.5.1 Already identified\r\n")
            return super().on_ehlo(connection, line)

    server = scripted_server(OneEhloInAll(server_context(certificates.ecdsa)))
    gateway = relay_through(server)
    with Client(gateway.port()) as client:
        assert "SIZE" in client.greeted().keywords()
        client.send_message("a@example.net", ["b@example.org"], message())
        client.quit()
    assert len(server.messages()) == 1 and b"MAIL" not in server.plain()
    assert len(server.connections) == 1


# --- first octets of clients


@pytest.mark.parametrize("octets", [CLIENT_HELLO, CLIENT_HELLO[:1], b"\x80\x2e\1\0\2", b"\0", b"\xc3\x84\r\n"])
@pytest.mark.parametrize("when", ["first", "after the greeting", "after EHLO"])
def test_tls_in_place_of_a_command(in_front_of, scripted_server, octets, when):
    gateway = in_front_of(scripted_server())
    with Client(gateway.port(), timeout=30) as client:
        if when == "after EHLO":
            client.greeted()
        elif when == "after the greeting":
            client.expect(220)
        client.send(octets)
        assert client.rest().splitlines()[-1].startswith(b"500 ")
    gateway.wait_for_log("ended=client_spoke_tls reason=.*TLS")


def test_tls_while_the_server_is_slow_to_greet(start_gateway, scripted_server):
    gateway = start_gateway({"address": scripted_server(lambda connection: connection.more()).address})
    with Client(gateway.port(), timeout=30) as client:
        client.send(CLIENT_HELLO)
        assert client.rest().startswith(b"500 ")


@pytest.mark.parametrize("first", [b"\r\n", b"P", b"PR", b"PROXY\r\n", b"\r\n\r\n"])
def test_what_could_begin_a_proxy_header_is_a_command(start_gateway, scripted_server, first):
    gateway = start_gateway({"address": scripted_server().address})
    with Client(gateway.port()) as client:
        client.expect(220)
        client.send(first)
        time.sleep(0.05)
        if not first.endswith(b"\n"):
            client.send(b"\r\n")
        for _ in range(max(1, first.count(b"\n"))):
            assert client.reply().code in (500, 502)
        client.expect(250, "EHLO client.example")


@pytest.mark.parametrize("header", [b"PROXY TCP4 192.0.2.7 192.0.2.1 4321 25\r\n", b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + bytes(12)])
def test_a_proxy_header_is_one_however_it_is_cut(start_gateway, scripted_server, header):
    gateway = start_gateway({"address": scripted_server().address})
    with Client(gateway.port()) as client:
        with contextlib.suppress(OSError):
            client.send_bytewise(header, pause=0.005)
        assert b"250" not in client.rest()
    gateway.wait_for_log("ended=proxy_protocol reason=.*accept_proxy_protocol_from")


@pytest.mark.parametrize("sent, reason", [(b"", "no PROXY header came"), (b"PROXY TCP4", "was not whole")])
def test_a_proxy_header_that_does_not_come(start_gateway, scripted_server, sent, reason):
    gateway = start_gateway(
        {"address": scripted_server().address}, accept_proxy_protocol_from=["127.0.0.0/8"], handshake_timeout="1s"
    )
    with Client(gateway.port()) as client:
        client.send(sent)
        assert client.rest() == b""
    gateway.wait_for_log(f"ended=proxy_protocol reason=.*{reason}.* within 1s")


@pytest.mark.parametrize("settings", [{}, {"accept_proxy_protocol_from": ["127.0.0.0/8"]}], ids=["plain", "proxied"])
def test_a_probe_that_resets_at_once_has_an_address(start_gateway, scripted_server, settings):
    gateway = start_gateway({"address": scripted_server().address}, **settings)
    for _ in range(30):
        Client(gateway.port(), source="127.0.0.9").reset()
    wait_until(lambda: gateway.log().count("session ended") >= 30, "all are logged")
    log = gateway.log()
    assert log.count("client=127.0.0.9:") == log.count("session ended")


# --- programs

UNTIL_THE_END = """
import signal, sys, time
def note(what):
    with open(sys.argv[1], "a") as file:
        file.write(what + "\\n")
signal.signal(signal.SIGTERM, lambda *_: (note("SIGTERM"), sys.exit(0)))
print("220 program", end="\\r\\n", flush=True)
for line in sys.stdin:
    reply = "354 go" if line.startswith("DATA") else None if line.strip() == "x" else "250 ok"
    if reply:
        print(reply, end="\\r\\n", flush=True)
note("end")
time.sleep(0.3)
note("done")
"""


@pytest.mark.parametrize("leave_by", ["close", "reset"])
def test_a_program_whose_client_has_gone_sees_the_end_of_its_input(start_gateway, folder, leave_by):
    with open(f"{folder}/program.py", "w", encoding="utf-8") as file:
        file.write(UNTIL_THE_END)
    notes = f"{folder}/notes"
    gateway = start_gateway({"exec": [sys.executable, f"{folder}/program.py", notes]}, mode="none")
    with Client(gateway.port()) as client:
        client.greeted()
        client.send_message("a@example.net", ["b@example.org"], b"x\r\n")
        getattr(client, leave_by)()
    wait_until(lambda: os.path.exists(notes) and "done" in open(notes, encoding="utf-8").read(), "the program is done")
    assert open(notes, encoding="utf-8").read().split() == ["end", "done"]
