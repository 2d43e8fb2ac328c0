"""Free loopback ports, and waiting for somebody to listen on them."""

import fcntl
import functools
import os
import random
import socket
import time

# Below the range from which the kernel takes the ports of outgoing connections, so that none of those is in the way.
_FIRST, _LAST = 15000, 32000
_given = set()

# In seconds. How long things take says nothing on a busy machine: waiting ends early where there is what was waited for.
PATIENCE = 60.0


def free_port(ending=None):
    """A TCP port that nobody uses on any loopback address, never given twice, nor to another process of scenarios while
    this one lives; with these last three digits, where some are wanted.
    """
    while True:
        port = random.randint(_FIRST, _LAST)
        port = port if ending is None else port // 1000 * 1000 + ending
        if port not in _given and _is_ours(port) and _is_free(port):
            _given.add(port)
            return port


def _is_ours(port):
    """Whoever listens on it does so a moment later: until then a lock on one octet of a file says whose it is."""
    try:
        fcntl.lockf(_ports_file(), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except (BlockingIOError, PermissionError):
        return False
    return True


@functools.cache
def _ports_file():
    """Open until this process ends, which takes its locks with it."""
    folder = os.environ.get("POSTERN_BUILD", "build")
    os.makedirs(folder, exist_ok=True)
    return os.open(f"{folder}/scenarios.ports", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _is_free(port):
    for family, address in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
        try:
            with socket.socket(family, socket.SOCK_STREAM) as probe:
                if family == socket.AF_INET6:
                    probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                probe.bind((address, port))
        except OSError as error:
            if family == socket.AF_INET6 and not isinstance(error, PermissionError) and error.errno in (97, 99):
                continue  # a machine without IPv6
            return False
    return True


def is_listening(port, process="self"):
    """True when a TCP socket listens on the port, on the host of that process."""
    return listeners(port, process) > 0


def listeners(port, process="self"):
    """How many TCP sockets listen on the port, at as many addresses or families, on the host of that process. Looks it
    up instead of connecting: no session is started.
    """
    count = 0
    for table in ("tcp", "tcp6"):
        try:
            with open(f"/proc/{process}/net/{table}", encoding="ascii") as lines:
                next(lines)
                for line in lines:
                    fields = line.split()
                    if fields[3] == "0A" and int(fields[1].rsplit(":", 1)[1], 16) == port:
                        count += 1
        except FileNotFoundError:
            pass
    return count


def wait_until(condition, what, timeout=PATIENCE, interval=0.02):
    """Waits until condition() is true and returns its value; fails with `what` when the time is over."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout:g} s: {what}")
        time.sleep(interval)
