"""The gateways, as far as both directions have them in common. All of them log nothing per session, use one worker, and
speak TLS 1.3 with AES-128-GCM, so that only their design is compared."""

import os
import socket

SUITE = "TLS_AES_128_GCM_SHA256"


class Place:
    """Where one run of the bench keeps its things, and which ports it uses."""

    def __init__(self, folder, peers, load, postern):
        self.folder, self.peers, self.load, self.postern = folder, peers, load, postern
        self._next_port = 20000  # below the range that the kernel takes clients' ports from
        self._sink_ports = {}

    def port(self):
        """A free port on loopback."""
        while True:
            self._next_port += 1
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind(("127.0.0.1", self._next_port))
                    return self._next_port
                except OSError:
                    pass

    def sink(self, service):
        """The port of one of the sink's services."""
        if service not in self._sink_ports:
            self._sink_ports[service] = self.port()
        return self._sink_ports[service]

    def chain(self, kind):
        return os.path.join(self.folder, kind + ".chain.pem")

    def key(self, kind):
        return os.path.join(self.folder, kind + ".key.pem")

    def both(self, kind):
        return os.path.join(self.folder, kind + ".both.pem")

    def write(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, "w") as file:
            file.write(text)
        return path


class Gateway:
    name = ""
    serves = []  # its listeners; what they stand for is said by each direction
    is_postern = False
    is_proxy = True  # False: the mail server itself, whose counts are not checked against the sink
    tls_to_sink = False  # what the sink has counted of handshakes is the gateway's doing

    def __init__(self, place):
        self.place = place
        self.ports = {listener: place.port() for listener in self.serves}

    def target(self, row):
        """(port, security) for the row's clients; None where the gateway cannot do it."""
        if self.name in row.skip or row.listener not in self.ports:
            return None
        return self.ports[row.listener], self.security(row.listener)

    def security(self, listener):
        """What clients of the listener begin with: plain, starttls or implicit."""
        raise NotImplementedError

    def behind(self, listener):
        """The port of the sink that the listener hands its sessions to."""
        raise NotImplementedError

    def command(self):
        """Writes the configuration and returns the command that runs the gateway in the foreground."""
        raise NotImplementedError


class Postern(Gateway):
    name = "postern"
    is_postern = True

    def __init__(self, place, name=None, binary=None):
        """Under another name and with another binary: a second Postern beside the first, say with another BoringSSL."""
        super().__init__(place)
        self.name, self.binary = name or self.name, binary or place.postern

    def command(self):
        text = f"workers: 1\nhostname: gateway.bench.example\nlog: {{ level: warning }}\n{self.settings()}"
        return [self.binary, "run", "--config", self.place.write(self.name + ".yaml", text)]


class HaProxy(Gateway):
    name = "haproxy"

    def command(self):
        text = f"""\
global
  nbthread 1
  maxconn 4500
  ssl-default-bind-ciphersuites {SUITE}
  ssl-default-server-ciphersuites {SUITE}
defaults
  mode tcp
  timeout connect 10s
  timeout client 10m
  timeout server 10m
"""
        for listener, port in self.ports.items():
            text += (f"listen {listener}\n  bind 127.0.0.1:{port}{self.bind_options(listener)}\n"
                     f"  server sink 127.0.0.1:{self.behind(listener)}{self.server_options(listener)}\n")
        return [self.place.peers.haproxy, "-db", "-f", self.place.write("haproxy.cfg", text)]

    def bind_options(self, listener):
        return ""

    def server_options(self, listener):
        return ""


class Stunnel(Gateway):
    name = "stunnel"

    def command(self):
        text = "foreground = yes\nsyslog = no\ndebug = err\npid =\n"
        for listener, port in self.ports.items():
            text += f"[{listener}]\naccept = 127.0.0.1:{port}\nconnect = 127.0.0.1:{self.behind(listener)}\n"
            text += f"ciphersuites = {SUITE}\n{self.options(listener)}"
            text += "protocol = smtp\n" if listener.startswith("starttls") else ""
        return [self.place.peers.stunnel, self.place.write("stunnel.conf", text)]


class Nginx(Gateway):
    def command(self):
        text = f"""\
load_module {self.module()};
daemon off;
worker_processes 1;
worker_rlimit_nofile 10000;
pid {self.place.folder}/{self.name}.pid;
error_log stderr crit;
events {{ worker_connections 10000; }}
{self.block()}"""
        return [self.place.peers.nginx, "-p", self.place.folder, "-e", "stderr", "-c",
                self.place.write(self.name + ".conf", text)]


class Relay(Gateway):
    """The floor of any proxy: octets passed on in plaintext. Its one port stands in for every other gateway's."""
    name = "relay"
    serves = ["plain"]

    def target(self, row):
        return None if self.name in row.skip else (self.ports["plain"], "plain")

    def command(self):
        return [self.place.load, "relay", str(self.ports["plain"]), str(self.place.sink("plain"))]
