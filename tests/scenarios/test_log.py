"""What is said: every refusal, every doubt and every connection without TLS has its reason in the log."""

import json
import os
import re
import signal
import ssl
import subprocess
import threading
import time

import pytest

from harness.client import Client
from harness.gateway import Gateway, write_configuration
from harness.messages import message
from harness.ports import PATIENCE
from harness.scripted_server import HangUp, Obedient, Remote, reset

FORMATS = ["text", "json"]
MISLEADING = "‮turned\u2028around\u0085"


@pytest.fixture
def start_relaying(postern, folder, gateways):
    """A gateway on the way to a relay at that address, at level may unless said otherwise."""

    def start(address, log=None, **listener):
        settings = {"route": "relay", "relay": {"address": address}, **listener}
        gateway = Gateway(postern, f"{folder}/relaying", outbound={"office": settings}, log=log or {})
        gateways.append(gateway.start())
        return gateway

    return start


def the_line(gateway, pattern="session ended"):
    return gateway.wait_for_log(f"[^\n]*{pattern}[^\n]*\n").group(0)


def last_line(gateway):
    """What is counted at the end."""
    daemon = gateway.daemon
    gateway.stop()
    return re.search("[^\n]* stopped [^\n]*", daemon.output()).group(0)


def plaintext_client(gateway, name):
    client = Client(gateway.port(name))
    client.greeted()
    return client


# --- envelopes


class Choosy(Obedient):
    def on_rcpt(self, connection, line):
        known = b"nobody" not in line
        self.answer(connection, "RCPT", "250 2.1.5 ok\r\n" if known else "550 5.1.1 no such \x1b[1muser\r\n")

    def acknowledge(self, connection, step, content):
        connection.send("250 2.0.0 Ok: queued as 4F00BA7\r\n")


def send_to_some(client):
    client.expect(250, "MAIL FROM:<anne@here.example> BODY=8BITMIME")
    client.expect(250, "RCPT TO:<bob@there.example>")
    client.expect(550, "RCPT TO:<nobody@there.example>")
    client.expect(250, "RCPT TO:<Carol@there.example>")
    client.expect(354, "DATA")
    client.send(b"x\r\n.\r\n")
    client.expect(250)
    client.quit()


def check_envelope(line, form):
    item = (
        "from=<anne@here.example> to=<bob@there.example>,<Carol@there.example> "
        "refused=<nobody@there.example> (550 5.1.1 no such \x1b[1muser) reply=(250 2.0.0 Ok: queued as 4F00BA7)"
    )
    if form == "json":
        assert json.loads(line)["envelope"] == [item]
    else:
        assert f'envelope="{item}"'.replace("\x1b", "\\x1b") in line, line
    assert "\x1b" not in line


@pytest.mark.parametrize("form", FORMATS)
def test_a_sessions_line_names_the_envelope(start_gateway, scripted_server, form):
    server = scripted_server(Choosy())
    gateway = start_gateway({"address": server.address}, top={"log": {"format": form}})
    with plaintext_client(gateway, "mx") as client:
        send_to_some(client)
    check_envelope(the_line(gateway), form)


@pytest.mark.parametrize("form", FORMATS)
def test_outbound_too(start_relaying, scripted_server, form):
    server = scripted_server(Choosy())
    gateway = start_relaying(server.address, log={"format": form})
    with plaintext_client(gateway, "office") as client:
        send_to_some(client)
    check_envelope(the_line(gateway), form)


def test_unless_nobody_wants_it(start_gateway, start_relaying, scripted_server):
    server = scripted_server(Choosy())
    inbound = start_gateway({"address": server.address}, top={"log": {"envelope": False}})
    outbound = start_relaying(server.address, log={"envelope": False})
    for gateway, name in ((inbound, "mx"), (outbound, "office")):
        with plaintext_client(gateway, name) as client:
            send_to_some(client)
        line = the_line(gateway)
        assert "messages=1" in line
        assert not re.search("anne|bob|nobody|4F00BA7", line)


# --- refusals


@pytest.mark.parametrize("form", FORMATS)
def test_a_sessions_line_names_what_was_refused(start_gateway, scripted_server, form):
    server = scripted_server(Obedient(keywords=["AUTH PLAIN"]))
    gateway = start_gateway({"address": server.address}, top={"log": {"format": form}})
    with Client(gateway.port()) as client:
        client.greeted()
        client.starttls()
        client.expect(503, "AUTH PLAIN AGEAYg==")
        client.quit()
    line = the_line(gateway)
    refused = "AUTH: 503 5.5.1 EHLO or HELO comes first [ehlo_first]"
    assert (json.loads(line)["refused"] == [refused]) if form == "json" else (f'refused="{refused}"' in line)
    assert "AGEAYg" not in gateway.log()


def test_what_is_refused_again_and_again_is_counted(start_gateway, scripted_server):
    gateway = start_gateway({"address": scripted_server().address})
    with Client(gateway.port()) as client:
        client.greeted()
        for _ in range(5):
            client.expect(550, "XCLIENT ADDR=192.0.2.1")
        client.expect(502, "c2VjcmV0 cGFzc3dvcmQ=")
        client.quit()
    line = the_line(gateway)
    assert "XCLIENT: 550 5.7.0 This command is not for clients [xclient_forbidden] (5 times)" in line
    assert "an unknown command: 502" in line and "c2VjcmV0" not in line


def test_a_recipient_that_the_guard_refuses(start_gateway, scripted_server):
    gateway = start_gateway({"address": scripted_server().address}, recipients={"allow_domains": ["ours.example"]})
    with Client(gateway.port()) as client:
        client.greeted()
        client.expect(250, "MAIL FROM:<anne@here.example>")
        client.expect(550, "RCPT TO:<bob@theirs.example>")
        client.quit()
    line = the_line(gateway)
    assert "from=<anne@here.example> refused=<bob@theirs.example> (550 5.7.1 Relaying denied)" in line
    assert 'refused="RCPT: 550 5.7.1 Relaying denied [relay_denied]"' in line


# --- doubt


def hang_up(connection, name):
    if name == ".?":
        raise HangUp


def end_by_reset(connection, name):
    if name == ".?":
        reset(connection)


UNREADABLE = {
    "a letter for a digit": {"replies": {".": "25O stored\r\n"}},
    "the reply of another command": {"replies": {".": "354 go on\r\n"}},
    "it hangs up": {"at_step": hang_up},
    "it resets": {"at_step": end_by_reset},
}


def check_doubt(gateway):
    warning = the_line(gateway, "a message is possibly delivered twice")
    assert " warning " in warning and "from=<anne@here.example>" in warning and "to=<bob@there.example>" in warning
    assert re.search('reason="?[^" ]', warning), warning
    assert "possibly_delivered_twice=1" in the_line(gateway)
    assert "messages_possibly_delivered_twice=1" in last_line(gateway)


def to_the_final_dot(client):
    client.expect(250, "MAIL FROM:<anne@here.example>")
    client.expect(250, "RCPT TO:<bob@there.example>")
    client.expect(354, "DATA")
    client.send(b"x\r\n.\r\n")


@pytest.mark.parametrize("case", UNREADABLE)
def test_a_message_whose_reply_nobody_could_read_is_named(start_gateway, scripted_server, case):
    gateway = start_gateway({"address": scripted_server(Obedient(**UNREADABLE[case])).address})
    with plaintext_client(gateway, "mx") as client:
        to_the_final_dot(client)
        client.expect(421)
    check_doubt(gateway)


@pytest.mark.parametrize("case", UNREADABLE)
def test_outbound_as_well(start_relaying, scripted_server, case):
    gateway = start_relaying(scripted_server(Obedient(**UNREADABLE[case])).address)
    with plaintext_client(gateway, "office") as client:
        to_the_final_dot(client)
        client.expect(451)
        client.quit()
    check_doubt(gateway)


def test_a_client_that_is_gone_before_the_reply_will_come_again(start_gateway, scripted_server):
    may_answer = threading.Event()

    def wait(connection, name):
        if name == ".?":
            assert may_answer.wait(PATIENCE)

    gateway = start_gateway({"address": scripted_server(Obedient(at_step=wait)).address})
    client = plaintext_client(gateway, "mx")
    to_the_final_dot(client)
    client.reset()
    time.sleep(1)  # the reset is there first
    may_answer.set()
    assert "the client was gone" in the_line(gateway, "a message is possibly delivered twice")
    line = the_line(gateway)
    assert "messages=1 possibly_delivered_twice=1" in line and "reply=(250 " in line


def test_a_reply_that_is_not_waited_for(start_gateway, scripted_server):
    """SIGTERM twice ends everything at once."""
    asked = threading.Event()
    server = scripted_server(Obedient(at_step=lambda connection, name: name == ".?" and asked.set() or None))
    server.script.acknowledge = lambda connection, step, content: (asked.set(), connection.more())
    gateway = start_gateway({"address": server.address})
    with plaintext_client(gateway, "mx") as client:
        to_the_final_dot(client)
        assert asked.wait(PATIENCE)
        os.kill(gateway.pid, signal.SIGTERM)
        gateway.wait_for_log("draining")
        daemon = gateway.daemon
        gateway.stop()
    assert "stopped at once" in re.search("[^\n]*a message is possibly delivered twice[^\n]*", daemon.output()).group(0)


# --- plaintext

# What the server does, the reason, and what its sentence holds.
WITHOUT_TLS = [
    ({"offer": "XXXXXXXA"}, "starttls_not_offered", ""),
    ({"replies": {"STARTTLS": "454 4.7.0 not now\r\n"}}, "starttls_refused", "STARTTLS was refused: 454 4.7.0 not now"),
    ({"replies": {"STARTTLS": "354 go ahead\r\n"}}, "starttls_misanswered", "STARTTLS was answered by 354 go ahead"),
    ({"replies": {"STARTTLS": "what?\r\n"}}, "starttls_misanswered", "no reply to STARTTLS: "),
    ({"behind_220": "250 2.0.0 injected\r\n"}, "starttls_injected", "somebody is interfering"),
    ({"dies_at": "STARTTLS?"}, "starttls_closed", "no reply to STARTTLS: "),
    ({"dies_at": "HELLO?"}, "starttls_closed", "TLS handshake"),
    # What comes first, the end or the reset that our EHLO earns, is the kernel's to say.
    ({"dies_at": "HANDSHAKE!"}, "starttls_closed", "no reply to EHLO: |connection reset by peer"),
    ({"in_place_of_tls": "\x15\x03\x03\x00\x02\x02\x28"}, "handshake_failed", "the peer refused: handshake failure"),
    ({"in_place_of_tls": "454 4.7.0 no\r\n"}, "handshake_failed", "does not speak TLS"),
]


def send_one(gateway):
    with plaintext_client(gateway, "office") as client:
        client.send_message("anne@here.example", ["bob@there.example"], message())
        client.quit()


@pytest.mark.parametrize("options, reason, detail", WITHOUT_TLS)
def test_a_connection_in_plaintext_says_why(start_relaying, scripted_server, certificates, options, reason, detail):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.ecdsa.chain, certificates.ecdsa.key)
    server = scripted_server(Remote(context, **options))
    gateway = start_relaying(server.address)
    send_one(gateway)
    assert len(server.messages()) == 1
    for line in (the_line(gateway), the_line(gateway, "policy decision")):
        assert f" plaintext={reason}" in line, line
        assert any(each in line for each in detail.split("|")) and line.lower().count("handshake failed") <= 1, line
    assert " server_tls=none " in the_line(gateway)
    assert f"plaintext={reason}:1" in last_line(gateway)


def test_a_connection_in_tls_has_no_such_reason(start_relaying, scripted_server, certificates):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.ecdsa.chain, certificates.ecdsa.key)
    gateway = start_relaying(scripted_server(Remote(context)).address)
    send_one(gateway)
    line = the_line(gateway)
    assert " server_tls=TLSv1.3 " in line and "plaintext" not in line


@pytest.mark.parametrize("as_json", [False, True])
def test_probe_names_a_failed_handshake_once(postern, scripted_server, certificates, as_json):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.rsa.chain, certificates.rsa.key)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("DHE-RSA-AES128-GCM-SHA256")

    class WithoutEllipticCurves(Remote):
        def on_starttls(self, connection, line):
            try:
                super().on_starttls(connection, line)
            except ssl.SSLError:
                raise HangUp from None

    server = scripted_server(WithoutEllipticCurves(context))
    argv = [postern, "probe", server.address] + (["--json"] if as_json else [])
    text = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False).stdout
    assert "TLS handshake failed: " in text
    assert not [line for line in text.splitlines() if "TLS handshake failed: TLS handshake failed" in line], text


# --- lines


@pytest.mark.parametrize("form", FORMATS)
def test_what_turns_a_line_around_is_escaped(start_relaying, scripted_server, form):
    server = scripted_server(Obedient(replies={"GREETING": f"550 5.7.1 {MISLEADING}\r\n"}))
    gateway = start_relaying(server.address, log={"format": form})
    with Client(gateway.port("office")) as client:
        assert client.reply().code // 100 in (4, 5)
    the_line(gateway)
    log = gateway.log()
    assert not set(MISLEADING) & set(log) - set("turnedao")
    assert "\\u202e" in log if form == "json" else "\\xe2\\x80\\xae" in log


def test_with_format_json_every_line_is_json(start_gateway, scripted_server, certificates):
    top = {
        "log": {"format": "json"},
        "certificates": {"mx": [certificates.ecdsa.as_setting()], "old": [certificates.expired.as_setting()]},
    }
    gateway = start_gateway({"address": scripted_server().address}, top=top, certificates=["mx", "old"])
    with plaintext_client(gateway, "mx") as client:
        client.quit()
    the_line(gateway)
    daemon = gateway.daemon
    gateway.stop()
    lines = [json.loads(line) for line in daemon.output().splitlines()]
    assert all({"time", "level", "message"} <= set(line) for line in lines)
    warnings = [line for line in lines if line["message"] == "configuration"]
    assert all(line["level"] == "warning" for line in warnings)
    expired = [line for line in warnings if "expired" in line["reason"]]
    assert len(expired) == 1 and isinstance(expired[0]["line"], int), warnings  # others may have no place in the file


def test_errors_of_the_configuration_are_json_too(postern, folder):
    path = write_configuration(f"{folder}/bad.yaml", {"log": {"format": "json"}, "workers": "many", "inbund": {}})
    ended = subprocess.run([postern, "run", "--config", path], capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 1
    lines = [json.loads(line) for line in ended.stderr.splitlines()]
    assert len(lines) >= 2 and all(line["level"] == "error" and line["file"] == path for line in lines)
