"""`postern intercept`: what it puts in place, who says that it stays, and that nothing of it is left.

That mail goes by its rules is looked at in outbound/test_deliveries.py.
"""

import contextlib
import ctypes
import os
import pty
import pwd
import signal
import socket
import subprocess

import pytest

from harness.daemon import children_of
from harness.gateway import write_configuration
from harness.netns import Namespace, join, need_namespaces
from harness.ports import PATIENCE, wait_until

PORT = 10025
REDIRECT = {"socket_mark": 0x2525, "allow_clients": ["127.0.0.0/8", "::1/128"]}
TPROXY = {"interception": "tproxy", "source": "client", "allow_clients": ["198.51.100.0/24", "2001:db8:100::/64"]}
IN_PLACE = "The rules are in place"
HERE, THERE = "198.51.100.10", "198.51.100.20"
_IP_TRANSPARENT = 19


@pytest.fixture(scope="module")
def machine():
    need_namespaces()
    host = Namespace("intercept")
    yield host
    host.remove()


@pytest.fixture
def intercept(postern, machine, folder):
    """Postern's command on that machine, which has firewall rules of others and is to look afterwards as before."""
    machine.run("nft", "table inet others { chain input { type filter hook input priority 0; tcp dport 7 drop; }; }")
    command = Intercept(postern, machine, folder)
    before = command.state()
    yield command
    command.run("off")
    try:
        assert command.state() == before
    finally:
        machine.run("nft", "flush ruleset")


@pytest.fixture
def neighbours():
    """Two machines with addresses that are not loopback's."""
    need_namespaces()
    with contextlib.ExitStack() as ends:
        here, there = Namespace("here"), Namespace("there")
        for host in (here, there):
            ends.callback(host.remove)
        join(here, "uplink", [f"{HERE}/24"], there, "edge", [f"{THERE}/24"])
        yield here, there


class Intercept:
    def __init__(self, postern, machine, folder):
        self.machine, self.postern = machine, postern
        self.configuration = f"{folder}/postern.yaml"
        self.configure(**REDIRECT)

    def configure(self, top=None, **listener):
        usual = {"listen": [f"0.0.0.0:{PORT}", f"[::]:{PORT}"], "route": "original_destination"}
        write_configuration(self.configuration, {**(top or {}), "outbound": {"internet": {**usual, **listener}}})

    def argv(self, *words):
        return self.machine.command(self.postern, "intercept", words[0], "--config", self.configuration, *words[1:])

    def run(self, *words, before=(), **options):
        command = self.argv(*words)
        at = command.index(self.postern)
        argv = [*command[:at], *before, *command[at:]]
        return subprocess.run(
            argv, capture_output=True, text=True, timeout=PATIENCE, check=False, stdin=subprocess.DEVNULL, **options
        )

    @contextlib.contextmanager
    def on_trial(self, *words, within="60s", stdin=subprocess.DEVNULL):
        """`on`, once the rules are in place; what it says comes from its stderr."""
        argv = self.argv("on", "--force", "--within", within, *words)
        with subprocess.Popen(argv, stdin=stdin, stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
            try:
                said = ""
                while IN_PLACE not in said:
                    line = process.stderr.readline()
                    assert line, said
                    said += line
                yield process
            finally:
                process.kill()

    def state(self):
        """Everything that it could have changed. Handles and the like are not in it."""
        parts = [self.machine.run("nft", "list", "ruleset")]
        for family in ("-4", "-6"):
            parts.append(self.machine.ip(family, "rule"))
            parts.append(self.machine.ip(family, "route", "show", "table", "all"))
        return "".join(parts)

    def is_on(self):
        return "table inet postern_" in self.state()

    def wait_until_off(self):
        wait_until(lambda: not self.is_on(), "the rules are gone")


@pytest.mark.parametrize("listener", [REDIRECT, TPROXY], ids=["redirect", "tproxy"])
def test_on_and_off(intercept, listener):
    intercept.configure(**listener)
    before = intercept.state()
    done = intercept.run("on", "--confirm", "--force")
    assert done.returncode == 0, done
    on = intercept.state()
    assert "postern_" in on and "table inet others" in on
    assert (" lookup " in on.replace(" lookup local", "").replace(" lookup main", "").replace(" lookup default", "")) == (
        listener is TPROXY
    )
    again = intercept.run("on", "--confirm", "--force")
    assert again.returncode == 0 and intercept.state() == on
    for words in ("The rules are gone.", "There are no rules"):
        done = intercept.run("off")
        assert done.returncode == 0 and words in done.stderr, done
        assert intercept.state() == before


def test_a_change_takes_the_place_of_what_was_there(intercept):
    intercept.configure(**TPROXY)
    assert intercept.run("on", "--confirm", "--force").returncode == 0
    intercept.configure(**REDIRECT)
    assert intercept.run("on", "--confirm", "--force", "--ports", "25,587").returncode == 0
    state = intercept.state()
    assert state.count("table inet postern_") == 1 and "587" in state and "tproxy" not in state and "fwmark" not in state


@pytest.mark.parametrize("listener", [REDIRECT, TPROXY], ids=["redirect", "tproxy"])
def test_what_is_shown_is_what_is_put_in_place(intercept, listener):
    """Fed to nft and ip by an administrator, it comes to the same."""
    intercept.configure(**listener)
    shown = intercept.run("show")
    assert shown.returncode == 0, shown
    for line in shown.stdout.splitlines():
        if line.startswith("# ip "):
            intercept.machine.run(*line[2:].split())
    intercept.machine.run("nft", "-f", "-", input=shown.stdout)
    by_hand = intercept.state()
    assert intercept.run("off").returncode == 0
    assert intercept.run("on", "--confirm", "--force").returncode == 0
    assert intercept.state() == by_hand


@pytest.mark.parametrize("change", ["worker: 2\n", None], ids=["broken", "gone"])
def test_off_needs_no_configuration_that_is_good(intercept, change):
    assert intercept.run("on", "--confirm", "--force").returncode == 0
    os.remove(intercept.configuration)
    if change:
        with open(intercept.configuration, "w", encoding="ascii") as file:
            file.write(change)
    done = intercept.run("off")
    assert done.returncode == 0 and not intercept.is_on(), done


# --- who says that they stay


@pytest.mark.parametrize("listener", [REDIRECT, TPROXY], ids=["redirect", "tproxy"])
def test_time_takes_them_back(intercept, listener):
    intercept.configure(**listener)
    with intercept.on_trial(within="1s") as process:
        assert process.wait(PATIENCE) == 1
        assert "taken back: nobody said that they stay" in process.stderr.read()
        assert not intercept.is_on()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_a_signal_takes_them_back(intercept, number):
    with intercept.on_trial() as process:
        os.kill(process.pid, number)
        assert process.wait(PATIENCE) == 1
        assert not intercept.is_on()


def test_the_end_of_whoever_waits_takes_them_back(intercept):
    """However it ends: with all of its process group, by a signal that nobody can catch."""
    intercept.configure(**TPROXY)
    with intercept.on_trial() as process:
        assert intercept.is_on()
        os.killpg(process.pid, signal.SIGKILL)
        intercept.wait_until_off()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_the_end_of_the_one_behind_takes_them_back(intercept, number):
    with intercept.on_trial() as process:
        (guardian,) = children_of(process.pid)
        os.kill(guardian, number)
        assert process.wait(PATIENCE) == 1
        assert "taken back" in process.stderr.read() and not intercept.is_on()


def test_what_is_taken_back_makes_room_for_what_was_there(intercept):
    intercept.configure(**TPROXY)
    assert intercept.run("on", "--confirm", "--force").returncode == 0
    first = intercept.state()
    intercept.configure(**REDIRECT)
    with intercept.on_trial() as process:
        assert intercept.state() != first
        os.kill(process.pid, signal.SIGTERM)
        assert process.wait(PATIENCE) == 1
    assert intercept.state() == first


def test_what_another_has_put_in_place_meanwhile_stays(intercept):
    with intercept.on_trial() as process:
        assert intercept.run("on", "--confirm", "--force", "--ports", "587").returncode == 0
        os.kill(process.pid, signal.SIGTERM)
        assert process.wait(PATIENCE) == 1
        assert "theirs stay" in process.stderr.read()
    assert "587" in intercept.state()


@contextlib.contextmanager
def at_a_terminal(intercept):
    """`on` as a shell has it in the foreground of a terminal. Gives its process id and the terminal's other end."""
    argv = intercept.argv("on", "--force")
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvp(argv[0], argv)
    try:
        said = b""
        while b"Press a key" not in said:
            said += os.read(terminal, 1000)
        yield pid, terminal
    finally:
        with contextlib.suppress(OSError):
            os.close(terminal)
        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def exit_status(pid):
    result = {}

    def ended():
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            result["status"] = os.waitstatus_to_exitcode(status)
        return done

    wait_until(ended, "it ends")
    return result["status"]


def test_a_key_keeps_them(intercept):
    with at_a_terminal(intercept) as (pid, terminal):
        os.write(terminal, b"x")
        assert exit_status(pid) == 0
    assert intercept.is_on()


def test_control_c_takes_them_back(intercept):
    with at_a_terminal(intercept) as (pid, terminal):
        os.write(terminal, b"\x03")
        assert exit_status(pid) == 1
        assert not intercept.is_on()


def test_a_terminal_that_goes_away_takes_them_back(intercept):
    with at_a_terminal(intercept) as (pid, terminal):
        os.close(terminal)
        intercept.wait_until_off()
        assert exit_status(pid) in (1, -signal.SIGHUP)


# --- what passes through them


def listening(host, port, family=socket.AF_INET, transparent=False):
    with host.entered():
        plug = socket.socket(family)
    plug.settimeout(PATIENCE)
    plug.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        plug.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    if transparent:
        plug.setsockopt(socket.IPPROTO_IP, _IP_TRANSPARENT, 1)
    plug.bind(("", port))
    plug.listen()
    return plug


def new_client(host, user):
    """A socket is its user's who has made it."""
    libc = ctypes.CDLL(None)
    with host.entered():
        libc.setfsuid(pwd.getpwnam(user).pw_uid)  # of this thread alone
        try:
            plug = socket.socket()
        finally:
            libc.setfsuid(0)
    plug.settimeout(PATIENCE)
    return plug


def closed_by_both(client, accepting):
    """First by the client: what comes after that has no user any more."""
    client.connect((THERE, 25))
    accepted, _ = accepting.accept()
    with accepted:
        accepted.settimeout(PATIENCE)
        client.close()
        assert accepted.recv(1) == b""


def unfinished(host):
    """Its connections of which the other side has not said that it has heard of the end."""
    return host.run("ss", "-Htan", "state", "last-ack", "state", "closing", "state", "fin-wait-1")


@pytest.mark.parametrize("by", ["redirect", "tproxy"])
def test_connections_end_well_where_they_are_told_by_their_user(postern, folder, neighbours, by):
    here, there = neighbours
    intercept = Intercept(postern, here, folder)
    intercept.configure(top={"user": "nobody"}, interception=by, allow_clients=["127.0.0.0/8", HERE])
    there.run("nft", "table inet seen { chain input { type filter hook input priority 0; tcp dport 25 counter; }; }")
    with listening(there, 25) as remote, listening(here, PORT, transparent=by == "tproxy") as gateway:
        done = intercept.run("on", "--confirm", "--host", "--force")
        assert done.returncode == 0, done
        closed_by_both(new_client(here, "root"), gateway)
        wait_until(lambda: not unfinished(here), "the ends of what was led to the gateway are heard of")
        assert "counter packets 0 " in there.run("nft", "list", "table", "inet", "seen")
        closed_by_both(new_client(here, "nobody"), remote)
        wait_until(lambda: not unfinished(there), "the remote server hears that its own end was heard of")


def test_where_ipv6_is_switched_off(postern, folder, neighbours):
    here, _ = neighbours
    with here.entered(), open("/proc/sys/net/ipv6/conf/all/disable_ipv6", "w", encoding="ascii") as switch:
        switch.write("1\n")
    intercept = Intercept(postern, here, folder)
    before = intercept.state()
    intercept.configure(**TPROXY)
    done = intercept.run("on", "--confirm", "--force")
    assert done.returncode == 0 and "local default dev lo" in intercept.state(), done
    done = intercept.run("off")
    assert done.returncode == 0 and intercept.state() == before, done


# --- what is refused


def test_nobody_listens(intercept):
    done = intercept.run("on", "--confirm")
    assert done.returncode == 1 and not intercept.is_on()
    assert f"nobody listens on 0.0.0.0:{PORT}, [::]:{PORT}" in done.stderr and "--force" in done.stderr


def test_mail_of_this_machine_would_be_lost(postern, folder, neighbours):
    here, _ = neighbours
    intercept = Intercept(postern, here, folder)
    with listening(here, PORT), listening(here, PORT, socket.AF_INET6):
        done = intercept.run("on", "--confirm")
        assert done.returncode == 1 and not intercept.is_on()
        assert f"sends from {HERE} would be refused for good" in done.stderr, done
        assert "outbound.internet.allow_clients" in done.stderr and "--force" in done.stderr, done
        assert intercept.run("on", "--confirm", "--force").returncode == 0 and intercept.is_on()
        assert intercept.run("off").returncode == 0
        intercept.configure(**{**REDIRECT, "allow_clients": [*REDIRECT["allow_clients"], HERE]})
        done = intercept.run("on", "--confirm")
        assert done.returncode == 0 and intercept.is_on(), done


def test_our_own_connections_would_be_led_back(intercept):
    intercept.configure(allow_clients=["127.0.0.0/8"])
    for verb in ("show", "on"):
        done = intercept.run(verb)
        assert done.returncode == 1 and not done.stdout and not intercept.is_on()
        assert f"{intercept.configuration}:" in done.stderr and "socket_mark" in done.stderr, done


def test_without_the_right_to_it(intercept):
    for verb in ("on", "off"):
        done = intercept.run(verb, before=["setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin"])
        assert done.returncode == 1 and "CAP_NET_ADMIN" in done.stderr, done


@pytest.mark.parametrize("program, package", [("nft", "nftables"), ("ip", "iproute2")])
def test_without_the_programs(intercept, folder, program, package):
    """In a view of the machine in which the program cannot be executed."""
    with open(f"{folder}/nothing", "w", encoding="ascii"):
        pass
    places = "/usr/sbin /usr/bin /sbin /bin"
    hide = f'for d in {places}; do [ ! -e $d/{program} ] || mount --bind {folder}/nothing $d/{program}; done; exec "$@"'
    done = intercept.run("on", "--force", before=["unshare", "--mount", "sh", "-c", hide, "sh"])
    assert done.returncode == 1 and package in done.stderr, done


@pytest.mark.parametrize(
    "words, said",
    [
        (["of", "--config", "x"], "show, on or off"),
        ([], "action"),
        (["on"], "--config"),
        (["on", "--config", "x", "--from", "10.0.0.1/8"], "--from"),
        (["on", "--config", "x", "--within", "5"], "--within"),
        (["on", "--config", "x", "--confrim"], "'--confirm'"),
    ],
)
def test_wrong_usage(postern, words, said):
    done = subprocess.run([postern, "intercept", *words], capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 2 and said in done.stderr + done.stdout, done
