"""NSD, which serves the zones of a DnsTree, and Unbound, the validating resolver of the hosts. Both in a namespace.
Forwarder is one of the kind that home routers have.
"""

import contextlib
import os
import signal
import socket
import threading

from harness.daemon import Daemon
from harness.debian import unpack

_NSD = """
server:
  ip-address: {address}
  hide-version: yes
  username: ""
  chroot: ""
  zonesdir: ""
  database: ""
  pidfile: ""
  xfrdir: "{folder}"
  xfrdfile: ""
  zonelistfile: "{folder}/zone.list"
  server-count: 1
  # The scenarios ask the same few things again and again, all from one address.
  rrl-ratelimit: 0
remote-control:
  control-enable: no
"""

_UNBOUND = """
server:
  interface: {address}
  access-control: 0.0.0.0/0 allow
  outgoing-interface: {address}
  do-ip6: no
  do-daemonize: no
  username: ""
  chroot: ""
  directory: "{folder}"
  pidfile: ""
  use-syslog: no
  root-hints: "{folder}/root.hints"
  trust-anchor-file: "{trust_anchor}"
  num-threads: 1
  # A server that was away is asked again at once, and failures are not remembered: scenarios stop and start it.
  infra-host-ttl: 0
  cache-max-ttl: 2
  cache-max-negative-ttl: 2
  val-bogus-ttl: 0
  module-config: "{modules}"
  minimal-responses: yes
  # By itself it would say that there are none.
  local-zone: "home.arpa." nodefault
  local-zone: "test." nodefault
  edns-buffer-size: 1232
remote-control:
  control-enable: no
"""


class _Server:
    """A DNS server in a namespace; start() waits until it answers."""

    def __init__(self, namespace, folder, address, program):
        self.namespace = namespace
        self.folder = str(folder)
        self.address = address
        self.daemon = None
        self._program = program
        os.makedirs(self.folder, exist_ok=True)

    def _write(self, name, text):
        path = f"{self.folder}/{name}"
        with open(path, "w", encoding="ascii") as file:
            file.write(text.lstrip("\n"))
        return path

    def start(self):
        argv = self.namespace.command(*self._program)
        self.daemon = Daemon(argv, f"{self.folder}/log", env=self._unpacked.environment())
        self.daemon.wait_ready(self._answers, f"{self._program[0]} answers")
        return self

    def stop(self):
        if self.daemon:
            self.daemon.terminate()
            self.daemon.kill()
            self.daemon = None

    @contextlib.contextmanager
    def paused(self):
        """It is there and does not answer for a while; then it does."""
        os.killpg(self.daemon.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.killpg(self.daemon.pid, signal.SIGCONT)

    def _answers(self):
        """Asks for the SOA of the root, without recursion where none is offered."""
        question = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x06\x00\x01"
        with self.namespace.entered():
            asking = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with asking:
            asking.settimeout(0.5)
            try:
                asking.connect((self.address, 53))
                asking.send(question)
                return asking.recv(4096)[3] & 0x0F == 0
            except OSError:
                return False


class Nsd(_Server):
    def __init__(self, build_folder, namespace, folder, tree, address):
        self._unpacked = unpack(build_folder, "nsd", ["nsd"])
        super().__init__(namespace, folder, address, None)
        self._tree = tree
        self._program = [self._unpacked.path("usr/sbin/nsd"), "-d", "-c", f"{self.folder}/nsd.conf"]

    def start(self):
        text = _NSD.format(address=self.address, folder=self.folder)
        for origin, file in self._tree.files.items():
            text += f'zone:\n  name: "{origin}"\n  zonefile: "{file}"\n'
        self._write("nsd.conf", text)
        return super().start()


class Unbound(_Server):
    """One that does not validate takes the signatures for what they are worth to it: nothing."""

    def __init__(self, build_folder, namespace, folder, tree, address, root_address, validates=True):
        self._unpacked = unpack(build_folder, "unbound", ["unbound"])
        super().__init__(namespace, folder, address, None)
        self._write("root.hints", f". NS {tree.server}\n{tree.server} A {root_address}\n")
        configuration = self._write(
            "unbound.conf",
            _UNBOUND.format(
                address=address, folder=self.folder, trust_anchor=tree.trust_anchor,
                modules="validator iterator" if validates else "iterator",
            ),  # fmt: skip
        )
        self._program = [self._unpacked.path("usr/sbin/unbound"), "-d", "-c", configuration]


class Forwarder:
    """Hands questions on to another name server, from the namespace that the calling thread has entered. What it does to
    them may change while it runs: "honest"; "strips": asks without EDNS, so that nothing comes that DNSSEC needs;
    "refuses": everything; "hides keys": strips, and refuses questions for DNSKEY. `questions` keeps (name, type).
    """

    def __init__(self, address, upstream, does="strips"):
        self.address = address
        self.does = does
        self.questions = []
        self._upstream = upstream
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((address, 53))
        self._closed = False
        self._thread = threading.Thread(target=self._serve, daemon=True)  # threads stay in the namespace of their maker
        self._thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self._closed = True
        self._socket.sendto(b"", self._socket.getsockname())  # wakes the thread
        self._thread.join(30)
        self._socket.close()

    def _serve(self):
        with contextlib.suppress(OSError):
            while not self._closed:
                query, client = self._socket.recvfrom(4096)
                if len(query) > 12:
                    threading.Thread(target=self._answer, args=(query, client), daemon=True).start()

    def _answer(self, query, client):
        name, kind, end = _question(query)
        self.questions.append((name, kind))
        bare = query[:2] + query[2:4] + b"\0\1" + bytes(6) + query[12:end]
        if self.does == "refuses" or (self.does == "hides keys" and kind == _DNSKEY):
            reply = bare[:2] + b"\x81\x85" + bare[4:]
        else:
            reply = self._ask(query if self.does == "honest" else bare)
        with contextlib.suppress(OSError):
            if reply:
                self._socket.sendto(reply, client)

    def _ask(self, query):
        """By TCP: without EDNS little fits into a datagram."""
        with contextlib.suppress(OSError), socket.create_connection((self._upstream, 53), 5) as asking:
            asking.sendall(len(query).to_bytes(2, "big") + query)
            with asking.makefile("rb") as replies:
                return replies.read(int.from_bytes(replies.read(2), "big"))
        return b""


_DNSKEY = 48


def _question(query):
    """Name and type of the question, and where it ends."""
    at, labels = 12, []
    while query[at]:
        labels.append(query[at + 1 : at + 1 + query[at]].decode("ascii", "replace").lower())
        at += query[at] + 1
    return ".".join(labels), int.from_bytes(query[at + 1 : at + 3], "big"), at + 5
