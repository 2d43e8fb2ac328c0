"""What a row of the bench is: what is done, how often, and how far ahead of whom Postern is to be."""

from dataclasses import dataclass, field

MB = 1_000_000


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
    shows_resumed: bool = False  # the share of sessions that were resumed is of interest
    least_resumed: float = None  # the share that is still "clearly ahead"

    @property
    def is_sessions(self):
        return self.load["work"] == "sessions"

    @property
    def is_messages(self):
        return self.load["work"] in ("lock_step", "pipelined", "bdat")

    def per(self, units):
        """How many of `unit` were done."""
        return units * self.load["size"] / 1e9 if self.unit == "GB" else units / 1000


@dataclass
class IdleRow:
    """Memory per idle session, in octets: fresh, and after a message of 100 KB each."""
    listener: str
    clearly_ahead: dict  # by peer
    name: str = "idle"
    sessions: int = 2000
    skip: tuple = ()
    most_octets: int = 8 * 1024
    never_octets: int = 10 * 1024
    used_to_fresh: tuple = (1.10, 1.25)  # clearly ahead, never
