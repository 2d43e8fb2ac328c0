"""`./dev bench outbound`: plaintext from the clients, TLS to the sink."""

from gateways import SUITE, HaProxy, Nginx, Postern, Relay, Stunnel
from rows import MB, IdleRow, Row, Target

# What a gateway listens on, by how it speaks to the sink: the mode, and whether the sink takes tickets back.
LISTENERS = ["implicit", "implicit-refused", "starttls", "starttls-refused"]
IMPLICIT = [listener for listener in LISTENERS if listener.startswith("implicit")]


def mode_of(listener):
    return listener.split("-")[0]


class Outbound:
    serves = LISTENERS
    tls_to_sink = True

    def security(self, listener):
        return "plain"

    def behind(self, listener):
        return self.place.sink(listener)


class OutboundPostern(Outbound, Postern):
    def settings(self):
        text = "outbound:\n"
        for listener, port in self.ports.items():
            # Nobody may fall back to plaintext, and nobody of the others verifies anything either.
            text += f"""\
  {listener}:
    listen: ["127.0.0.1:{port}"]
    route: relay
    relay: {{ address: "127.0.0.1:{self.behind(listener)}", mode: {mode_of(listener)} }}
    level: encrypt
    dane: false
    mta_sts: false
"""
        return text


class OutboundHaProxy(Outbound, HaProxy):
    serves = IMPLICIT

    def server_options(self, listener):
        return " ssl verify none"


class OutboundStunnel(Outbound, Stunnel):
    def options(self, listener):
        return "client = yes\n"


class NginxStream(Outbound, Nginx):
    """With the buffers that made nginx the best of the peers inbound."""
    name = "nginx-32k"
    serves = IMPLICIT

    def module(self):
        return self.place.peers.nginx_stream

    def block(self):
        text = f"""\
stream {{
  proxy_timeout 600s;
  proxy_buffer_size 32k;
  proxy_ssl on;
  proxy_ssl_protocols TLSv1.2 TLSv1.3;
  proxy_ssl_conf_command Ciphersuites {SUITE};
"""
        for listener, port in self.ports.items():
            text += f"  server {{ listen 127.0.0.1:{port}; proxy_pass 127.0.0.1:{self.behind(listener)}; }}\n"
        return text + "}\n"


GATEWAYS = [OutboundPostern, OutboundHaProxy, NginxStream, OutboundStunnel, Relay]


def sink_services(place):
    services = [f"plain={place.sink('plain')}"]
    for listener in LISTENERS:
        service = f"{mode_of(listener)}={place.sink(listener)}:{place.chain('p256')}:{place.key('p256')}"
        services.append(service + (":refuse-tickets" if listener.endswith("-refused") else ""))
    return services


def sessions(name, title, listener, targets, **more):
    return Row(name, title, listener, dict(work="sessions", connections=8), 2000, targets=targets, shows_resumed=True, **more)


def messages(name, title, work, size, count, targets, connections=16, **more):
    return Row(name, title, "implicit", dict(work=work, size=size, connections=connections), count, targets=targets, **more)


ROWS = [
    sessions("sessions", "1000 sessions, implicit TLS, the server offers tickets", "implicit",
             [Target(["haproxy"], 0.60, 0.8)], least_resumed=0.95),
    sessions("refused", "1000 sessions, implicit TLS, the server takes no ticket back", "implicit-refused",
             [Target(["haproxy"], 0.60, 0.8)]),
    sessions("starttls-sessions", "1000 sessions, STARTTLS, the server offers tickets", "starttls",
             [Target(["stunnel"], 0.40, 0.8)], least_resumed=0.95),
    sessions("starttls-refused", "1000 sessions, STARTTLS, the server takes no ticket back", "starttls-refused",
             [Target(["stunnel"], 0.40, 0.8)]),
    messages("1k-lock-step", "1000 messages of 1 KB, lock-step", "lock_step", 1024, 12000,
             [Target(["haproxy"], 0.90, 1.0), Target(["stunnel"], 0.5)]),
    messages("10k-pipelined", "1000 messages of 10 KB, pipelined", "pipelined", 10240, 12000,
             [Target(["haproxy"], 0.75, 0.95), Target(["stunnel"], 0.5)], most_calls=9.5),
    messages("bulk-1", "GB, 50 MB messages, 1 connection", "pipelined", 50 * MB, 20,
             [Target(["haproxy"], 0.62, 0.8), Target(["stunnel"], 0.55, 0.8)], connections=1, unit="GB", most_calls=45000),
    messages("bulk-4", "GB, 50 MB messages, 4 connections", "pipelined", 50 * MB, 20,
             [Target(["haproxy"], 0.62, 0.8), Target(["stunnel"], 0.55, 0.8)], connections=4, unit="GB"),
    Row("noop", "1000 NOOPs, one connection", "implicit", dict(work="noop", connections=1), 25000,
        targets=[Target(["haproxy"], 0.75, 1.05)], p50_target="haproxy", most_calls=6.3),
]

IDLE = IdleRow("implicit", {"haproxy": 0.45, "stunnel": 0.1})
