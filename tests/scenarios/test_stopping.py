"""SIGTERM: what runs is finished, what waits is told to come back, and the exit status is 0."""

import contextlib
import os
import re
import signal
import threading
import time

import pytest

from harness.client import Client, secure_client
from harness.messages import message
from harness.ports import PATIENCE, free_port, is_listening, wait_until
from harness.prometheus import get
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


def get_ready(gateway):
    return get(gateway.admin, "/readyz")[:2]


def counts_of(log):
    """What the last line says of the sessions that drained: ended by themselves, told, cut."""
    last = next(line for line in reversed(log.splitlines()) if " stopped " in line)
    return tuple(int(re.search(rf"drained_{how}=(\d+)", last)[1]) for how in ("by_themselves", "told", "cut"))


def test_it_says_that_it_is_not_ready_before_it_stops_accepting(start_gateway, scripted_server):
    admin = free_port()
    gateway = start_gateway(
        {"address": scripted_server().address},
        top={"admin": {"listen": f"127.0.0.1:{admin}"}, "drain": {"delay": "4s"}},
    )
    gateway.admin = admin
    wait_until(lambda: is_listening(admin), "the admin server listens")
    assert get_ready(gateway) == (200, "ready\n")
    begun = time.monotonic()
    os.kill(gateway.pid, signal.SIGTERM)
    wait_until(lambda: get_ready(gateway) == (503, "draining\n"), "it is not ready")
    with Client(gateway.port()) as client:  # one that a balancer sends nevertheless
        client.greeted()
        client.send_message("a@example.net", ["b@example.org"], message())
        wait_until(lambda: not is_listening(gateway.port()), "nobody new is let in")
        assert time.monotonic() - begun >= 4
        assert client.rest().startswith(b"421 4.3.2")
    status, log = ended(gateway)
    assert status == 0 and counts_of(log) == (0, 1, 0)


def test_what_runs_when_the_time_is_over_is_cut_and_the_last_line_says_so(start_gateway, scripted_server):
    server = scripted_server()
    gateway = start_gateway({"address": server.address}, top={"drain": {"timeout": "10s", "spread": "1s"}})
    with Client(gateway.port()) as slow, Client(gateway.port()) as quick, Client(gateway.port()) as idle:
        for client in (slow, quick):
            client.greeted()
            client.expect(250, "MAIL FROM:<a@example.net>")
            client.expect(250, "RCPT TO:<b@example.org>")
        idle.greeted()
        slow.expect(354, "DATA")
        slow.send(b"Subject: x\r\n\r\nhalf")
        os.kill(gateway.pid, signal.SIGTERM)
        wait_until(lambda: not is_listening(gateway.port()), "nobody new is let in")
        quick.expect(354, "DATA")
        quick.send(message() + b".\r\n")
        quick.expect(250)
        quick.socket.close()
        assert idle.rest().startswith(b"421 4.3.2")
        assert slow.rest().startswith(b"421 4.3.2")
    status, log = ended(gateway)
    assert status == 0 and counts_of(log) == (1, 1, 1)
    assert len(server.messages()) == 1
    assert "the time for draining is over" in log


def test_idle_clients_are_not_told_all_at_once(start_gateway, scripted_server):
    gateway = start_gateway({"address": scripted_server().address}, top={"workers": 1, "drain": {"spread": "6s"}})
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Client(gateway.port())) for _ in range(6)]
        for client in clients:
            client.greeted()
        told = []

        def wait_for(client):
            assert client.rest().startswith(b"421 4.3.2")
            told.append(time.monotonic())

        threads = [threading.Thread(target=wait_for, args=(client,)) for client in clients]
        for thread in threads:
            thread.start()
        os.kill(gateway.pid, signal.SIGTERM)
        for thread in threads:
            thread.join(PATIENCE)
    assert len(told) == 6 and told[-1] - told[0] > 3
    assert counts_of(ended(gateway)[1]) == (0, 6, 0)


def test_a_long_message_under_way_arrives(start_gateway, scripted_server):
    server = scripted_server()
    gateway = start_gateway({"address": server.address})
    body = b"".join(b"%07d" % line + b"x" * 91 + b"\r\n" for line in range(50 * 1024 * 1024 // 100))
    with secure_client(gateway.port(), "starttls") as client:
        client.expect(250, "MAIL FROM:<a@example.net>")
        client.expect(250, "RCPT TO:<b@example.org>")
        client.expect(354, "DATA")
        half = len(body) // 2 // 100 * 100
        client.send(b"Subject: x\r\n\r\n" + body[:half])
        os.kill(gateway.pid, signal.SIGTERM)
        wait_until(lambda: not is_listening(gateway.port()), "nobody new is let in")
        client.send(body[half:] + b".\r\n")
        client.expect(250)
    status, log = ended(gateway)
    assert status == 0 and counts_of(log) == (1, 0, 0)
    assert server.messages() == [b"Subject: x\r\n\r\n" + body]
