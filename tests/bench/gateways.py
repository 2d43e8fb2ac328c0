"""Every gateway that is measured: how it is configured and started. All of them log nothing per session, use one
worker, and offer TLS 1.3 with AES-128-GCM, so that only their design is compared."""

import os
import socket

# What a gateway listens on, each in front of the plaintext sink. "plain" is the STARTTLS port, or where a gateway knows no
# STARTTLS a listener without TLS: sessions that never start TLS ("churn") go there.
LISTENERS = ["implicit-p256", "implicit-rsa", "starttls-p256", "starttls-rsa", "plain"]
SUITE = "TLS_AES_128_GCM_SHA256"


class Place:
    """Where one run of the bench keeps its things, and which ports it uses."""

    def __init__(self, folder, peers, load, postern):
        self.folder, self.peers, self.load, self.postern = folder, peers, load, postern
        self._next_port = 20000  # below the range that the kernel takes clients' ports from
        self.sink_port = self.port()
        self.auth_port = self.port()

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
    serves = LISTENERS
    is_proxy = True  # False: the mail server itself, whose counts are not checked against the sink

    def __init__(self, place):
        self.place = place
        self.ports = {listener: place.port() for listener in self.serves}

    def command(self):
        """Writes the configuration and returns the command that runs the gateway in the foreground."""
        raise NotImplementedError

    def tls_listeners(self):
        """(listener, mode, certificate kind, port) of all that speak TLS."""
        for listener, port in self.ports.items():
            if listener != "plain":
                mode, kind = listener.split("-")
                yield listener, mode, kind, port


class Postern(Gateway):
    name = "postern"
    binary = property(lambda self: self.place.postern)

    def command(self):
        text = "workers: 1\nhostname: gateway.bench.example\nlog: { level: warning }\ncertificates:\n"
        for kind in ("p256", "rsa"):
            text += f"  {kind}:\n    - {{ chain: {self.place.chain(kind)}, key: {self.place.key(kind)} }}\n"
        text += "inbound:\n"
        for listener, mode, kind, port in self.tls_listeners():
            text += self._listener(listener, port, mode, kind)
        text += self._listener("plain", self.ports["plain"], "starttls", "p256")
        return [self.binary, "run", "--config", self.place.write(self.name + ".yaml", text)]

    def _listener(self, name, port, mode, kind):
        return f"""\
  {name}:
    listen: ["127.0.0.1:{port}"]
    mode: {mode}
    certificates: [{kind}]
    backend: {{ address: "127.0.0.1:{self.place.sink_port}" }}
    allow_open_relay_risk: true
"""


class OtherPostern(Postern):
    """Another build, measured beside the first: with another BoringSSL, or of another commit."""
    binary = ""

    def __init__(self, place, name, binary):
        super().__init__(place)
        self.name, self.binary = name, binary


class HaProxy(Gateway):
    name = "haproxy"
    serves = ["implicit-p256", "implicit-rsa", "plain"]

    def command(self):
        text = f"""\
global
  nbthread 1
  maxconn 4500
  ssl-default-bind-ciphersuites {SUITE}
defaults
  mode tcp
  timeout connect 10s
  timeout client 10m
  timeout server 10m
"""
        for listener, _, kind, port in self.tls_listeners():
            text += self._listener(listener, port, f" ssl crt {self.place.both(kind)}")
        text += self._listener("plain", self.ports["plain"], "")
        return [self.place.peers.haproxy, "-db", "-f", self.place.write("haproxy.cfg", text)]

    def _listener(self, name, port, tls):
        return f"listen {name}\n  bind 127.0.0.1:{port}{tls}\n  server sink 127.0.0.1:{self.place.sink_port}\n"


class Hitch(Gateway):
    name = "hitch"
    serves = ["implicit-p256", "implicit-rsa"]

    def command(self):
        text = f"""\
backend = "[127.0.0.1]:{self.place.sink_port}"
workers = 1
daemon = off
syslog = off
log-level = 0
ocsp-dir = ""
tls-protos = TLSv1.2 TLSv1.3
ciphersuites = "{SUITE}"
backlog = 4096
user = "nobody"
"""
        for _, _, kind, port in self.tls_listeners():
            text += f'frontend = {{ host = "127.0.0.1" port = "{port}" pem-file = "{self.place.both(kind)}" }}\n'
        return [self.place.peers.hitch, "--config=" + self.place.write("hitch.conf", text)]


class Stunnel(Gateway):
    name = "stunnel"
    serves = ["implicit-p256", "implicit-rsa", "starttls-p256", "starttls-rsa"]

    def command(self):
        text = "foreground = yes\nsyslog = no\ndebug = err\npid =\n"
        for listener, mode, kind, port in self.tls_listeners():
            text += f"""\
[{listener}]
accept = 127.0.0.1:{port}
connect = 127.0.0.1:{self.place.sink_port}
cert = {self.place.chain(kind)}
key = {self.place.key(kind)}
ciphersuites = {SUITE}
"""
            text += "protocol = smtp\n" if mode == "starttls" else ""
        return [self.place.peers.stunnel, self.place.write("stunnel.conf", text)]


class Nginx(Gateway):
    name = "nginx"
    buffers = ""

    def command(self):
        text = f"""\
load_module {self.place.peers.nginx_mail};
daemon off;
worker_processes 1;
worker_rlimit_nofile 10000;
pid {self.place.folder}/{self.name}.pid;
error_log stderr crit;
events {{ worker_connections 10000; }}
mail {{
  server_name gateway.bench.example;
  auth_http 127.0.0.1:{self.place.auth_port}/;
  smtp_auth none;
  xclient off;
  timeout 600s;
  proxy_timeout 600s;
  smtp_capabilities PIPELINING "SIZE 104857600" 8BITMIME CHUNKING;
  ssl_protocols TLSv1.2 TLSv1.3;
  ssl_conf_command Ciphersuites {SUITE};
  {self.buffers}
"""
        for _, mode, kind, port in self.tls_listeners():
            text += self._listener(port, " ssl" if mode == "implicit" else "", kind)
        text += self._listener(self.ports["plain"], "", "p256") + "}\n"
        return [self.place.peers.nginx, "-p", self.place.folder, "-e", "stderr", "-c",
                self.place.write(self.name + ".conf", text)]

    def _listener(self, port, tls, kind):
        starttls = "" if tls else "starttls on; "
        return (f"  server {{ listen 127.0.0.1:{port}{tls}; protocol smtp; {starttls}"
                f"ssl_certificate {self.place.chain(kind)}; ssl_certificate_key {self.place.key(kind)}; }}\n")


class Nginx32k(Nginx):
    name = "nginx-32k"
    buffers = "proxy_buffer 32k; smtp_client_buffer 32k;"


class Direct(Gateway):
    """No proxy: the sink terminates TLS itself (with the library that the bench is linked with)."""
    name = "direct"
    is_proxy = False

    def command(self):
        arguments = [f"{mode}={port}:{self.place.chain(kind)}:{self.place.key(kind)}"
                     for _, mode, kind, port in self.tls_listeners()]
        return [self.place.load, "sink", f"plain={self.ports['plain']}"] + arguments


class Relay(Gateway):
    """The floor of any proxy: octets passed on in plaintext. Its one port stands in for every TLS listener."""
    name = "relay"
    serves = ["plain"]

    def command(self):
        return [self.place.load, "relay", str(self.ports["plain"]), str(self.place.sink_port)]


GATEWAYS = [Postern, HaProxy, Hitch, Nginx, Nginx32k, Stunnel, Direct, Relay]
