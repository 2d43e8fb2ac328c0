"""SIGUSR2: another binary takes the place of the one that runs, and nobody is refused meanwhile."""

import os
import re
import shutil
import signal
import socket
import threading
import time

import pytest

from harness.client import Client, secure_client
from harness.daemon import Daemon, children_of, facts_of, words_of
from harness.gateway import Gateway, check_for_troubles
from harness.messages import message, new_token
from harness.ports import PATIENCE, free_port, is_listening, wait_until
from harness.prometheus import get
from test_service_manager import Manager


@pytest.fixture
def server(scripted_server):
    return scripted_server()


class Upgradable:
    """A gateway that was started from a file of its own, and whoever took its place."""

    def __init__(self, gateway, binary):
        self.gateway = gateway
        self.binary = binary
        self.pid = gateway.pid  # of the present one
        self.others = []

    def replace(self, text=None):
        """Another file at the same path: a copy of the same, or a script."""
        new = f"{self.binary}.new"
        if text is None:
            shutil.copy(self.gateway.binary, new)
        else:
            with open(new, "w", encoding="ascii") as script:
                script.write(text)
        os.chmod(new, 0o755)
        os.rename(new, self.binary)

    def ask(self):
        os.kill(self.pid, signal.SIGUSR2)

    def upgrade(self, patience=PATIENCE):
        """Waits until another one serves; returns the process id of the one before."""
        before, said = self.pid, self.gateway.log().count("has taken our place")
        self.ask()
        wait_until(lambda: self.gateway.log().count("has taken our place") > said, "another one serves", patience)
        self.pid = int(re.findall(r"has taken our place: draining.* pid=(\d+)", self.gateway.log())[-1])
        self.others.append(self.pid)
        assert self.pid != before and words_of(self.pid)[1] == "run"
        return before

    @property
    def serving(self):
        return next(pid for pid in children_of(self.pid) if words_of(pid)[:2] == ["postern", "gateway"])

    def stop(self):
        """All that has been started ends by itself; the first one with 0."""
        if alive(self.pid):
            os.kill(self.pid, signal.SIGTERM)
        wait_until(lambda: not any(alive(pid) for pid in self.others), "the others end")
        assert self.gateway.daemon.process.wait(PATIENCE) == 0
        log, self.gateway.daemon = self.gateway.log(), None
        check_for_troubles(log)
        return log


def alive(pid):
    return facts_of(pid).get("State", "Z")[0] != "Z"


def started_from_a_file_of_its_own(postern, folder, gateways, environment=None, **settings):
    binary = f"{folder}/postern"
    for name in ("postern", "postern-resolver"):
        shutil.copy(os.path.join(os.path.dirname(postern), name), f"{folder}/{name}")
    gateway = Gateway(postern, f"{folder}/gateway", **settings)
    gateways.append(gateway)
    argv = [binary, "run", "--config", gateway.configuration]
    gateway.daemon = Daemon(argv, f"{gateway.folder}/gateway.1.log", env={**os.environ, **(environment or {})})
    gateway.wait_for_log(" listening ")
    return Upgradable(gateway, binary)


@pytest.fixture
def start(postern, folder, certificates, gateways, server):
    def start(environment=None, **top):
        inbound = {
            "mx": {"certificates": ["mx"], "allow_open_relay_risk": True, "backend": {"address": server.address}}
        }
        settings = {"certificates": {"mx": [certificates.ecdsa.as_setting()]}, "upgrade_grace": "60s", **top}
        return started_from_a_file_of_its_own(postern, folder, gateways, environment, inbound=inbound, **settings)

    return start


def test_another_binary_takes_the_place_and_the_sessions_of_the_old_one_end(start, server):
    service = start(drain={"spread": "0s"})
    port = service.gateway.port()
    with secure_client(port, "starttls") as running, Client(port) as idle:
        idle.greeted()
        running.expect(250, "MAIL FROM:<a@example.net>")
        service.replace()
        before = service.upgrade()
        assert alive(before)
        with secure_client(port, "starttls") as client:
            client.send_message("a@example.net", ["b@example.org"], message())
            client.expect(250, "NOOP")  # it does not drain
        running.expect(250, "RCPT TO:<b@example.org>")
        running.expect(354, "DATA")
        running.send(message() + b".\r\n")
        running.expect(250)
        assert str(running.command("NOOP")).startswith("421 4.3.2")
        assert idle.rest().startswith(b"421 4.3.2")
    wait_until(lambda: not alive(before), "the old one ends")
    assert is_listening(port)
    service.stop()
    assert len(server.messages()) == 2


@pytest.mark.parametrize(
    "script, why",
    [
        ("#!/bin/sh\nexit 3\n", "it has ended: exit status 3"),
        ("#!/bin/sh\nexec sleep 600\n", "it has not said in time that it serves"),
        ("no program at all\n", ""),
    ],
)
def test_one_that_comes_to_nothing_is_forgotten_and_the_old_one_goes_on(start, server, script, why):
    service = start(upgrade_grace="2s")
    with Client(service.gateway.port()) as client:
        client.greeted()
        service.replace(script)
        service.ask()
        service.gateway.wait_for_log("(?i)no upgrade reason=.*" + re.escape(why))
        client.expect(250, "NOOP")
        wait_until(lambda: len(children_of(service.pid)) == 1, "the other one is gone")
    # And the next one may be better, if it has the time that it needs.
    service.gateway.reload(upgrade_grace="60s")
    service.replace()
    service.upgrade()
    with secure_client(service.gateway.port(), "starttls") as client:
        client.send_message("a@example.net", ["b@example.org"], message())
    service.stop()


def test_a_configuration_with_a_mistake_is_no_upgrade(start):
    service = start()
    with open(service.gateway.configuration, "a", encoding="utf-8") as file:
        file.write("nonsense\n")
    service.ask()
    service.gateway.wait_for_log("no upgrade reason=.*exit status 1")
    assert is_listening(service.gateway.port())
    with Client(service.gateway.port()) as client:
        client.greeted()
    service.stop()


def test_nobody_is_refused_and_no_message_is_lost_while_one_follows_the_other(start, server):
    service = start(drain={"spread": "1s"}, workers=3)
    over = threading.Event()
    accepted, failures = [], []

    def send():
        while not over.is_set():
            token = new_token()
            try:
                with secure_client(service.gateway.port(), "starttls") as client:
                    client.send_message("a@example.net", ["b@example.org"], message(token=token))
                    accepted.append(token)
                    client.quit()
            except Exception as failure:  # any of them counts
                failures.append(repr(failure))

    senders = [threading.Thread(target=send) for _ in range(8)]
    for sender in senders:
        sender.start()
    try:
        for number in range(5):
            if number % 2 == 1:
                service.replace("#!/bin/sh\nexit 1\n")
                said = service.gateway.log().count("no upgrade")
                service.ask()
                wait_until(lambda said=said: service.gateway.log().count("no upgrade") > said, "it came to nothing")
            else:
                service.replace()
                service.upgrade()
            more = len(accepted) + 20
            wait_until(lambda more=more: len(accepted) > more or failures, "mail flows")
    finally:
        over.set()
        for sender in senders:
            sender.join(PATIENCE)
    # Who is with the one that drains hears 421 at the next word, be that the greeting, and tries again; nothing else.
    assert [each for each in failures if "421 4.3.2" not in each] == []
    service.stop()
    got = [re.search(rb"X-Token: (\w+)", each)[1].decode() for each in server.messages()]
    assert sorted(got) == sorted(accepted)


def test_admin_and_control_sockets_are_the_new_one_s(start, folder):
    admin, control = free_port(), f"{folder}/control"
    service = start(admin={"listen": f"127.0.0.1:{admin}"}, control=control)

    with Client(service.gateway.port()) as client:
        client.greeted()
        client.expect(250, "MAIL FROM:<a@example.net>")  # the old one has something to wait for
        before = service.upgrade()
        wait_until(lambda: get(admin, "/readyz")[1] == "ready\n", "the new one answers")
        for _ in range(5):
            assert get(admin, "/readyz")[1] == "ready\n"
        with socket.socket(socket.AF_UNIX) as asking:
            asking.settimeout(PATIENCE)
            asking.connect(control)
            asking.sendall(b"reload\n")
            assert b"".join(iter(lambda: asking.recv(4096), b"")).startswith(b"done\n")
        assert alive(before)
    service.stop()


def test_the_service_manager_is_told_whose_the_place_is(start, folder):
    manager = Manager(f"{folder}/notify")
    service = start({"NOTIFY_SOCKET": manager.address})
    wait_until(lambda: manager.times("READY", "1"), "it is ready")
    service.upgrade()
    wait_until(lambda: manager.times("MAINPID", str(service.pid)), "it is told")
    wait_until(lambda: manager.times("READY", "1") == 2, "the new one is ready")
    told = [next(iter(each)) for each in manager.heard if "STATUS" not in each and "WATCHDOG" not in each]
    assert told == ["READY", "MAINPID", "READY"]
    service.stop()
    manager.close()


def test_the_signal_of_a_service_manager_to_all_does_not_cut_what_drains(start, server):
    service = start()
    with Client(service.gateway.port()) as client:
        client.greeted()
        client.expect(250, "MAIL FROM:<a@example.net>")
        before = service.upgrade()
        os.kill(before, signal.SIGTERM)
        time.sleep(1)
        client.expect(250, "RCPT TO:<b@example.org>")
        client.expect(250, "RSET")
    service.stop()
