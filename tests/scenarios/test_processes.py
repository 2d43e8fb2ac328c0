"""Keeper, gateway and resolver: what each may do, and what happens to mail when one of them ends."""

import collections
import concurrent.futures
import contextlib
import os
import re
import signal
import threading
import time

import pytest

from harness.client import Client, Closed
from harness.daemon import Daemon, children_of, facts_of, resident_kib, share_kib, words_of
from harness.gateway import Gateway, write_configuration
from harness.ports import PATIENCE, is_listening, wait_until

SENDERS = 50
SETTLED = 3.3  # seconds: one that has lived that long is followed at once
ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: processes change users")

# linux/capability.h
DAC_READ_SEARCH, KILL, SETGID, SETUID, NET_BIND_SERVICE = 2, 5, 6, 7, 10


def resolver_of(gateway):
    return next(pid for pid in children_of(gateway.pid) if words_of(pid)[:1] == ["postern-resolver"])


def alive(pid):
    return os.path.exists(f"/proc/{pid}")


def ended(gateway, timeout=PATIENCE):
    status = gateway.daemon.process.wait(timeout)
    log, gateway.daemon = gateway.log(), None
    return status, log


def kill_serving(gateway):
    """Returns the one that came after it, once that is there."""
    pid = gateway.serving
    os.kill(pid, signal.SIGKILL)
    return wait_until(lambda: gateway.serving not in (None, pid) and gateway.serving, "there is another gateway")


class Sender(threading.Thread):
    """Sends one numbered message after the other, each until it is told that somebody has it."""

    def __init__(self, port, name, enough):
        super().__init__()
        self.port, self.name, self.enough = port, name, enough
        self.accepted = []
        self.in_doubt = collections.Counter()  # attempts whose end was sent, and whose reply has not come
        self.lost = 0
        self.failures = []

    def run(self):
        number = 0
        while not self.enough.is_set():
            token = f"{self.name}-{number}"
            number += 1
            while not self.attempt(token):
                if self.failures:
                    return
            self.accepted.append(token)

    def attempt(self, token):
        sent = False
        try:
            with Client(self.port) as client:
                client.greeted()
                for command in (f"MAIL FROM:<{token}@example.net>", "RCPT TO:<b@example.org>", "DATA"):
                    assert client.command(command).code in (250, 354), command
                client.send(f"Subject: <{token}>\r\n\r\n{'x' * 2000}\r\n.".encode())
                time.sleep(0.2)  # many are here when it is killed
                sent = True
                client.send(b"\r\n")
                assert client.reply().code == 250
                return True
        except (ConnectionRefusedError, TimeoutError) as failure:
            self.failures.append(failure)
        except (Closed, OSError):
            self.lost += 1
            self.in_doubt[token] += sent
        except AssertionError as failure:
            self.failures.append(failure)
        return False


@contextlib.contextmanager
def senders(port):
    enough = threading.Event()
    running = [Sender(port, f"{number}", enough) for number in range(SENDERS)]
    for sender in running:
        sender.start()
    try:
        yield running
    finally:
        enough.set()
        for sender in running:
            sender.join()


@pytest.mark.parametrize("kills", [3, pytest.param(20, marks=pytest.mark.full)])
def test_a_gateway_that_is_killed_costs_its_sessions_and_no_message(start_gateway, sink, kills):
    gateway = start_gateway({"address": sink.address}, mode="none", certificates=[])
    with senders(gateway.port()) as running:
        for _ in range(kills):
            settled = time.monotonic() + SETTLED
            wait_until(lambda until=settled: time.monotonic() > until, "it has served for a while")
            kill_serving(gateway)
        before = sum(len(sender.accepted) for sender in running)
        wait_until(lambda: sum(len(sender.accepted) for sender in running) > before + SENDERS, "mail flows again")
    assert [failure for sender in running for failure in sender.failures] == []
    assert sum(sender.lost for sender in running) >= kills  # else nobody was in the middle of it
    wait_until(lambda: gateway.log().count("there is a gateway again") == kills, "the last one has begun")
    assert gateway.log().count("the gateway was lost") == kills
    assert f"losses={kills} another_after_ms=0" in gateway.log()
    delivered = collections.Counter(
        token.decode() for mail in sink.maildir.messages() for token in re.findall(rb"Subject: <(\S+)>", mail)
    )
    for sender in running:
        for token in sender.accepted:
            assert 1 <= delivered[token] <= 1 + sender.in_doubt[token], token
    assert set(delivered) == {token for sender in running for token in sender.accepted}


def test_who_connects_while_there_is_no_gateway_waits_for_the_next_one(start_gateway, scripted_server):
    gateway = start_gateway({"address": scripted_server().address}, mode="none", certificates=[])
    while "another_after_ms=1000" not in gateway.log():  # the second at the latest, if that has not lived for long
        pid = gateway.serving
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    assert is_listening(gateway.port())
    begun = time.monotonic()
    with Client(gateway.port()) as client:
        client.greeted()
        client.quit()
    assert time.monotonic() - begun < PATIENCE / 2


def test_a_gateway_without_its_keeper_drains_and_ends(start_gateway, scripted_server):
    server = scripted_server()
    gateway = start_gateway(
        inbound={"mx": {"mode": "none", "allow_open_relay_risk": True,
                        "backend": {"address": f"localhost:{server.port}"}}},
    )  # fmt: skip
    serving, resolver = gateway.serving, resolver_of(gateway)
    with Client(gateway.port()) as client:
        client.greeted()
        client.expect(250, "MAIL FROM:<a@example.net>")
        os.kill(gateway.pid, signal.SIGKILL)
        gateway.daemon.process.wait(PATIENCE)
        wait_until(lambda: not is_listening(gateway.port()), "nobody new is let in")
        client.expect(250, "RCPT TO:<b@example.org>")
        client.expect(354, "DATA")
        assert alive(serving) and alive(resolver)
        client.send(b"Subject: x\r\n\r\nx\r\n.\r\n")
        client.expect(250)
        client.expect(421, "MAIL FROM:<a@example.net>")
    wait_until(lambda: not alive(serving) and not alive(resolver), "both have ended")
    assert len(server.messages()) == 1
    assert "the keeper is lost: draining" in gateway.log() and "stopped" in gateway.log()
    gateway.daemon = None


def test_beside_a_gateway_that_drains_without_its_keeper_another_one_begins(start_gateway, scripted_server, folder):
    settings = {"admin": {"listen": f"unix:{folder}/admin"}, "control": f"{folder}/control"}
    gateway = start_gateway({"address": scripted_server().address}, mode="none", certificates=[], top=settings)
    serving = gateway.serving
    with Client(gateway.port()) as client:
        client.greeted()
        client.expect(250, "MAIL FROM:<a@example.net>")
        os.kill(gateway.pid, signal.SIGKILL)
        gateway.daemon.process.wait(PATIENCE)
        gateway.wait_for_log("the keeper is lost: draining")
        wait_until(lambda: not is_listening(gateway.port()), "nobody new is let in")
        assert alive(serving)
        gateway.start()
        client.expect(250, "RSET")
    wait_until(lambda: not alive(serving), "the first one has ended")


def test_a_signal_to_all_of_them_at_once_is_one_to_the_keeper(start_gateway, scripted_server):
    gateway = start_gateway({"address": scripted_server().address}, mode="none", certificates=[])
    with Client(gateway.port()) as client:
        client.greeted()
        client.expect(250, "MAIL FROM:<a@example.net>")
        os.killpg(gateway.pid, signal.SIGTERM)
        wait_until(lambda: not is_listening(gateway.port()), "nobody new is let in")
        client.expect(250, "RCPT TO:<b@example.org>")
        client.expect(250, "RSET")
        client.expect(421, "NOOP")
    status, log = ended(gateway)
    assert status == 0 and log.count("info draining") == 1


def test_one_that_does_not_stop_is_killed(start_gateway, scripted_server):
    gateway = start_gateway({"address": scripted_server().address}, mode="none", certificates=[])
    os.kill(gateway.serving, signal.SIGSTOP)
    os.kill(gateway.pid, signal.SIGTERM)
    gateway.wait_for_log("draining")
    os.kill(gateway.pid, signal.SIGTERM)
    status, log = ended(gateway)
    assert status == 1
    assert "the gateway was lost before it had drained" in log and "killed by signal 9" in log


class Prefixed:
    """Starts what it is given by way of another command."""

    def __init__(self, *words):
        self.words = list(words)

    def command(self, *argv):
        return [*self.words, *argv]


def capabilities(*numbers):
    return sum(1 << number for number in numbers)


@pytest.fixture
def inbound(scripted_server):
    """By name, so that there is a resolver, too."""
    backend = {"address": f"localhost:{scripted_server().port}"}
    return {"mx": {"mode": "none", "allow_open_relay_risk": True, "backend": backend}}


def served(gateway):
    with Client(gateway.port()) as client:
        client.greeted()
        client.quit()


@ROOT
def test_what_each_of_them_may_do(start_gateway, inbound):
    gateway = start_gateway(inbound=inbound, top={"user": "nobody"})
    served(gateway)
    own = int(facts_of("self")["CapBnd"], 16)
    keeping = capabilities(DAC_READ_SEARCH, KILL, SETGID, SETUID, NET_BIND_SERVICE) & own
    facts = facts_of(gateway.pid)
    assert facts["Uid"].split() == ["0"] * 4 and facts["NoNewPrivs"] == "1"
    for kind in ("CapPrm", "CapEff", "CapBnd"):
        assert int(facts[kind], 16) == keeping, kind
    for pid in (gateway.serving, resolver_of(gateway)):
        facts = facts_of(pid)
        assert facts["Uid"].split() == ["65534"] * 4 and facts["NoNewPrivs"] == "1"
        for kind in ("CapPrm", "CapEff", "CapInh", "CapAmb"):
            assert int(facts[kind], 16) == 0, kind


@ROOT
def test_without_root_it_does_the_same_without_rights(postern, folder, inbound, gateways):
    os.chmod(folder, 0o777)
    namespace = Prefixed("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
    gateway = Gateway(postern, f"{folder}/gateway", inbound, namespace=namespace)
    gateways.append(gateway)
    gateway.start()
    served(gateway)
    for pid in (gateway.pid, gateway.serving, resolver_of(gateway)):
        facts = facts_of(pid)
        assert facts["Uid"].split() == ["65534"] * 4 and facts["NoNewPrivs"] == "1"
        assert int(facts["CapPrm"], 16) == 0
    assert os.stat(f"/proc/{gateway.pid}/mem").st_uid == 0  # the keys in it are for nobody else of that user
    kill_serving(gateway)
    served(gateway)


@ROOT
def test_a_gateway_that_cannot_begin_is_a_start_that_failed(postern, folder, inbound):
    del inbound["mx"]["backend"]
    listener = {"listen": ["127.0.0.1:0"], "backend": {"address": "127.0.0.1:1"}, **inbound["mx"]}
    path = write_configuration(f"{folder}/postern.yaml", {"user": "nobody", "inbound": {"mx": listener}})
    daemon = Daemon(["setpriv", "--bounding-set=-setgid", postern, "run", "--config", path], f"{folder}/log")
    assert daemon.process.wait(PATIENCE) == 1
    assert re.search("cannot start .*cannot take the groups of nobody", daemon.output())


def test_keeper_and_resolver_are_small(start_gateway, honest_memory, certificates, scripted_server):
    """With what most configurations have: certificates, and mail that is let out by the Web PKI and DNSSEC."""
    listener = {"certificates": ["mx"], "allow_open_relay_risk": True,
                "backend": {"address": f"localhost:{scripted_server().port}"}}  # fmt: skip
    relay = {"route": "mx", "dane": False}
    gateway = start_gateway(inbound={"mx": listener}, top={"outbound": {"out": relay}})
    served(gateway)
    processes = {"keeper": gateway.pid, "resolver": resolver_of(gateway), "gateway": gateway.serving}
    memory = {name: (resident_kib(pid), share_kib(pid)) for name, pid in processes.items()}
    print(memory)
    assert memory["keeper"][1] + memory["resolver"][1] < 25 * 1024, memory
