"""The rows of `./dev bench inbound`: what is done, how often, and how far ahead of whom Postern is to be."""

from dataclasses import dataclass, field

OPENSSL_PEERS = ["haproxy", "hitch"]


@dataclass
class Target:
    peers: list          # each of them is compared with
    clearly_ahead: float  # ratio of CPU time, Postern's to the peer's
    never: float = None  # a ratio beyond this means that the design is not right yet


@dataclass
class Row:
    name: str
    title: str
    listener: str
    load: dict           # arguments of postern_bench_load
    count: int           # units of work in a full run
    unit: str = "1000"   # CPU milliseconds are per this many units: "1000" or "GB"
    targets: list = field(default_factory=list)
    skip: list = field(default_factory=list)  # gateways that cannot do it
    p50_target: str = None  # peer whose median latency Postern's must not exceed
    most_calls: float = None  # system calls per unit that are still "clearly ahead"

    @property
    def is_sessions(self):
        return self.load["work"] == "sessions"

    @property
    def is_messages(self):
        return self.load["work"] in ("lock_step", "pipelined", "bdat")

    def per(self, units):
        """How many of `unit` were done."""
        return units * self.load["size"] / 1e9 if self.unit == "GB" else units / 1000


def sessions(name, title, listener, count, targets, resume=0, **more):
    return Row(name, title, listener, dict(work="sessions", resume=resume, connections=8), count, targets=targets,
               skip=["relay"] if listener != "plain" else [], **more)


def messages(name, title, work, size, count, targets, connections=16, **more):
    return Row(name, title, "implicit-p256", dict(work=work, size=size, connections=connections), count, targets=targets, **more)


MB = 1_000_000

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


@dataclass
class IdleRow:
    """Memory per idle session, in octets: fresh, and after a message of 100 KB each."""
    name: str = "idle"
    sessions: int = 2000
    skip: tuple = ()
    clearly_ahead: dict = field(default_factory=lambda: {"haproxy": 0.45, "nginx": 0.45, "stunnel": 0.1})
    most_octets: int = 8 * 1024
    never_octets: int = 10 * 1024
    used_to_fresh: tuple = (1.10, 1.25)  # clearly ahead, never


IDLE = IdleRow()
