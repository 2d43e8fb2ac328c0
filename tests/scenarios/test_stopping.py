"""SIGTERM: what runs is finished, what waits is told to come back, and the exit status is 0."""

import os
import signal
import time

import pytest

from harness.client import Client, secure_client
from harness.messages import message
from harness.ports import PATIENCE, is_listening, wait_until
from harness.scripted_server import Obedient


def ended(gateway, timeout=PATIENCE):
    status = gateway.daemon.process.wait(timeout)
    gateway.daemon, log = None, gateway.log()
    return status, log


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_without_sessions_it_ends_at_once(start_gateway, scripted_server, number):
    gateway = start_gateway({"address": scripted_server().address})
    begun = time.monotonic()
    os.kill(gateway.pid, number)
    assert ended(gateway)[0] == 0
    assert time.monotonic() - begun < 20


@pytest.mark.parametrize("mode", ["starttls", "implicit"])
def test_a_running_transaction_is_finished(start_gateway, scripted_server, mode):
    server = scripted_server(Obedient(delay=0.2))
    gateway = start_gateway({"address": server.address}, mode=mode)
    with secure_client(gateway.port(), mode) as client:
        client.expect(250, "MAIL FROM:<a@example.net>")
        os.kill(gateway.pid, signal.SIGTERM)
        wait_until(lambda: not is_listening(gateway.port()), "nobody new is let in")
        client.expect(250, "RCPT TO:<b@example.org>")
        client.expect(354, "DATA")
        client.send(message() + b".\r\n")
        client.expect(250)
        assert str(client.command("MAIL FROM:<a@example.net>")).startswith("421 4.3.2")
        assert client.rest() == b""
    assert ended(gateway)[0] == 0
    assert len(server.messages()) == 1


def test_content_under_way_is_finished(start_gateway, scripted_server):
    server = scripted_server()
    gateway = start_gateway({"address": server.address})
    with secure_client(gateway.port(), "starttls") as client:
        client.expect(250, "MAIL FROM:<a@example.net>")
        client.expect(250, "RCPT TO:<b@example.org>")
        client.expect(354, "DATA")
        client.send(b"Subject: x\r\n\r\n")
        os.kill(gateway.pid, signal.SIGTERM)
        for _ in range(5):
            time.sleep(0.1)
            client.send(b"one more line\r\n")
        client.send(b".\r\n")
        client.expect(250)
    assert ended(gateway)[0] == 0
    assert server.messages() == [b"Subject: x\r\n\r\n" + b"one more line\r\n" * 5]


def test_idle_sessions_are_told(start_gateway, scripted_server):
    gateway = start_gateway({"address": scripted_server().address})
    with Client(gateway.port()) as plain, secure_client(gateway.port(), "starttls") as secure:
        plain.greeted()
        os.kill(gateway.pid, signal.SIGTERM)
        wait_until(lambda: not is_listening(gateway.port()), "nobody new is let in")
        time.sleep(0.2)
        for client in (plain, secure):
            assert str(client.command("NOOP")).startswith("421 4.3.2")
            assert client.rest() == b""
    assert ended(gateway)[0] == 0


def test_a_client_that_neither_speaks_nor_leaves_is_not_waited_for_until_a_container_is_killed(
    start_gateway, scripted_server
):
    gateway = start_gateway({"address": scripted_server().address})
    with Client(gateway.port()) as silent, secure_client(gateway.port(), "starttls"):
        silent.greeted()
        begun = time.monotonic()
        os.kill(gateway.pid, signal.SIGTERM)
        gateway.wait_for_log(" stopped ")  # a sanitizer sleeps a second before the process ends
        assert time.monotonic() - begun < 10
        assert ended(gateway)[0] == 0
        assert silent.rest().startswith(b"421 4.3.2")


def test_a_second_signal_stops_at_once(start_gateway, scripted_server):
    gateway = start_gateway({"address": scripted_server().address})
    with secure_client(gateway.port(), "starttls") as client:
        client.expect(250, "MAIL FROM:<a@example.net>")
        os.kill(gateway.pid, signal.SIGTERM)
        time.sleep(0.3)
        assert gateway.daemon.running()
        begun = time.monotonic()
        os.kill(gateway.pid, signal.SIGTERM)
        gateway.daemon.process.wait(PATIENCE)
        assert time.monotonic() - begun < 20
    gateway.daemon = None


def test_the_log_has_one_line_for_each_session(start_gateway, scripted_server):
    gateway = start_gateway({"address": scripted_server().address}, top={"log": {"format": "json"}})
    with secure_client(gateway.port(), "starttls", version="1.3", source="127.0.0.31") as client:
        client.send_message("a@example.net", ["b@example.org"], message())
        client.quit()
    gateway.wait_for_log("127.0.0.31")
    gateway.stop()
    with open(f"{gateway.folder}/gateway.1.log", encoding="utf-8") as log:
        lines = [line for line in log if "127.0.0.31" in line]
    assert len(lines) == 1
    assert "TLSv1.3" in lines[0] and "mx.example.org" in lines[0] and "quit" in lines[0]
