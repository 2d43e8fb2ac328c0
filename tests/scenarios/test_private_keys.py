"""`private_keys`: with `separate` the keeper signs and the gateway never has a key; with `inside` it does it itself."""

import ctypes
import os
import re
import signal
import socket
import ssl
import subprocess
import threading
import time

import pytest

from harness.client import Client, Closed, tls_context
from harness.ports import PATIENCE, wait_until

NOT_HAD = (ConnectionError, ssl.SSLError, Closed, TimeoutError, OSError)


def secret_numbers(key):
    """What nobody but the key's holder knows, as octets, most significant first: a scalar, or factors and exponents."""
    text = subprocess.run(["openssl", "pkey", "-in", key, "-noout", "-text"], capture_output=True, text=True, check=True)
    found = {}
    for name, digits in re.findall(r"^(\w+):\n((?: +[0-9a-f:]+\n)+)", text.stdout, re.MULTILINE):
        found[name] = bytes.fromhex(re.sub(r"[^0-9a-f]", "", digits)).lstrip(b"\0")
    wanted = ["prime1", "prime2", "privateExponent", "exponent1", "exponent2", "coefficient", "priv"]
    numbers = [found[name] for name in wanted if name in found]
    assert numbers, text.stdout
    return numbers


def patterns_of(pair):
    """Pieces of the numbers in either order of octets, and of the file's own text."""
    patterns = set()
    for number in secret_numbers(pair.key):
        for form in (number, number[::-1]):
            patterns |= {form[:24], form[-24:]}
    with open(pair.key, "rb") as file:
        lines = [line for line in file.read().splitlines() if not line.startswith(b"-")]
    return patterns | {lines[0][-32:], lines[-1]} if len(lines[-1]) >= 24 else patterns | {lines[0][-32:]}


def is_in_memory(pid, patterns):
    """Any of the patterns is in what the process has in its memory."""
    with open(f"/proc/{pid}/maps", encoding="ascii") as maps, open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for line in maps:
            place, rights = line.split()[:2]
            if "r" not in rights or "[v" in line:
                continue
            start, end = (int(number, 16) for number in place.split("-"))
            try:
                content = os.pread(memory.fileno(), end - start, start)
            except OSError:
                continue
            if any(pattern in content for pattern in patterns):
                return True
    return False


class Load:
    """Clients that shake hands as fast as they can; `hung` are those for which it took too long."""

    def __init__(self, port, threads=4, longest=PATIENCE):
        self.port, self.longest = port, longest
        self.done = self.failed = self.hung = 0
        self._on = True
        self._threads = [threading.Thread(target=self._run) for _ in range(threads)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._on = False
        for thread in self._threads:
            thread.join()

    def _run(self):
        context = tls_context()  # of its own: nothing is resumed
        while self._on:
            began = time.monotonic()
            try:
                with Client(self.port, timeout=self.longest) as client:
                    client.start_tls(context)
                    greeted = client.reply().code == 220  # a gateway that is going says 421
                self.done += greeted
                self.failed += not greeted
            except NOT_HAD:
                self.failed += 1
                time.sleep(0.05)
            if time.monotonic() - began >= self.longest:
                self.hung += 1


@pytest.mark.skipif(os.geteuid() != 0, reason="reads the memory of other processes")
@pytest.mark.parametrize("kind", ["p256", "rsa"])
@pytest.mark.parametrize("where", ["separate", "inside"])
def test_where_the_octets_of_a_key_are(start_gateway, scripted_server, authority, where, kind):
    pair = authority.issue("mx.example.org", kind)
    top = {"certificates": {"mx": [pair.as_setting()]}, "private_keys": where}
    gateway = start_gateway({"address": scripted_server().address}, top=top, mode="implicit")
    patterns = patterns_of(pair)
    with Load(gateway.port()) as load:
        wait_until(lambda: load.done >= 20, "handshakes are made")
        assert is_in_memory(gateway.pid, patterns), "what this looks for is not what a key is"
        for _ in range(3):
            before = load.done
            assert is_in_memory(gateway.serving, patterns) == (where == "inside")
            wait_until(lambda: load.done > before, "handshakes go on")
    assert load.failed == 0


@pytest.mark.parametrize("mode", ["implicit", "starttls"])
def test_a_keeper_that_is_killed_leaves_nobody_waiting(start_gateway, scripted_server, mode):
    gateway = start_gateway({"address": scripted_server().address}, mode=mode)
    serving = gateway.serving
    if mode == "implicit":
        with Load(gateway.port(), longest=8) as load:
            wait_until(lambda: load.done >= 20, "handshakes are made")
            os.kill(gateway.pid, signal.SIGKILL)
            wait_until(lambda: load.failed >= 8, "nobody signs any more")
        assert load.hung == 0
    else:
        with Client(gateway.port()) as client:
            client.greeted()
            os.kill(gateway.pid, signal.SIGKILL)
            time.sleep(0.5)
            with pytest.raises((AssertionError, *NOT_HAD)):  # 454 or 421, or it is gone
                client.expect(220, "STARTTLS")
    wait_until(lambda: not os.path.exists(f"/proc/{serving}"), "the gateway has drained")
    gateway.kill()


def packet_sockets(pid):
    """The numbers of a process's descriptors that keep packets whole."""
    with open(f"/proc/{pid}/net/unix", encoding="ascii") as table:
        kept_whole = {line.split()[6] for line in table if line.split()[4] == "0005"}
    found = []
    for number in os.listdir(f"/proc/{pid}/fd"):
        target = os.readlink(f"/proc/{pid}/fd/{number}")
        if target.startswith("socket:[") and target[8:-1] in kept_whole:
            found.append(int(number))
    return found


def shut_down(pid, number):
    """Ends a connection of another process, as seen from both ends."""
    pidfd_getfd = 438
    process = os.pidfd_open(pid)
    copy = ctypes.CDLL(None, use_errno=True).syscall(pidfd_getfd, process, number, 0)
    os.close(process)
    assert copy >= 0, os.strerror(ctypes.get_errno())
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET, fileno=copy) as connection:
        connection.shutdown(socket.SHUT_RDWR)


def can_shake_hands(port):
    try:
        with Client(port, timeout=PATIENCE) as client:
            client.start_tls()
            client.expect(220)
        return True
    except NOT_HAD:
        return False


@pytest.mark.skipif(os.geteuid() != 0, reason="takes a descriptor of another process")
def test_a_worker_that_is_cut_off_from_its_keys_gets_another_way_to_them(start_gateway, scripted_server):
    gateway = start_gateway({"address": scripted_server().address}, top={"workers": 1}, mode="implicit")
    serving = gateway.serving
    for times in (1, 2):  # the second time after a pause
        assert can_shake_hands(gateway.port())
        (to_signer,) = [number for number in packet_sockets(serving) if number != 3]
        shut_down(serving, to_signer)
        wait_until(lambda: gateway.log().count("nobody signs for a worker") == times, "it has noticed")
        wait_until(lambda: can_shake_hands(gateway.port()), "its handshakes are signed again")
    assert gateway.serving == serving


def test_a_keeper_that_hangs_is_waited_for_in_bounds(start_gateway, scripted_server):
    """Ten seconds; after that STARTTLS is not begun, until the keeper is back."""
    gateway = start_gateway({"address": scripted_server().address}, top={"workers": 1})
    with Client(gateway.port()) as early, Client(gateway.port()) as client:
        early.greeted()
        client.greeted()
        client.expect(220, "STARTTLS")
        gateway.freeze()
        try:
            with pytest.raises(NOT_HAD):
                client.start_tls()
            reply = early.command("STARTTLS")
            assert reply.code == 454, reply
            assert reply.text.startswith("4.7.0")
        finally:
            os.kill(gateway.pid, signal.SIGCONT)
        wait_until(lambda: early.command("STARTTLS").code == 220, "the keeper signs again")
        early.start_tls().expect(250, "EHLO client.example")
    gateway.wait_for_log(r"no signature: the signer does not answer")
