"""Nothing of the plaintext phase survives STARTTLS: asserted on the octets that the server saw."""

import contextlib
import ssl
import time

import pytest

from harness.client import Client, Closed, tls_context
from harness.messages import message

INJECTED = b"MAIL FROM:<injected@example.net>\r\nRCPT TO:<injected@example.org>\r\nDATA\r\ninjected\r\n.\r\n"


def assert_never_reached(server, *octets):
    received = server.received()
    for forbidden in octets:
        assert forbidden.lower() not in received.lower(), received


def secure_transaction(client):
    client.expect(250, "EHLO after.example")
    client.send_message("after@example.net", ["b@example.org"], message(b"after\r\n"))
    client.quit()


def after_starttls(server):
    """What the server was told after the plaintext phase: from the EHLO inside TLS on."""
    return server.received().partition(b"after.example")[2]


def test_ehlo_name_and_transaction_begin_anew(start_gateway, scripted_server):
    server = scripted_server()
    gateway = start_gateway({"address": server.address})
    with Client(gateway.port()) as client:
        client.greeted("before.example")
        client.expect(250, "MAIL FROM:<before@example.net>")
        client.expect(250, "RCPT TO:<before@example.org>")
        client.starttls()
        client.expect(503, "MAIL FROM:<early@example.net>")  # EHLO comes first
        client.expect(250, "EHLO after.example")
        assert client.command("RCPT TO:<stray@example.org>").code in (250, 503)
        client.expect(250, "RSET")
        client.send_message("after@example.net", ["b@example.org"], message(b"after\r\n"))
        client.quit()
    assert_never_reached(server, b"early@example.net", b"STARTTLS")
    secure = after_starttls(server)
    assert b"before" not in secure and b"after@example.net" in secure
    # The transaction begun before TLS must have been dropped before the next begins.
    between = server.received().partition(b"before@example.org")[2].partition(b"after@example.net")[0]
    assert b"RSET" in between or b"EHLO" in between
    assert len(server.messages()) == 1


def test_the_server_forgets_a_transaction_begun_before_tls(start_gateway, postfix):
    """With a real server: RCPT inside TLS, without MAIL, must not continue what began in plaintext."""
    gateway = start_gateway({"address": f"127.0.0.1:{postfix.plain}"})
    with Client(gateway.port()) as client:
        client.greeted("before.example")
        client.expect(250, "MAIL FROM:<before@example.net>")
        client.starttls()
        client.expect(250, "EHLO after.example")
        client.expect(503, "RCPT TO:<b@example.org>")
        client.expect(250, "MAIL FROM:<after@example.net>")
        client.expect(250, "RCPT TO:<b@example.org>")
        client.quit()


def test_auth_begun_in_plaintext_is_forgotten(start_gateway, scripted_server):
    server = scripted_server()
    server.script.keywords.append("AUTH PLAIN")
    gateway = start_gateway({"address": server.address}, recipients={"allow_domains": ["example.org"]},
                            auth_requires_tls=False)  # fmt: skip
    with Client(gateway.port()) as client:
        client.greeted("before.example")
        client.expect(235, "AUTH PLAIN AGEAYg==")
        client.expect(250, "MAIL FROM:<a@example.net>")
        client.expect(250, "RCPT TO:<x@elsewhere.example>")  # who authenticated may relay
        client.starttls()
        client.expect(250, "EHLO after.example")
        client.expect(250, "MAIL FROM:<a@example.net>")
        client.expect(550, "RCPT TO:<x@elsewhere.example>")
        client.quit()
    assert b"elsewhere" not in after_starttls(server)


@pytest.mark.parametrize("greeting", ["backend", "gateway"])
@pytest.mark.parametrize("injected", [INJECTED, b"EHLO injected.example\r\n", b"\r\n", b" ", b"AUTH PLAIN AGEAYg==\r\n"])
def test_commands_in_the_segment_of_starttls(start_gateway, scripted_server, greeting, injected):
    server = scripted_server()
    gateway = start_gateway({"address": server.address}, greeting=greeting)
    with Client(gateway.port()) as client:
        client.greeted()
        client.send(b"STARTTLS\r\n" + injected)
        assert client.expect(503).text.startswith("5.5.1")
        assert client.rest() == b""
    gateway.wait_for_log("starttls_injection")
    assert_never_reached(server, b"injected", b"AUTH", b"STARTTLS")
    assert server.messages() == []


@pytest.mark.parametrize("bytewise", [False, True], ids=["one segment", "octet by octet"])
def test_commands_after_starttls_in_later_segments(start_gateway, scripted_server, bytewise):
    """They meet the handshake, which they are not: no reply in plaintext, nothing reaches the server."""
    server = scripted_server()
    gateway = start_gateway({"address": server.address})
    with Client(gateway.port()) as client:
        client.greeted()
        client.expect(220, "STARTTLS")
        with contextlib.suppress(ConnectionError):
            (client.send_bytewise if bytewise else client.send)(INJECTED)
        rest = client.rest()
        assert b"250" not in rest and not rest[:1].isdigit(), rest
    gateway.wait_for_log("client_tls_failed|starttls_injection")
    assert_never_reached(server, b"injected", b"STARTTLS")


def test_starttls_and_commands_octet_by_octet(start_gateway, scripted_server):
    """Each octet in a segment of its own: the 220 overtakes the rest, or it is an injection; never is it used."""
    server = scripted_server()
    gateway = start_gateway({"address": server.address})
    with Client(gateway.port()) as client:
        client.greeted()
        with contextlib.suppress(ConnectionError):
            client.send_bytewise(b"STARTTLS\r\n" + INJECTED)
        answer = client.rest()
        assert answer.startswith((b"220 2.0.0", b"503 5.5.1")), answer
        assert b"250" not in answer
    assert_never_reached(server, b"injected", b"STARTTLS")


def test_commands_sent_together_with_the_client_hello(start_gateway, scripted_server):
    """Plaintext right before the ClientHello in one segment, after the 220: the handshake fails."""
    server = scripted_server()
    gateway = start_gateway({"address": server.address})
    with Client(gateway.port()) as client:
        client.greeted()
        client.expect(220, "STARTTLS")
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = tls_context().wrap_bio(incoming, outgoing, server_hostname="mx.example.org")
        with contextlib.suppress(ssl.SSLWantReadError):
            tls.do_handshake()
        client.send(b"NOOP injected\r\n" + outgoing.read())
        assert b"250" not in client.rest()
    assert_never_reached(server, b"injected")


def test_a_client_hello_in_the_segment_of_starttls(start_gateway, scripted_server):
    """A client that does not wait for the 220 injects, too: its ClientHello is not used."""
    server = scripted_server()
    gateway = start_gateway({"address": server.address})
    with Client(gateway.port()) as client:
        client.greeted()
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = tls_context().wrap_bio(incoming, outgoing, server_hostname="mx.example.org")
        with contextlib.suppress(ssl.SSLWantReadError):
            tls.do_handshake()
        client.send(b"STARTTLS\r\n" + outgoing.read())
        client.expect(503)
        assert client.rest() == b""


def test_commands_pipelined_before_starttls_are_answered_first(start_gateway, scripted_server):
    server = scripted_server()
    server.script.delay = 0.2
    gateway = start_gateway({"address": server.address})
    with Client(gateway.port()) as client:
        client.greeted("before.example")
        client.send(b"NOOP\r\nRSET\r\nSTARTTLS\r\n")
        assert [client.reply().code for _ in range(3)] == [250, 250, 220]
        client.start_tls()
        secure_transaction(client)
    assert len(server.messages()) == 1


@pytest.mark.parametrize("split", range(1, 10))
def test_starttls_cut_in_two(start_gateway, scripted_server, split):
    server = scripted_server()
    gateway = start_gateway({"address": server.address})
    with Client(gateway.port()) as client:
        client.greeted("before.example")
        client.send(b"STARTTLS\r\n"[:split])
        time.sleep(0.05)
        client.send(b"STARTTLS\r\n"[split:])
        client.expect(220)
        client.start_tls()
        secure_transaction(client)


def test_starttls_is_offered_once(start_gateway, scripted_server):
    gateway = start_gateway({"address": scripted_server().address})
    with Client(gateway.port()) as client:
        assert "STARTTLS" in client.greeted().keywords()
        assert client.command("STARTTLS now").text.startswith("5.5.4")
        client.starttls()
        assert "STARTTLS" not in client.expect(250, "EHLO after.example").keywords()
        assert str(client.command("STARTTLS")).startswith("503 5.5.1")


def test_starttls_of_the_server_itself_is_not_passed_on(start_gateway, scripted_server):
    server = scripted_server()
    server.script.keywords += ["STARTTLS", "XCLIENT NAME ADDR", "XFORWARD NAME ADDR"]
    gateway = start_gateway(
        inbound={
            "mx": {"certificates": ["mx"], "allow_open_relay_risk": True, "backend": {"address": server.address}},
            "plain": {"mode": "none", "allow_open_relay_risk": True, "backend": {"address": server.address}},
        }
    )
    with Client(gateway.port("plain")) as client:
        assert not {"STARTTLS", "XCLIENT", "XFORWARD"} & set(client.greeted().keywords())
        assert str(client.command("STARTTLS")).startswith("502 5.5.1")
    with Client(gateway.port("mx")) as client:
        client.greeted()
        client.starttls()
        assert not {"STARTTLS", "XCLIENT", "XFORWARD"} & set(client.expect(250, "EHLO again").keywords())
    assert_never_reached(server, b"STARTTLS")


def test_the_end_of_tls_is_the_end_of_the_session(start_gateway, scripted_server):
    """A close_notify followed by plaintext commands: they are not a session without TLS."""
    server = scripted_server()
    gateway = start_gateway({"address": server.address})
    with Client(gateway.port()) as client:
        client.greeted()
        client.starttls()
        client.expect(250, "EHLO after.example")
        with contextlib.suppress(OSError, Closed):
            plain = client.socket.unwrap()
            plain.sendall(INJECTED)
            plain.recv(100)
    time.sleep(0.2)
    assert_never_reached(server, b"injected")
