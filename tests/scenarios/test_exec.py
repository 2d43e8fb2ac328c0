"""One UCSPI program for each session: its environment, its descriptors, its life and death."""

import json
import os
import signal
import socket
import sys
import time

import pytest

from harness.client import Client, secure_client, tls_context
from harness.daemon import open_descriptors, words_of
from harness.ports import PATIENCE, wait_until

PROBE = [sys.executable, os.path.join(os.path.dirname(__file__), "programs", "ucspi_probe.py")]


@pytest.fixture
def gateway(start_gateway):
    return start_gateway({"exec": PROBE}, allow_open_relay_risk=False)


def ask(client, what):
    return json.loads(client.expect(250, f"VRFY {what}").text)


def alive(pid):
    """False once the process is gone; a zombie is one that nobody reaped and counts as alive."""
    return os.path.exists(f"/proc/{pid}")


@pytest.mark.parametrize("mode", ["starttls", "implicit"])
def test_environment(start_gateway, mode):
    gateway = start_gateway({"exec": PROBE}, mode=mode)
    with secure_client(gateway.port(), mode, version="1.3", source="127.0.0.21") as client:
        environment = ask(client, "environment")
        local, remote = client.socket.getpeername(), client.socket.getsockname()
    assert environment["PROTO"] == "TCP"
    assert environment["TCPREMOTEIP"] == "127.0.0.21"
    assert environment["TCPREMOTEPORT"] == str(remote[1])
    assert environment["TCPLOCALIP"] == "127.0.0.1"
    assert environment["TCPLOCALPORT"] == str(local[1])
    assert "RELAYCLIENT" not in environment and "TCPREMOTEINFO" not in environment
    if mode == "implicit":
        assert environment["SSL_PROTOCOL"] == "TLSv1.3" and environment["SSL_CIPHER"]


def test_tls_facts_reach_the_program_where_the_gateway_greets(start_gateway):
    gateway = start_gateway({"exec": PROBE}, greeting="gateway", require_tls=True)
    with secure_client(gateway.port(), "starttls", version="1.2") as client:
        client.expect(250, "NOOP")
        client.expect(250, "MAIL FROM:<a@example.net>")
        assert ask(client, "environment")["SSL_PROTOCOL"] == "TLSv1.2"


def test_variables_of_the_operator_are_kept_but_not_relayclient(start_gateway, monkeypatch):
    """RELAYCLIENT in the gateway's own environment is the operator's; a client's words never become variables."""
    monkeypatch.setenv("SCENARIO_MARK", "kept")
    gateway = start_gateway({"exec": PROBE})
    with Client(gateway.port()) as client:
        client.expect(220)
        client.expect(250, "EHLO RELAYCLIENT=1")
        environment = ask(client, "environment")
    assert "RELAYCLIENT" not in environment
    assert environment.get("PATH")


def test_stale_ucspi_variables_are_not_inherited(start_gateway, monkeypatch):
    for name in ("TCPREMOTEINFO", "TCPREMOTEHOST", "TCPREMOTEIP", "SSL_PROTOCOL", "SSL_CIPHER"):
        monkeypatch.setenv(name, "stale")
    gateway = start_gateway({"exec": PROBE})
    with Client(gateway.port()) as client:
        client.expect(220)
        environment = ask(client, "environment")
    assert "stale" not in environment.values(), environment


def test_the_address_from_a_proxy_header(start_gateway):
    gateway = start_gateway({"exec": PROBE}, accept_proxy_protocol_from=["127.0.0.0/8"])
    with Client(gateway.port()) as client:
        client.send(b"PROXY TCP6 2001:db8::7 2001:db8::1 4321 25\r\n")
        client.expect(220)
        environment = ask(client, "environment")
    assert environment["TCPREMOTEIP"] == "2001:db8::7" and environment["TCPREMOTEPORT"] == "4321"
    assert environment["PROTO"] in ("TCP", "TCP6")


def test_nothing_is_inherited_but_the_session(gateway, folder):
    """Other sessions, listeners, logs, epoll: nothing of it is open in the program."""
    inherited = os.open(folder, os.O_RDONLY)
    os.set_inheritable(inherited, True)
    try:
        with Client(gateway.port()) as first, Client(gateway.port()) as second:
            first.expect(220)
            second.expect(220)
            found = ask(second, "descriptors")
            sockets = [target for target in found.values() if target.startswith("socket:")]
            assert set(found) == {"0", "1", "2"}, found
            assert found["0"] == found["1"] and len(set(sockets)) == 1, found
            assert ask(first, "descriptors")["0"] != found["0"]
    finally:
        os.close(inherited)


def test_signals_are_as_a_program_expects_them(gateway):
    with Client(gateway.port()) as client:
        client.expect(220)
        identity = ask(client, "identity")
    python_itself_ignores = 1 << (signal.SIGPIPE - 1) | 1 << (signal.SIGXFSZ - 1)
    assert identity["SigBlk"] == 0
    assert identity["SigIgn"] & ~python_itself_ignores == 0


def test_the_program_sees_the_end_of_the_session(gateway):
    for how in ("quit", "close", "reset"):
        client = Client(gateway.port())
        client.expect(220)
        pid = ask(client, "identity")["pid"]
        assert pid in gateway.programs
        if how == "quit":
            client.quit()
        (client.reset if how == "reset" else client.close)()
        wait_until(lambda pid=pid: not alive(pid), f"the program is gone and reaped after {how}")
    assert gateway.programs == []


def test_a_program_that_hangs_is_killed(gateway):
    with Client(gateway.port()) as client:
        client.expect(220)
        pid = ask(client, "identity")["pid"]
        client.expect(250, "EXPN forever")
    wait_until(lambda: not alive(pid), "the deaf program is killed")
    with Client(gateway.port()) as client:
        client.expect(220)


def test_a_program_that_ends_by_itself(gateway):
    with Client(gateway.port()) as client:
        client.expect(220)
        client.expect(250, "EHLO client.example")
        client.expect(421, "EXPN exit")
        assert client.rest() == b""
    wait_until(lambda: gateway.programs == [], "it is reaped")


def test_a_grandchild_does_not_keep_the_session_alive(gateway):
    with Client(gateway.port()) as client:
        client.expect(220)
        grandchild = int(client.expect(250, "EXPN grandchild").text)
        try:
            client.quit()
        finally:
            if alive(grandchild):
                os.kill(grandchild, signal.SIGKILL)


@pytest.mark.parametrize("argv", [["/nonexistent/qmail-smtpd"], ["/bin/false"], ["/etc/passwd"]])
def test_a_program_that_cannot_serve(start_gateway, argv):
    """Either refused before anything is bound, or 421 to the client."""
    try:
        gateway = start_gateway({"exec": argv})
    except AssertionError as failure:
        assert argv[0] in str(failure) and argv[0] != "/bin/false"
        return
    with Client(gateway.port()) as client:
        client.expect(421)


def test_many_programs_leave_nothing_behind(gateway):
    def session():
        with Client(gateway.port()) as client:
            client.greeted()
            client.quit()

    for _ in range(10):  # both workers have had something to do
        session()
    wait_until(lambda: gateway.programs == [], "the first are reaped")
    before = [open_descriptors(pid) for pid in (gateway.pid, gateway.serving)]
    for _ in range(40):
        session()
    wait_until(lambda: gateway.programs == [], "all are reaped")
    for pid, count in zip((gateway.pid, gateway.serving), before):
        wait_until(
            lambda pid=pid, count=count: open_descriptors(pid) <= count, f"no descriptor is left open by {words_of(pid)}"
        )


def test_many_programs_at_once(gateway):
    clients = [Client(gateway.port()) for _ in range(30)]
    try:
        for client in clients:
            client.expect(220)
        pids = {ask(client, "identity")["pid"] for client in clients}
        assert len(pids) == 30
        for client in clients:
            client.expect(250, "EHLO client.example")
            client.starttls(tls_context())
            client.expect(250, "EHLO client.example")
            client.quit()
    finally:
        for client in clients:
            client.close()
    wait_until(lambda: gateway.programs == [], "all are reaped")


def test_stopping_the_gateway_stops_the_programs(gateway):
    with Client(gateway.port()) as client:
        client.expect(220)
        pid = ask(client, "identity")["pid"]
        client.expect(250, "EHLO client.example")
        os.kill(gateway.pid, signal.SIGTERM)
        time.sleep(0.2)
        client.expect(421, "NOOP")
    gateway.daemon.process.wait(PATIENCE)
    assert not alive(pid)
    gateway.daemon = None


def test_half_closed_by_the_client(gateway):
    """QUIT and FIN in one go: the reply still comes."""
    with Client(gateway.port()) as client:
        client.greeted()
        client.send(b"NOOP\r\nQUIT\r\n")
        client.socket.shutdown(socket.SHUT_WR)
        assert client.rest() == b"250 ok\r\n221 bye\r\n"
