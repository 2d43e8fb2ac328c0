"""Hosts of the test's own: network namespaces, joined by veth pairs.

A process gets into one with Namespace.command(); the test's own sockets are made inside Namespace.entered().
"""

import contextlib
import ctypes
import functools
import os
import shutil
import subprocess

import pytest

_CLONE_NEWNS = 0x00020000
_CLONE_NEWNET = 0x40000000
_NAMES = "/run/netns"  # where `ip` keeps what it has named
_FILES = "/etc/netns"  # what differs below /etc on a host
# What the rules of docs/firewall and of `postern intercept` need of the kernel.
_NFT_TRIAL = """
table inet trial {
    chain a { type nat hook prerouting priority -100; tcp dport 25 redirect to :1; }
    chain b {
        type filter hook prerouting priority -150;
        meta l4proto tcp socket transparent 1 accept
        meta nfproto ipv4 tcp dport 25 tproxy ip to :1 accept
        meta nfproto ipv6 tcp dport 25 tproxy ip6 to :1 accept
        iifname "lo" tcp dport 25 reject with tcp reset
    }
    chain c {
        type route hook output priority -150;
        meta skuid 1 fib daddr type local return
        ct direction reply ct mark 1 meta mark set 1
    }
    chain d { type filter hook output priority 0; tcp dport 25 reject with tcp reset; }
}
"""
_IPTABLES_TRIAL = [
    "-t nat --dport 25 -j REDIRECT --to-ports 1",
    "-t mangle -m socket --transparent -j ACCEPT",
    "-t mangle --dport 25 -j TPROXY --on-port 1 --tproxy-mark 1",
]
_libc = ctypes.CDLL(None, use_errno=True)


def need_namespaces():
    """Skips where the kernel or the user does not let hosts be made, joined and given rules."""
    obstacle = _obstacle()
    if obstacle:
        pytest.skip(obstacle)


@functools.cache
def _obstacle():
    """Tries everything that the scenarios use, once; returns why they cannot, or None."""
    if os.geteuid() != 0:
        return "needs root: network namespaces are made"
    for program, package in (("ip", "iproute2"), ("nft", "nftables"), ("iptables", "iptables"), ("mount", "mount")):
        if not shutil.which(program):
            return f"needs {program} (Debian: {package})"
    hosts = []
    try:
        _keep_mounts_to_ourselves()
        hosts += [Namespace("trial")]
        hosts += [Namespace("other")]
    except (AssertionError, OSError) as error:
        return f"this machine does not let network namespaces be made and named: {error}"
    else:
        return _obstacle_to_networks(*hosts)
    finally:
        for host in hosts:
            host.remove()


def _obstacle_to_networks(host, other):
    """`ip` and its `netns exec` mount /sys and files of /etc/netns, a router's switches are written: not every container
    may.
    """
    try:
        join(host, "one", ["192.0.2.1/24", "2001:db8::1/64"], other, "two", ["192.0.2.2/24"])
        for family in ("-4", "-6"):
            host.ip(family, "rule", "add", "fwmark", "1", "lookup", "100")
            host.ip(family, "route", "add", "local", "default", "dev", "lo", "table", "100")
        host.run("nft", _NFT_TRIAL)
        for program in ("iptables", "ip6tables"):
            for words in _IPTABLES_TRIAL:
                host.run(program, "-w", "-A", "PREROUTING", "-p", "tcp", *words.split())
        host.forward_packets()
        host.use_hosts(trial="192.0.2.1")
        if "trial" not in host.run("cat", "/etc/hosts"):
            return "this machine does not let files of /etc be mounted over"
    except (AssertionError, OSError) as error:
        return f"this machine does not let networks be made: {error}"
    return None


@functools.cache
def _keep_mounts_to_ourselves():
    """The names of namespaces are mounts: this process and its children get their own, which end with them."""
    if _libc.unshare(_CLONE_NEWNS) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    run("mount", "--make-rprivate", "/")
    run("mount", "-t", "tmpfs", "none", _NAMES)


@contextlib.contextmanager
def folder_of_names():
    """Where names are mounted there must be a folder. One process has it for all, because it is gone for all when any
    removes it.
    """
    made = False
    with contextlib.suppress(OSError):
        os.mkdir(_NAMES)
        made = True
    yield
    if made:
        if _keep_mounts_to_ourselves.cache_info().currsize:
            subprocess.run(["umount", "--lazy", _NAMES], capture_output=True, check=False)
        with contextlib.suppress(OSError):  # others are using it after all
            os.rmdir(_NAMES)


class Namespace:
    """One host. Its name is unique to this process; remove() takes away what it left on the machine."""

    def __init__(self, name):
        self.name = f"postern{os.getpid()}-{name}"
        run("ip", "netns", "add", self.name)
        self.ip("link", "set", "lo", "up")

    def remove(self):
        subprocess.run(["ip", "netns", "delete", self.name], capture_output=True, check=False)
        shutil.rmtree(f"{_FILES}/{self.name}", ignore_errors=True)
        with contextlib.suppress(OSError):
            os.rmdir(_FILES)  # unless others have theirs

    def command(self, *argv):
        """The argument list that runs argv on this host. `ip` becomes the program: the process id stays."""
        return ["ip", "netns", "exec", self.name, *argv]

    def run(self, *argv, **options):
        return run(*self.command(*argv), **options)

    def ip(self, *words):
        return run("ip", "-netns", self.name, *words)

    def configure(self, commands):
        """Many `ip` commands in one process, a line each."""
        run("ip", "-netns", self.name, "-batch", "-", input="\n".join(commands) + "\n")

    def use_hosts(self, **names):
        """What /etc/hosts says to the processes of this host, by name."""
        everybody = {"localhost": "127.0.0.1", **names}
        self._write("hosts", "".join(f"{address} {name}\n" for name, address in everybody.items()))

    def use_resolver(self, *addresses):
        """What /etc/resolv.conf says to the processes of this host. AD of that resolver is trusted."""
        servers = "".join(f"nameserver {address}\n" for address in addresses)
        self._write("resolv.conf", f"{servers}options trust-ad timeout:2 attempts:2\n")

    def _write(self, name, text):
        folder = f"{_FILES}/{self.name}"
        while not os.path.isdir(folder):
            with contextlib.suppress(FileNotFoundError):  # another process of scenarios was done, and removed _FILES
                os.makedirs(folder, exist_ok=True)
        with open(f"{folder}/{name}", "w", encoding="ascii") as file:
            file.write(text)

    @contextlib.contextmanager
    def entered(self):
        """The calling thread is on this host: sockets that it makes, and /proc/sys/net, are this host's."""
        with entered_network(f"{_NAMES}/{self.name}"):
            yield self

    def forward_packets(self):
        """Makes a router of this host."""
        with self.entered():
            for switch in ("ipv4/ip_forward", "ipv6/conf/all/forwarding"):
                with open(f"/proc/sys/net/{switch}", "w", encoding="ascii") as file:
                    file.write("1\n")


@contextlib.contextmanager
def entered_network(path):
    """The calling thread's network is the one whose namespace is that file."""
    with open("/proc/thread-self/ns/net", "rb") as home, open(path, "rb") as there:
        _enter(there)
        try:
            yield
        finally:
            _enter(home)


def join(one, its_link, its_addresses, other, other_link, other_addresses):
    """A veth pair between two hosts; addresses are with prefix length, IPv4 or IPv6."""
    run("ip", "link", "add", its_link, "netns", one.name, "type", "veth", "peer", other_link, "netns", other.name)
    for host, link, addresses in ((one, its_link, its_addresses), (other, other_link, other_addresses)):
        host.configure([add_address(address, link) for address in addresses] + [f"link set {link} up"])


def add_address(address, link):
    return f"address add {address} dev {link}" + (" nodad" if ":" in address else "")


def run(*argv, **options):
    """Runs a command that must succeed; returns its output."""
    done = subprocess.run(list(argv), capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, f"{' '.join(argv)}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout


def _enter(namespace):
    if _libc.setns(namespace.fileno(), _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")
