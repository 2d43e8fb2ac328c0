"""Peers that never read cost little memory, and do not stop anybody else."""

import socket
import threading
import time

import pytest

from harness.client import Client, secure_client
from harness.daemon import resident_kib
from harness.messages import message
from harness.ports import PATIENCE
from harness.scripted_server import Deaf

pytestmark = pytest.mark.usefixtures("honest_memory")

SESSIONS = 20
# 256 KiB a direction and session for data, as much again for TLS and the allocator.
ALLOWED_KIB = SESSIONS * 2 * 512 + 4096


def send_until_stuck(client, data, quiet_seconds=1.0, at_most=200 << 20):
    """Sends until the peer takes nothing more for a while; returns the number of octets sent."""
    client.socket.settimeout(quiet_seconds)
    sent = 0
    try:
        while sent < at_most:
            sent += client.socket.send(data)
    except OSError:  # no room for a while, or the gateway has had enough
        pass
    return sent


@pytest.mark.parametrize("mode", ["none", "implicit"])
def test_a_server_that_never_reads(start_gateway, scripted_server, mode):
    server = scripted_server(Deaf())
    gateway = start_gateway({"address": server.address}, mode=mode)
    clients, sent = [], []
    try:
        for _ in range(SESSIONS):
            client = Client(gateway.port()) if mode == "none" else secure_client(gateway.port(), mode)
            if mode == "none":
                client.greeted()
            clients.append(client)
            client.expect(250, "MAIL FROM:<a@example.net>")
            client.expect(250, "RCPT TO:<b@example.org>")
            client.expect(354, "DATA")
        before = resident_kib(gateway.serving)
        block = (b"x" * 1022 + b"\r\n") * 64
        threads = [
            threading.Thread(target=lambda client=client: sent.append(send_until_stuck(client, block)))
            for client in clients
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
        assert len(sent) == SESSIONS and max(sent) < 100 << 20, "nobody held the client back"
        assert min(sent) > 100_000
        grown = resident_kib(gateway.serving) - before
        assert grown < ALLOWED_KIB, f"{grown} KiB for {SESSIONS} sessions"
        begun = time.monotonic()
        with Client(gateway.port()) if mode == "none" else secure_client(gateway.port(), mode) as other:
            if mode == "none":
                other.greeted()
            other.expect(250, "NOOP")
        assert time.monotonic() - begun < 30, "the others go on"
    finally:
        server.script.release.set()
        for client in clients:
            client.close()


@pytest.mark.parametrize("mode", ["none", "implicit"])
def test_a_client_that_never_reads(start_gateway, scripted_server, mode):
    """It pipelines commands without end and takes no reply: it is held back, and so is the server."""
    server = scripted_server()
    gateway = start_gateway({"address": server.address}, mode=mode)
    clients, sent = [], []
    try:
        for _ in range(SESSIONS):
            client = Client.__new__(Client)
            _connect_with_small_buffer(client, gateway.port())
            if mode == "implicit":
                client.start_tls()
            client.greeted()
            clients.append(client)
        before = resident_kib(gateway.serving)
        threads = [
            threading.Thread(
                target=lambda client=client: sent.append(send_until_stuck(client, b"NOOP\r\n" * 2000, 3.0, 64 << 20))
            )
            for client in clients
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
        assert len(sent) == SESSIONS and max(sent) < 60 << 20, "nobody held the client back"
        grown = resident_kib(gateway.serving) - before
        assert grown < ALLOWED_KIB, f"{grown} KiB for {SESSIONS} sessions"
    finally:
        for client in clients:
            client.close()


def _connect_with_small_buffer(client, port):
    client.socket = socket.socket()
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.socket.settimeout(PATIENCE)
    client.socket.connect(("127.0.0.1", port))
    client._buffer = b""


def test_refusals_without_end_to_a_client_that_never_reads(start_gateway, scripted_server):
    """Replies of the gateway's own must not pile up either."""
    gateway = start_gateway({"address": scripted_server().address}, mode="none", limits={"errors": 10_000})
    client = Client.__new__(Client)
    _connect_with_small_buffer(client, gateway.port())
    try:
        client.greeted()
        before = resident_kib(gateway.serving)
        send_until_stuck(client, b"XCLIENT A=1\r\n" * 2000, 2.0, 64 << 20)
        assert resident_kib(gateway.serving) - before < 8192
    finally:
        client.close()


def test_memory_after_a_thousand_sessions(start_gateway, scripted_server):
    gateway = start_gateway({"address": scripted_server().address}, mode="implicit")

    def sessions(count):
        for _ in range(count):
            with secure_client(gateway.port(), "implicit") as client:
                client.send_message("a@example.net", ["b@example.org"], message(b"x" * 5000 + b"\r\n"))
                client.quit()

    sessions(200)
    before = resident_kib(gateway.serving)
    sessions(800)
    assert resident_kib(gateway.serving) - before < 2048
