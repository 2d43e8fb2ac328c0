"""`./dev bench inbound`: TLS from the clients, plaintext to the sink."""

from gateways import SUITE, Gateway, HaProxy, Nginx, Postern, Relay, Stunnel
from rows import MB, IdleRow, Row, Target

# What a gateway listens on, each in front of the plaintext sink. "plain" is the STARTTLS port, or where a gateway knows no
# STARTTLS a listener without TLS: sessions that never start TLS ("churn") go there.
LISTENERS = ["implicit-p256", "implicit-rsa", "starttls-p256", "starttls-rsa", "plain"]


class Inbound:
    serves = LISTENERS

    def security(self, listener):
        return listener.split("-")[0]

    def behind(self, listener):
        return self.place.sink("plain")

    def tls_listeners(self):
        """(listener, mode, certificate kind, port) of all that speak TLS."""
        for listener, port in self.ports.items():
            if listener != "plain":
                mode, kind = listener.split("-")
                yield listener, mode, kind, port


class InboundPostern(Inbound, Postern):
    def settings(self):
        text = "certificates:\n"
        for kind in ("p256", "rsa"):
            text += f"  {kind}:\n    - {{ chain: {self.place.chain(kind)}, key: {self.place.key(kind)} }}\n"
        text += "inbound:\n"
        for listener, mode, kind, port in self.tls_listeners():
            text += self._listener(listener, port, mode, kind)
        return text + self._listener("plain", self.ports["plain"], "starttls", "p256")

    def _listener(self, name, port, mode, kind):
        return f"""\
  {name}:
    listen: ["127.0.0.1:{port}"]
    mode: {mode}
    certificates: [{kind}]
    backend: {{ address: "127.0.0.1:{self.behind(name)}" }}
    allow_open_relay_risk: true
"""


class InboundHaProxy(Inbound, HaProxy):
    serves = ["implicit-p256", "implicit-rsa", "plain"]

    def bind_options(self, listener):
        return "" if listener == "plain" else f" ssl crt {self.place.both(listener.split('-')[1])}"


class Hitch(Inbound, Gateway):
    name = "hitch"
    serves = ["implicit-p256", "implicit-rsa"]

    def command(self):
        text = f"""\
backend = "[127.0.0.1]:{self.place.sink("plain")}"
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


class InboundStunnel(Inbound, Stunnel):
    serves = ["implicit-p256", "implicit-rsa", "starttls-p256", "starttls-rsa"]

    def options(self, listener):
        kind = listener.split("-")[1]
        return f"cert = {self.place.chain(kind)}\nkey = {self.place.key(kind)}\n"


class NginxMail(Inbound, Nginx):
    name = "nginx"
    buffers = ""

    def module(self):
        return self.place.peers.nginx_mail

    def block(self):
        text = f"""\
mail {{
  server_name gateway.bench.example;
  auth_http 127.0.0.1:{self.place.sink("auth")}/;
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
        return text + self._listener(self.ports["plain"], "", "p256") + "}\n"

    def _listener(self, port, tls, kind):
        starttls = "" if tls else "starttls on; "
        return (f"  server {{ listen 127.0.0.1:{port}{tls}; protocol smtp; {starttls}"
                f"ssl_certificate {self.place.chain(kind)}; ssl_certificate_key {self.place.key(kind)}; }}\n")


class NginxMail32k(NginxMail):
    name = "nginx-32k"
    buffers = "proxy_buffer 32k; smtp_client_buffer 32k;"


class Direct(Inbound, Gateway):
    """No proxy: the sink terminates TLS itself (with the library that the bench is linked with)."""
    name = "direct"
    is_proxy = False

    def command(self):
        arguments = [f"{mode}={port}:{self.place.chain(kind)}:{self.place.key(kind)}"
                     for _, mode, kind, port in self.tls_listeners()]
        return [self.place.load, "sink", f"plain={self.ports['plain']}"] + arguments


GATEWAYS = [InboundPostern, InboundHaProxy, Hitch, NginxMail, NginxMail32k, InboundStunnel, Direct, Relay]


def sink_services(place):
    return [f"plain={place.sink('plain')}", f"auth={place.sink('auth')}:{place.sink('plain')}"]


OPENSSL_PEERS = ["haproxy", "hitch"]


def sessions(name, title, listener, count, targets, resume=0, **more):
    return Row(name, title, listener, dict(work="sessions", resume=resume, connections=8), count, targets=targets,
               skip=["relay"] if listener != "plain" else [], shows_resumed=bool(resume), **more)


def messages(name, title, work, size, count, targets, connections=16, **more):
    return Row(name, title, "implicit-p256", dict(work=work, size=size, connections=connections), count, targets=targets, **more)


ROWS = [
    sessions("p256", "1000 sessions, full handshake P-256", "implicit-p256", 2000,
             [Target(OPENSSL_PEERS, 0.60, 0.75), Target(["nginx"], 0.75), Target(["stunnel"], 0.33)]),
    sessions("rsa", "1000 sessions, full handshake RSA-2048", "implicit-rsa", 800,
             [Target(["hitch"], 0.90, 1.0), Target(["stunnel"], 0.55)]),
    sessions("resumed", "1000 sessions, resumed by ticket", "implicit-p256", 2000,
             [Target(OPENSSL_PEERS, 0.65, 0.80), Target(["nginx"], 0.80), Target(["stunnel"], 0.45)], resume=1),
    sessions("starttls-p256", "1000 STARTTLS sessions, full handshake P-256", "starttls-p256", 2000,
             [Target(["nginx"], 0.75, 0.9), Target(["stunnel"], 0.30)]),
    sessions("starttls-rsa", "1000 STARTTLS sessions, full handshake RSA-2048", "starttls-rsa", 800, []),
    sessions("starttls-resumed", "1000 STARTTLS sessions, resumed by ticket", "starttls-p256", 2000, [], resume=1),
    messages("1k-lock-step", "1000 messages of 1 KB, lock-step", "lock_step", 1024, 12000,
             [Target(["haproxy", "hitch", "nginx"], 0.90, 1.0), Target(["stunnel"], 0.5)]),
    messages("10k-lock-step", "1000 messages of 10 KB, lock-step", "lock_step", 10240, 10000,
             [Target(["hitch", "nginx-32k"], 0.90, 1.0)]),
    messages("10k-pipelined", "1000 messages of 10 KB, pipelined", "pipelined", 10240, 12000,
             [Target(OPENSSL_PEERS, 0.75, 0.95), Target(["stunnel"], 0.5)], most_calls=9.5),
    messages("10k-bdat", "1000 messages of 10 KB, BDAT in one write", "bdat", 10240, 15000,
             [Target(["nginx-32k", "haproxy", "hitch"], 0.82, 1.0)]),
    messages("bulk-1", "GB, 50 MB messages, 1 connection", "pipelined", 50 * MB, 20,
             [Target(["haproxy", "nginx-32k"], 0.62, 0.8)], connections=1, unit="GB", most_calls=45000),
    messages("bulk-4", "GB, 50 MB messages, 4 connections", "pipelined", 50 * MB, 20,
             [Target(["nginx-32k"], 0.78, 0.95), Target(["haproxy", "hitch", "stunnel"], 0.5)], connections=4, unit="GB"),
    Row("noop", "1000 NOOPs, one connection", "implicit-p256", dict(work="noop", connections=1), 25000,
        targets=[Target(["nginx"], 0.92, 1.05), Target(["haproxy"], 0.75)], p50_target="nginx", most_calls=6.3),
    Row("churn", "1000 sessions on the STARTTLS port without TLS", "plain", dict(work="sessions", connections=8), 4000,
        targets=[Target(["haproxy"], 1.0, 1.2)], skip=["hitch", "stunnel"]),
]

IDLE = IdleRow("implicit-p256", {"haproxy": 0.45, "nginx": 0.45, "stunnel": 0.1})
