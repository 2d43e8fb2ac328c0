"""Time runs out: for each timeout of the contract 421 4.4.2, a closed connection, and a log line."""

import time

import pytest

from harness.client import Client, Closed, secure_client, tls_context
from harness.ports import PATIENCE
from harness.scripted_server import Obedient, PeerClosed


def assert_timed_out(client, gateway, seconds, begun=None):
    begun = begun or time.monotonic()
    reply = client.reply()
    took = time.monotonic() - begun
    assert str(reply).startswith("421 4.4.2"), reply
    assert client.rest() == b""
    assert seconds * 0.7 <= took <= seconds + 30, f"{took:.1f} s instead of {seconds}"
    client.close()  # or the gateway waits a little for it, before it logs the end
    gateway.wait_for_log("timeout")


@pytest.mark.parametrize("secure", [False, True])
def test_a_client_that_says_nothing(start_gateway, scripted_server, secure):
    gateway = start_gateway({"address": scripted_server().address}, timeouts={"command": "1s"})
    with Client(gateway.port()) as client:
        client.greeted()
        if secure:
            client.starttls()
            client.expect(250, "EHLO client.example")
        assert_timed_out(client, gateway, 1)


def test_a_client_that_drips_its_command(start_gateway, scripted_server):
    """An octet now and then does not win time: the whole command must come."""
    gateway = start_gateway({"address": scripted_server().address}, timeouts={"command": "2s"})
    with Client(gateway.port()) as client:
        client.greeted()
        begun = time.monotonic()
        client.socket.settimeout(0.3)
        with pytest.raises((Closed, ConnectionError, AssertionError)):
            while time.monotonic() - begun < 30:
                client.send(b"N")
                try:
                    raise AssertionError(client.reply())
                except TimeoutError:
                    pass
        assert 1.4 <= time.monotonic() - begun


def test_a_client_that_stops_within_the_content(start_gateway, scripted_server):
    server = scripted_server()
    gateway = start_gateway({"address": server.address}, timeouts={"data_block": "1s"})
    with secure_client(gateway.port(), "starttls") as client:
        client.expect(250, "MAIL FROM:<a@example.net>")
        client.expect(250, "RCPT TO:<b@example.org>")
        client.expect(354, "DATA")
        client.send(b"Subject: x\r\n\r\nhalf a li")
        assert_timed_out(client, gateway, 1)
    assert server.connections[0].finished.wait(PATIENCE)
    assert server.messages() == []


def test_a_server_that_never_answers_the_end_of_data(start_gateway, scripted_server):
    def at_step(connection, name):
        if name == ".?":
            connection.more()  # until the gateway gives up

    server = scripted_server(Obedient(at_step=at_step))
    gateway = start_gateway({"address": server.address}, timeouts={"data_end": "1s"})
    with secure_client(gateway.port(), "starttls") as client:
        client.expect(250, "MAIL FROM:<a@example.net>")
        client.expect(250, "RCPT TO:<b@example.org>")
        client.expect(354, "DATA")
        client.send(b"x\r\n.\r\n")
        begun = time.monotonic()
        assert client.reply().code == 421
        assert 0.7 < time.monotonic() - begun < 30
    assert server.messages() == []


def silent(connection):
    while True:
        try:
            connection.more()
        except PeerClosed:
            return


def test_a_server_that_never_greets(start_gateway, scripted_server):
    gateway = start_gateway(
        {"address": scripted_server(silent).address}, timeouts={"greeting": "1s", "backend_connect": "1s"}
    )
    begun = time.monotonic()
    with Client(gateway.port()) as client:
        assert client.reply().code == 421
        assert time.monotonic() - begun < 40


def test_a_client_that_never_shakes_hands(start_gateway, scripted_server):
    backend = {"address": scripted_server().address}
    for mode in ("starttls", "implicit"):
        gateway = start_gateway(backend, mode=mode, handshake_timeout="1s")
        with Client(gateway.port()) as client:
            if mode == "starttls":
                client.greeted()
                client.expect(220, "STARTTLS")
            begun = time.monotonic()
            assert not client.rest()[:1].isdigit(), "no SMTP in plaintext once TLS was promised"
            assert 0.7 < time.monotonic() - begun < 30


def test_a_client_that_drips_its_handshake(start_gateway, scripted_server):
    gateway = start_gateway(
        {"address": scripted_server().address}, mode="implicit", handshake_timeout="2s"
    )
    with Client(gateway.port()) as client:
        begun = time.monotonic()
        with pytest.raises(OSError):
            for octet in b"\x16\x03\x01\x02\0\x01" + b"\0" * 100:
                client.send(bytes([octet]))
                time.sleep(0.1)
        assert time.monotonic() - begun < 40


def test_time_is_given_anew_for_each_command(start_gateway, scripted_server):
    gateway = start_gateway({"address": scripted_server().address}, timeouts={"command": "3s"})
    with Client(gateway.port()) as client:
        client.greeted()
        for _ in range(4):
            time.sleep(1)
            client.expect(250, "NOOP")
        client.starttls(tls_context())
        client.expect(250, "EHLO client.example")
        time.sleep(1)
        client.quit()
