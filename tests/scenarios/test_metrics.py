"""The admin server: what Prometheus scrapes, and what an orchestrator asks."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time

import pytest

from harness.client import Client, secure_client
from harness.debian import unpack
from harness.ports import free_port, is_listening, wait_until
from harness.prometheus import Prometheus, get
from harness.scripted_server import Obedient

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")


def value(text, name, **labels):
    """The sum of a metric's series that have these labels."""
    found = re.findall(rf"^{name}(?:{{(.*)}})? (\S+)$", text, re.M)
    wanted = [f'{label}="{given}"' for label, given in labels.items()]
    return sum(float(number) for series, number in found if all(each in series for each in wanted))


@pytest.fixture
def gateway(start_gateway, scripted_server):
    server = scripted_server(Obedient())
    port = free_port()
    started = start_gateway(
        {"address": server.address}, limits={"sessions": 3}, top={"admin": {"listen": f"127.0.0.1:{port}"}}
    )
    started.admin = port
    wait_until(lambda: is_listening(port, started.pid), "the admin server listens")
    return started


@pytest.fixture(scope="session")
def prometheus(build_folder):
    return unpack(build_folder, "prometheus", ["prometheus"], where_known=["promtool"])  # apart in Debian 13


def test_what_happens_is_counted(gateway):
    status, text, kind = get(gateway.admin)
    assert status == 200 and kind.startswith("text/plain; version=0.0.4")
    assert value(text, "postern_sessions_total", listener="mx") == 0
    assert value(text, "postern_sessions_limit", direction="inbound", listener="mx") == 3
    with secure_client(gateway.port(), "starttls") as client:
        client.expect(250, "MAIL FROM:<a@example.net>")
        client.expect(250, "RCPT TO:<b@example.org>")
        client.expect(354, "DATA")
        client.expect(250, "hello\r\n.")
        text = get(gateway.admin)[1]
        assert value(text, "postern_sessions_active", direction="inbound", listener="mx") == 1
        assert value(text, "postern_messages_total", result="accepted") == 1
        assert value(text, "postern_tls_handshakes_total", side="client", version="TLSv1.3") == 1
        assert value(text, "postern_backend_up", listener="mx") == 1
        client.expect(221, "QUIT")
        client.rest()
    wait_until(lambda: value(get(gateway.admin)[1], "postern_sessions_active") == 0, "the session has ended")
    clients = [Client(gateway.port()) for _ in range(3)]
    for client in clients:
        client.greeted()
    with Client(gateway.port()) as client:
        assert client.line().startswith(b"421 4.7.0")
    text = get(gateway.admin)[1]
    assert value(text, "postern_limit_hits_total", limit="sessions") == 1
    assert value(text, "process_open_fds") >= 10
    assert value(text, "process_resident_memory_bytes") > 1 << 20
    assert value(text, "postern_certificate_not_after_timestamp_seconds", certificate="mx") > time.time()
    for client in clients:
        client.close()


def test_promtool_is_silent(gateway, prometheus):
    with secure_client(gateway.port(), "starttls") as client:
        client.expect(221, "QUIT")
    done = subprocess.run(
        [prometheus.path("usr/bin/promtool"), "check", "metrics"], input=get(gateway.admin)[1], text=True,
        capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_alert_rules(prometheus):
    """Each raises its alert where it should, and not where all is well; all of them ask for what there is."""
    done = subprocess.run(
        [prometheus.path("usr/bin/promtool"), "test", "rules", "tests/alerts/alerts_test.yml"], cwd=ROOT, text=True,
        capture_output=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    with open(f"{ROOT}/docker/alerts.yml", encoding="utf-8") as rules:
        named = set(re.findall(r"\b(?:postern|process)_\w+", rules.read()))
    with open(f"{ROOT}/docs/metrics.md", encoding="utf-8") as page:
        there = set(re.findall(r"^\| `(\w+)`", page.read(), re.M))
    assert named and named <= there, named - there


def test_prometheus_scrapes(gateway, prometheus, folder):
    with Prometheus(prometheus, folder, gateway.admin) as scrapes:
        with secure_client(gateway.port(), "starttls") as client:
            client.expect(221, "QUIT")
        wait_until(
            lambda: scrapes.query("up == 1") and scrapes.query("postern_tls_handshakes_total > 0"), "it has scraped"
        )
        assert scrapes.query('postern_build_info{version=~".+"} == 1')


def queries_of_the_dashboard():
    """Each panel's, with the variables that Grafana puts in: all instances, all listeners, five minutes."""
    with open(f"{ROOT}/docker/grafana-dashboard.json", encoding="utf-8") as file:
        panels = json.load(file)["panels"]
    for panel in panels:
        for target in panel.get("targets", ()):
            expression = target["expr"].replace("$__rate_interval", "5m")
            yield panel["title"], re.sub(r"\$(instance|listener)", ".*", expression)


def test_dashboard(start_gateway, scripted_server, prometheus, folder):
    """Every panel finds series once mail has gone both ways, here by name servers that do not answer."""
    server = scripted_server(Obedient())
    port = free_port()
    gateway = start_gateway(
        {"address": server.address}, recipients={"allow_domains": ["example.org"]},
        top={
            "admin": {"listen": f"127.0.0.1:{port}"}, "dns": {"servers": [f"127.0.0.1:{free_port()}"]},
            "outbound": {"net": {"route": "mx", "level": "may"}},
        },
    )  # fmt: skip
    wait_until(lambda: is_listening(port, gateway.pid), "the admin server listens")
    queries = list(queries_of_the_dashboard())
    assert len(queries) > 30
    with Prometheus(prometheus, folder, port) as scrapes:
        wait_until(lambda: scrapes.query("postern_sessions_total"), "it has scraped")
        with secure_client(gateway.port(), "starttls") as client:
            client.expect(250, "MAIL FROM:<a@example.net>")
            client.expect(550, "RCPT TO:<b@elsewhere.example>")
            client.expect(221, "QUIT")
        with Client(gateway.port("net")) as client:
            client.greeted()
            client.expect(250, "MAIL FROM:<a@example.net>")
            client.expect(451, "RCPT TO:<b@elsewhere.example>")
            client.expect(221, "QUIT")

        def empty():
            return [f"{title}: {expression}" for title, expression in queries if not scrapes.query(expression)]

        try:
            wait_until(lambda: not empty(), "every panel finds series")
        except AssertionError:
            raise AssertionError("\n".join(empty())) from None


def test_alive_and_ready(gateway):
    assert get(gateway.admin, "/healthz")[:2] == (200, "alive\n")
    assert get(gateway.admin, "/readyz")[:2] == (200, "ready\n")
    assert get(gateway.admin, "/etc/passwd")[0] == 404
    with Client(gateway.port()) as client:
        client.greeted()
        client.expect(250, "MAIL FROM:<a@example.net>")  # so that draining takes a while
        os.kill(gateway.pid, signal.SIGTERM)
        wait_until(lambda: get(gateway.admin, "/readyz")[:2] == (503, "draining\n"), "it is not ready any more")
        status, text, _ = get(gateway.admin)
        assert status == 200 and value(text, "postern_draining") == 1
        assert value(text, "postern_sessions_active") == 1
        assert get(gateway.admin, "/healthz")[0] == 200
        client.expect(250, "RSET")
    gateway.daemon.process.wait(60)
    assert gateway.daemon.process.returncode == 0
    gateway.daemon = None


def test_a_gateway_that_was_lost_is_counted(gateway):
    for _ in range(2):
        lost = gateway.serving
        os.kill(lost, signal.SIGKILL)
        wait_until(lambda lost=lost: gateway.serving not in (None, lost), "there is another one")

    def counted():
        try:
            return value(get(gateway.admin)[1], "postern_process_restarts_total", process="gateway") == 2
        except OSError:
            return False

    wait_until(counted, "it says how many there were before")
    assert value(get(gateway.admin)[1], "postern_config_last_reload_successful") == 1


def test_a_file_that_is_not_taken_over(start_gateway, scripted_server, certificates, folder):
    server = scripted_server(Obedient())
    port = free_port()
    ca_file = f"{folder}/clients.pem"
    shutil.copy(certificates.authority.certificate, ca_file)
    gateway = start_gateway(
        {"address": server.address}, client_certificates={"mode": "request", "ca_file": ca_file},
        top={"admin": {"listen": f"127.0.0.1:{port}"}},
    )  # fmt: skip
    wait_until(lambda: is_listening(port, gateway.pid), "the admin server listens")

    def successful():
        return value(get(port)[1], "postern_config_last_reload_successful")

    assert successful() == 1
    with open(ca_file, "w", encoding="ascii") as file:
        file.write("not PEM\n")
    wait_until(lambda: successful() == 0, "that is told")
    shutil.copy(certificates.authority.certificate, ca_file)
    wait_until(lambda: successful() == 1, "all is well again")


def test_hostile_clients_cost_no_mail(gateway):
    idle = [socket.create_connection(("127.0.0.1", gateway.admin)) for _ in range(200)]
    try:
        for each in idle[:20]:
            each.send(b"GET /" + b"a" * 100)
        begun = time.monotonic()
        with secure_client(gateway.port(), "starttls") as client:
            client.expect(221, "QUIT")
        assert time.monotonic() - begun < 30

        def answers():
            try:
                return get(gateway.admin)[0] == 200
            except OSError:
                return False

        wait_until(answers, "their time is over")
    finally:
        for each in idle:
            each.close()


def test_a_unix_socket(start_gateway, scripted_server, folder):
    server = scripted_server(Obedient())
    path = f"{folder}/admin"
    for _ in range(2):  # what is left of the first is in nobody's way
        gateway = start_gateway({"address": server.address}, top={"admin": {"listen": f"unix:{path}"}})
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            wait_until(lambda client=client: client.connect_ex(path) == 0, "the admin server listens")
            client.sendall(b"GET /readyz HTTP/1.0\r\n\r\n")
            text = b""
            while piece := client.recv(4096):
                text += piece
        assert text.endswith(b"\r\n\r\nready\n")
        gateway.stop()
