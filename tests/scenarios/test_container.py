"""What docker/ has, as far as it can be tried without containers: the entrypoint with many environments, the health check,
and the manifests. test_container_podman.py tries the image itself.
"""

import os
import re
import shutil
import signal
import subprocess

import pytest
import yaml

from harness.client import Client, secure_client, tls_context
from harness.daemon import Daemon, children_of, words_of
from harness.debian import unpack
from harness.gateway import all_threads_have_stopped
from harness.kubernetes import Schema
from harness.messages import message
from harness.ports import free_port, wait_until
from harness.prometheus import get
from harness.scripted_server import Obedient

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "../.."))
DOCKER = f"{ROOT}/docker"
FIRST_TRY = {"POSTERN_SELF_SIGNED": "yes", "POSTERN_HOSTNAME": "mx.example.org"}
INBOUND = {**FIRST_TRY, "POSTERN_BACKEND": "127.0.0.1:1", "POSTERN_DOMAINS": "example.org"}


class Container:
    """Its scripts, whose /etc/postern and /run/postern are folders of the test's, and the variables that they see. What
    IPv6 addresses there are is said by the file `interfaces`, at first the kernel's.
    """

    def __init__(self, postern, folder):
        self.etc, self.run = f"{folder}/etc", f"{folder}/run"
        self.folder = folder
        self.environment = {"PATH": f"{os.path.dirname(postern)}:{os.environ['PATH']}"}
        os.mkdir(self.etc)
        self.interfaces = f"{folder}/if_inet6"
        os.symlink("/proc/net/if_inet6", self.interfaces)
        for name in ("entrypoint", "health"):
            with open(f"{DOCKER}/{name}", encoding="utf-8") as script:
                text = script.read().replace("/etc/postern", self.etc).replace("/run/postern", self.run)
            text = text.replace("/proc/net/if_inet6", self.interfaces)
            with open(f"{folder}/{name}", "w", encoding="utf-8") as script:
                script.write(text)

    def command(self, word, variables, *before):
        return subprocess.run(
            [*before, "sh", f"{self.folder}/entrypoint", word], env={**self.environment, **variables}, timeout=90,
            capture_output=True, encoding="utf-8", errors="surrogateescape", check=False,
        )  # fmt: skip

    def configuration(self, variables):
        done = self.command("config", variables)
        assert done.returncode == 0, done.stderr
        return yaml.safe_load(done.stdout)

    def refused(self, variables, *before):
        done = self.command("check", variables, *before)
        assert done.returncode == 1, done.stdout + done.stderr
        return done.stderr

    def health(self, variables):
        done = subprocess.run(
            ["bash", f"{self.folder}/health"], env={**self.environment, **variables}, timeout=60,
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode in (0, 1) and not done.stderr, done
        return done.returncode == 0


@pytest.fixture
def container(postern, folder):
    return Container(postern, folder)


@pytest.fixture
def pair(certificates):
    return {"POSTERN_CHAIN": certificates.ecdsa.chain, "POSTERN_KEY": certificates.ecdsa.key}


# --- variables

GOOD = {
    "first try": {},
    "several": {"POSTERN_BACKEND": "127.0.0.1:1,[::1]:2 unix:/run/smtp", "POSTERN_DOMAINS": "example.org\n.example.net\n"},
    "xclient": {"POSTERN_DOMAINS": "", "POSTERN_CLIENT_ADDRESS": "xclient"},
    "trust": {"POSTERN_DOMAINS": "", "POSTERN_ALLOW_OPEN_RELAY_RISK": "yes"},
    "balancer": {"POSTERN_PROXY_FROM": "10.0.0.0/8, fd00::/8", "POSTERN_CLIENT_ADDRESS": "proxy_v2"},
    "strict": {"POSTERN_REQUIRE_TLS": "true", "POSTERN_MIN_VERSION": "TLSv1.3", "POSTERN_LISTEN_PORTS": "2525"},
    "ports": {"POSTERN_LISTEN_PORTS": "2525, 2587 2465,12465"},
    "names": {"POSTERN_NAMES": "mail.example.org *.example.net"},
    "log": {"POSTERN_LOG_FORMAT": "json", "POSTERN_LOG_LEVEL": "warning"},
    "drain": {"POSTERN_DRAIN_TIMEOUT": "2m", "POSTERN_DRAIN_DELAY": "10s", "POSTERN_ADMIN": "off"},
    "both ways": {"POSTERN_OUTBOUND": "mx", "POSTERN_ALLOW_CLIENTS": "172.16.0.0/12", "POSTERN_OUTBOUND_LEVEL": "dane"},
    "kubernetes": {
        "POSTERN_PORT": "tcp://10.0.0.9:25", "POSTERN_SERVICE_HOST": "10.0.0.9", "POSTERN_SERVICE_PORT": "25",
        "POSTERN_SERVICE_PORT_SMTP": "25", "POSTERN_PORT_25_TCP": "tcp://10.0.0.9:25", "POSTERN_PORT_25_TCP_ADDR": "10.0.0.9",
        "POSTERN_OUTBOUND_PORT": "tcp://10.0.0.8:25", "POSTERN_OUTBOUND_SERVICE_HOST": "10.0.0.8",
    },
}  # fmt: skip


@pytest.mark.parametrize("case", GOOD)
def test_variables_are_a_configuration(container, case):
    done = container.command("check", {**INBOUND, **GOOD[case]})
    assert done.returncode == 0, done.stderr
    assert "ok\n" in done.stdout


def test_nothing_between_two_commas_is_no_item(container):
    variables = {
        **FIRST_TRY, "POSTERN_BACKEND": ",127.0.0.1:1,,127.0.0.1:2,", "POSTERN_DOMAINS": "a.org,,b.org , ,\n",
        "POSTERN_NAMES": ",mail.a.org,,mail.b.org,", "POSTERN_LISTEN_PORTS": "2525,,2465,", "POSTERN_PROXY_FROM": "10.0.0.0/8,,",
    }  # fmt: skip
    done = container.command("check", variables)
    assert done.returncode == 0, done.stderr
    assert "DNS:mx.example.org,DNS:mail.a.org,DNS:mail.b.org\n" in done.stderr
    listener = container.configuration(variables)["inbound"]["mx"]
    assert listener["backend"]["address"] == ["127.0.0.1:1", "127.0.0.1:2"]
    assert listener["recipients"]["allow_domains"] == ["a.org", "b.org"]
    assert listener["accept_proxy_protocol_from"] == ["10.0.0.0/8"]
    assert [address.rpartition(":")[2] for address in listener["listen"]] in (["2525"], ["2525"] * 2)


def test_outgoing_mail_alone(container):
    done = container.command("check", {"POSTERN_OUTBOUND": "mx", "POSTERN_HOSTNAME": "out.example.org"})
    assert done.returncode == 0, done.stderr
    settings = container.configuration({"POSTERN_OUTBOUND": "mx"})
    assert "inbound" not in settings and "certificates" not in settings
    assert settings["outbound"]["internet"]["listen"][0] == "127.0.0.1:10025", "nobody else may send"


# What the kernel says of its IPv6 addresses (None: it knows no IPv6), and the ports that are listened on then.
LOOPBACK = "00000000000000000000000000000001 01 80 10 80       lo\n"
GLOBAL = "fd000000000000000000000000000001 04 40 00 82     eth0\n"
INTERFACES = [
    (None, "0.0.0.0:2525", "127.0.0.1:10025"),
    ("", "0.0.0.0:2525", "127.0.0.1:10025"),
    (GLOBAL, "0.0.0.0:2525 [::]:2525", "127.0.0.1:10025"),
    (GLOBAL + LOOPBACK, "0.0.0.0:2525 [::]:2525", "127.0.0.1:10025 [::1]:10025"),
]


@pytest.mark.parametrize("text, inbound, outbound", INTERFACES, ids=["unknown", "none", "without loopback", "all"])
def test_addresses_are_those_that_can_be_bound(container, text, inbound, outbound):
    os.remove(container.interfaces)
    if text is not None:
        with open(container.interfaces, "w", encoding="ascii") as file:
            file.write(text)
    settings = container.configuration({**INBOUND, "POSTERN_OUTBOUND": "mx"})
    assert settings["inbound"]["mx"]["listen"] == inbound.split()
    assert settings["outbound"]["internet"]["listen"] == outbound.split()
    settings = container.configuration({**INBOUND, "POSTERN_OUTBOUND": "mx", "POSTERN_ALLOW_CLIENTS": "10.0.0.0/8"})
    assert settings["outbound"]["internet"]["listen"] == inbound.replace("2525", "10025").split()


def test_a_relay(container):
    password = f"{container.folder}/password"
    with open(password, "w", encoding="ascii") as file:
        file.write("secret\n")
    relay = {
        "POSTERN_OUTBOUND": "relay smtp.example.com:465", "POSTERN_RELAY_USERNAME": "scanner@example.org",
        "POSTERN_RELAY_PASSWORD_FILE": password, "POSTERN_HOSTNAME": "out.example.org",
    }  # fmt: skip
    done = container.command("check", relay)
    assert done.returncode == 0, done.stderr
    listener = container.configuration(relay)["outbound"]["internet"]
    assert listener["level"] == "verify" and listener["relay"]["mode"] == "implicit"
    relay["POSTERN_OUTBOUND"] = "relay smtp.example.com:587"
    assert "mode" not in container.configuration(relay)["outbound"]["internet"]["relay"]


def test_certificates_are_found_where_kubernetes_puts_them(container, certificates):
    os.mkdir(f"{container.etc}/tls")
    shutil.copy(certificates.ecdsa.chain, f"{container.etc}/tls/tls.crt")
    shutil.copy(certificates.ecdsa.key, f"{container.etc}/tls/tls.key")
    done = container.command("check", {"POSTERN_BACKEND": "127.0.0.1:1", "POSTERN_DOMAINS": "example.org"})
    assert done.returncode == 0, done.stderr


def test_two_pairs(container, certificates):
    both = (certificates.ecdsa, certificates.rsa)
    variables = {
        "POSTERN_BACKEND": "127.0.0.1:1", "POSTERN_DOMAINS": "example.org",
        "POSTERN_CHAIN": " ".join(pair.chain for pair in both), "POSTERN_KEY": ",".join(pair.key for pair in both),
    }  # fmt: skip
    done = container.command("check", variables)
    assert done.returncode == 0, done.stderr
    assert container.configuration(variables)["certificates"]["own"] == [pair.as_setting() for pair in both]
    variables["POSTERN_KEY"] = both[0].key
    assert "POSTERN_KEY: as many files" in container.refused(variables)
    variables["POSTERN_KEY"] = f"{both[1].key} {both[0].key}"
    assert re.search("error: POSTERN_(CHAIN|KEY): .*does not belong", container.refused(variables))


# Variables, and what is said of them; None: not set.
BAD = [
    ({"POSTERN_BACKEND": None, "POSTERN_DOMAINS": None}, "POSTERN_BACKEND: is not set"),
    ({"POSTERN_BACKEND": None, "POSTERN_OUTBOUND": "mx"}, "POSTERN_DOMAINS: means nothing without POSTERN_BACKEND"),
    ({"POSTERN_BACKEND": "mta"}, "POSTERN_BACKEND: 'mta' has no port: write mta:25"),
    ({"POSTERN_BACKEND": "[::1:25"}, "POSTERN_BACKEND: "),
    ({"POSTERN_DOMAINS": None}, "POSTERN_DOMAINS: is not set: .*POSTERN_CLIENT_ADDRESS=xclient"),
    ({"POSTERN_DOMAINS": "exa mple..org"}, "POSTERN_DOMAINS: "),
    ({"POSTERN_CLIENT_ADDRESS": "xlient"}, "POSTERN_CLIENT_ADDRESS: .*did you mean 'xclient'"),
    ({"POSTERN_HOSTNAME": None}, "POSTERN_HOSTNAME: is not set"),
    ({"POSTERN_HOSTNAME": "mx/O=x"}, "POSTERN_SELF_SIGNED: 'mx/O=x' is no name"),
    ({"POSTERN_SELF_SIGNED": None}, "POSTERN_CHAIN: is not set: .*POSTERN_SELF_SIGNED=yes"),
    ({"POSTERN_SELF_SIGNED": "si"}, "POSTERN_SELF_SIGNED: 'si' is neither yes nor no"),
    ({"POSTERN_CHAIN": "/c", "POSTERN_KEY": "/k"}, "POSTERN_SELF_SIGNED: there are POSTERN_CHAIN and POSTERN_KEY"),
    ({"POSTERN_SELF_SIGNED": None, "POSTERN_CHAIN": "/nowhere/c"}, "POSTERN_KEY: as many files"),
    (
        {"POSTERN_SELF_SIGNED": None, "POSTERN_CHAIN": "/nowhere/c", "POSTERN_KEY": "/nowhere/k"},
        "POSTERN_KEY: there is no /nowhere/k in the container: mount",
    ),
    ({"POSTERN_TICKET_KEYS": "/nowhere/t"}, "POSTERN_TICKET_KEYS: there is no /nowhere/t"),
    ({"POSTERN_LISTEN_PORTS": "2525,x"}, "POSTERN_LISTEN_PORTS: 'x' is not a port"),
    ({"POSTERN_LISTEN_PORTS": "70000"}, "POSTERN_LISTEN_PORTS: '70000' is not a port"),
    ({"POSTERN_LISTEN_PORTS": "0"}, "POSTERN_LISTEN_PORTS: '0' is not a port"),
    ({"POSTERN_LISTEN_PORTS": "99999999999999999999"}, "POSTERN_LISTEN_PORTS: '9+' is not a port"),
    ({"POSTERN_LISTEN_PORTS": "2525 2525"}, "POSTERN_LISTEN_PORTS: .*given twice"),
    ({"POSTERN_OUTBOUND": "mx", "POSTERN_OUTBOUND_LISTEN": "0.0.0.0:2525"}, "POSTERN_OUTBOUND_LISTEN: .*given twice"),
    ({"POSTERN_BACKEND": "127.0.0.1:2525"}, "POSTERN_BACKEND: "),
    ({"POSTERN_MIN_VERSION": "1.2"}, "POSTERN_MIN_VERSION: "),
    ({"POSTERN_PROXY_FROM": "10.0.0.1/8"}, "POSTERN_PROXY_FROM: "),
    ({"POSTERN_DRAIN_TIMEOUT": "300"}, "POSTERN_DRAIN_TIMEOUT: .*write 300s"),
    ({"POSTERN_ADMIN": "9025"}, "POSTERN_ADMIN: "),
    ({"POSTERN_LOG_LEVEL": "verbose"}, "POSTERN_LOG_LEVEL: "),
    ({"POSTERN_CONFIG": "/nowhere/postern.yaml"}, "POSTERN_CONFIG: there is no /nowhere/postern.yaml"),
    ({"POSTERN_OUTBOUND": "smtp.example.com:587"}, "POSTERN_OUTBOUND: .*none of mx, relay HOST:PORT and off"),
    ({"POSTERN_OUTBOUND": "relay smtp.example.com"}, "POSTERN_OUTBOUND: .*none of mx, relay HOST:PORT and off"),
    ({"POSTERN_OUTBOUND": "off", "POSTERN_BACKEND": None, "POSTERN_DOMAINS": None}, "POSTERN_BACKEND: is not set"),
    ({"POSTERN_OUTBOUND": "mx", "POSTERN_RELAY_USERNAME": "x"}, "POSTERN_RELAY_USERNAME: POSTERN_OUTBOUND=mx has no relay"),
    ({"POSTERN_OUTBOUND": "relay r:25", "POSTERN_RELAY_USERNAME": "x"}, "POSTERN_RELAY_PASSWORD_FILE: is not set"),
    ({"POSTERN_OUTBOUND_LEVEL": "may"}, "POSTERN_OUTBOUND_LEVEL: means nothing without POSTERN_OUTBOUND"),
    ({"POSTERN_OUTBOUND": "mx", "POSTERN_STATE_DIRECTORY": "/nowhere"}, "POSTERN_STATE_DIRECTORY: "),
    ({"POSTERN_BACKENDS": "x"}, "POSTERN_BACKENDS: there is no such variable: did you mean POSTERN_BACKEND"),
    ({"POSTERN_LISTEN_PORT": "25"}, "POSTERN_LISTEN_PORT: there is no such variable: did you mean POSTERN_LISTEN_PORTS"),
    ({"POSTERN_LOG_LEVEL": "in\nfo"}, "POSTERN_LOG_LEVEL: has a line end"),
]


@pytest.mark.parametrize("variables, said", BAD, ids=[" ".join(variables) for variables, _ in BAD])
def test_a_mistake_is_said_by_its_variable(container, variables, said):
    given = {name: value for name, value in {**INBOUND, **variables}.items() if value is not None}
    text = container.refused(given)
    assert re.search(f"^postern: error: {said}", text, re.M), text
    assert all(line.startswith("postern: ") for line in text.splitlines()), text


def test_every_mistake_is_said_at_once(container):
    text = container.refused({"POSTERN_BAKEND": "x", "POSTERN_BACKEND": "a:1", "POSTERN_LISTEN_PORTS": "x", "POSTERN_SELF_SIGNED": "x"})
    assert len(text.splitlines()) >= 3


def test_low_ports_and_foreign_files(container, pair, postern):
    if os.geteuid() != 0 or not shutil.which("setpriv"):
        pytest.skip("needs root, to be somebody else")
    with open("/proc/sys/net/ipv4/ip_unprivileged_port_start", encoding="ascii") as start:
        if int(start.read()) <= 25:
            pytest.skip("everybody may listen on port 25 here")
    os.chmod(container.folder, 0o777)
    for program in ("postern", "postern-resolver"):  # the checkout may be below a folder that is root's alone
        shutil.copy(f"{os.path.dirname(postern)}/{program}", container.folder)
    container.environment["PATH"] = f"{container.folder}:{os.environ['PATH']}"
    nobody = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all")
    text = container.refused({**INBOUND, "POSTERN_LISTEN_PORTS": "25"}, *nobody)
    assert "POSTERN_LISTEN_PORTS: user 65534 may not listen on port 25 here" in text and "-p 25:2525" in text
    key = f"{container.folder}/key"
    shutil.copy(pair["POSTERN_KEY"], key)
    os.chmod(key, 0o600)
    text = container.refused({"POSTERN_BACKEND": "a:1", "POSTERN_DOMAINS": "example.org", **pair, "POSTERN_KEY": key}, *nobody)
    assert f"POSTERN_KEY: user 65534 may not read {key}" in text
    done = container.command("check", INBOUND, *nobody)
    assert done.returncode == 0, done.stderr


HOSTILE = [
    "x: y", "a' }\nuser: root", "'", "''", '"', "#", " # POSTERN_X"[1:], "${HOME}", "$$", "$x", "%s%n", "\\", "\\n", "`id`", "$(id)", "*", "/*", "!!int 1",
    "&a", "{a: b}", "[", "]", "-", "- x", "|", ">", "\u00e4", "\u0085", "a\u2028b", "~", "null", "yes", "1", "0x1", "a\tb", "\r", "\x1b[0m",
    "<<", "? a", "...", "---", "=", "-n",
]  # fmt: skip
SCALARS = {
    "POSTERN_HOSTNAME": lambda settings: settings["hostname"],
    "POSTERN_ADMIN": lambda settings: settings["admin"]["listen"],
    "POSTERN_LOG_LEVEL": lambda settings: settings["log"]["level"],
    "POSTERN_DRAIN_TIMEOUT": lambda settings: settings["drain"]["timeout"],
    "POSTERN_CLIENT_ADDRESS": lambda settings: settings["inbound"]["mx"]["backend"]["client_address"],
}
LISTS = {
    "POSTERN_BACKEND": lambda settings: settings["inbound"]["submissions"]["backend"]["address"],
    "POSTERN_DOMAINS": lambda settings: settings["inbound"]["mx"]["recipients"]["allow_domains"],
    "POSTERN_PROXY_FROM": lambda settings: settings["inbound"]["mx"]["accept_proxy_protocol_from"],
}


@pytest.mark.parametrize("value", HOSTILE, ids=ascii)
def test_hostile_values_stay_values(container, pair, value):
    """Whatever a value is: refused, or one scalar of the file that says just that."""
    variables = {**dict.fromkeys([*SCALARS, *LISTS], value), **pair}
    done = container.command("config", variables)
    if not value.isprintable():
        among = [] if re.search("[\n\t]", value) else LISTS  # whose items these stand between
        assert done.returncode == 1
        assert done.stderr.count("has a line end or another control character") == len(SCALARS) + len(among)
        return
    assert done.returncode == 0, done.stderr
    settings = yaml.safe_load(done.stdout)
    assert set(settings) == {"hostname", "control", "admin", "log", "drain", "certificates", "inbound"}
    for name, find in SCALARS.items():
        assert find(settings).replace("$$", "$") == value, name
    for name, find in LISTS.items():
        assert [item.replace("$$", "$") for item in find(settings)] == re.split("[ \n,]+", value), name


# --- the service


@pytest.fixture
def service(container):
    """service(**variables): the entrypoint's `run`, which serves; its ports are `starttls` and `implicit`."""
    started = []

    def start(**variables):
        ports = {"starttls": free_port(), "implicit": free_port(465), "admin": free_port()}
        container.variables = {
            **FIRST_TRY, "POSTERN_LISTEN_PORTS": f"{ports['starttls']} {ports['implicit']}",
            "POSTERN_ADMIN": f"127.0.0.1:{ports['admin']}", **variables,
        }  # fmt: skip
        daemon = Daemon(
            ["sh", f"{container.folder}/entrypoint"], f"{container.folder}/run{len(started)}.log",
            env={**container.environment, **container.variables},
        )  # fmt: skip
        daemon.ports = ports
        started.append(daemon)
        daemon.wait_ready(lambda: container.health(container.variables), "it is healthy")
        return daemon

    yield start
    for daemon in started:
        daemon.kill()


def serving(daemon):
    return next(pid for pid in children_of(daemon.pid) if words_of(pid)[:2] == ["postern", "gateway"])


def served_certificate(port):
    with Client(port) as client:
        client.start_tls(tls_context())
        return client.socket.getpeercert(binary_form=True)


@pytest.mark.parametrize("admin", [True, False], ids=["admin server", "control alone"])
def test_health_is_the_gateways_own(container, service, scripted_server, admin):
    server = scripted_server(Obedient())
    variables = {"POSTERN_BACKEND": server.address, "POSTERN_DOMAINS": "example.org"}
    daemon = service(**variables, **({} if admin else {"POSTERN_ADMIN": "off"}))
    for port, mode in (("starttls", "starttls"), ("implicit", "implicit")):
        with secure_client(daemon.ports[port], mode) as client:
            client.send_message("a@example.net", ["b@example.org"], message())
            client.expect(250, "MAIL FROM:<a@example.net>")
            client.expect(550, "RCPT TO:<b@elsewhere.example>")
            client.quit()
    server.close()
    with Client(daemon.ports["starttls"]) as client:
        client.expect(421)
    assert container.health(container.variables), "the server behind is away, which is no reason to start another gateway"
    if admin:
        assert get(daemon.ports["admin"], "/readyz")[0] == 200
    gateway = serving(daemon)
    os.kill(gateway, signal.SIGSTOP)
    wait_until(lambda: all_threads_have_stopped(gateway), "the gateway hangs")
    try:
        assert not container.health(container.variables), "the gateway hangs"
    finally:
        os.kill(gateway, signal.SIGCONT)
    wait_until(lambda: container.health(container.variables), "it is healthy again")
    assert daemon.terminate() == 0, daemon.output()
    assert not container.health(container.variables)


def test_the_self_signed_pair(container, service):
    variables = {"POSTERN_BACKEND": "127.0.0.1:1", "POSTERN_DOMAINS": "example.org", "POSTERN_NAMES": "mail.example.org"}
    daemon = service(**variables)
    before = served_certificate(daemon.ports["implicit"])
    shown = subprocess.run(
        ["openssl", "x509", "-in", f"{container.run}/self-signed.pem", "-noout", "-ext", "subjectAltName"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert "DNS:mx.example.org, DNS:mail.example.org" in shown
    assert os.stat(f"{container.run}/self-signed.key").st_mode & 0o077 == 0
    assert daemon.terminate() == 0
    daemon = service(**variables)
    assert served_certificate(daemon.ports["implicit"]) == before, "the same container keeps it"
    assert daemon.terminate() == 0


def test_the_self_signed_pair_is_made_again_when_it_does_not_do_any_more(container):
    """Whatever is left of one before, `check` accepts the pair that is there then."""
    pem, key = f"{container.run}/self-signed.pem", f"{container.run}/self-signed.key"

    def kept(**variables):
        with open(pem, "rb") as file:
            before = file.read()
        done = container.command("check", {**INBOUND, **variables})
        assert done.returncode == 0, done.stderr
        with open(pem, "rb") as file:
            return file.read() == before

    def openssl(*words):
        done = subprocess.run(["openssl", "x509", "-in", pem, *words], capture_output=True, text=True, check=True)
        return done.stdout

    names = {"POSTERN_NAMES": "mail.example.org"}
    container.command("check", INBOUND)
    assert kept()
    assert not kept(**names), "the names have changed"
    assert "DNS:mx.example.org, DNS:mail.example.org" in openssl("-noout", "-ext", "subjectAltName")
    assert kept(**names)
    openssl("-signkey", key, "-days", "31", "-out", pem)
    assert kept(**names)
    openssl("-signkey", key, "-days", "29", "-out", pem)
    assert not kept(**names), "it expires soon"
    openssl("-checkend", str(360 * 86400))
    os.remove(pem)
    container.command("check", {**INBOUND, **names})
    assert kept(**names)
    os.remove(f"{container.run}/self-signed.names")
    assert not kept(**names), "it was not finished"


def test_a_mounted_configuration_wins(container, postern):
    with open(f"{container.etc}/postern.yaml", "w", encoding="ascii") as file:
        file.write("hostname: ${POSTERN_BACKEND}\n")
    for word in ("check", "run"):
        done = container.command(word, {"POSTERN_BACKEND": "mounted.example.org", "POSTERN_NONSENSE": "x"})
        assert done.returncode == 1 and "there is no listener" in done.stderr and "NONSENSE" not in done.stderr
    assert "${POSTERN_BACKEND}" in container.command("config", {}).stdout
    done = container.command("version", {})
    assert done.returncode == 0 and "postern" in done.stdout.lower()
    assert container.command("frobnicate", {}).returncode == 2


def test_nowhere_to_write(container):
    with open(container.run, "w", encoding="ascii"):
        pass
    assert f"cannot write to {container.run}: mount a volume there" in container.refused(INBOUND)


# --- what is written down


def test_every_variable_is_documented():
    with open(f"{DOCKER}/entrypoint", encoding="utf-8") as script:
        text = script.read()
    known = " ".join(re.search(rf'^{kind}="(.*?)"', text, re.S | re.M)[1] for kind in ("scalars", "lists", "switches"))
    with open(f"{ROOT}/docs/docker.md", encoding="utf-8") as page:
        rows = re.findall(r"^\| (`POSTERN_.*?) \|", page.read(), re.M)
    documented = re.findall(r"`POSTERN_(\w+)`", " ".join(rows))
    assert sorted(documented) == sorted(known.split())


def documents(name):
    with open(f"{DOCKER}/{name}", encoding="utf-8") as file:
        return list(yaml.safe_load_all(file))


def seconds(duration):
    return int(duration[:-1]) * {"s": 1, "m": 60, "h": 3600}[duration[-1]]


MANIFESTS = ["kubernetes/sidecar.yaml", "kubernetes/edge.yaml"]


@pytest.mark.parametrize("name", MANIFESTS)
def test_manifests_are_what_kubernetes_knows(build_folder, name):
    schema = Schema(unpack(build_folder, "kubernetes", ["python3-kubernetes"]))
    found = [mistake for document in documents(name) for mistake in schema.mistakes(document)]
    assert not found, "\n".join(found)


def test_a_mistake_in_a_manifest_is_found(build_folder):
    schema = Schema(unpack(build_folder, "kubernetes", ["python3-kubernetes"]))
    deployment = next(each for each in documents("kubernetes/edge.yaml") if each["kind"] == "Deployment")
    pod = deployment["spec"]["template"]["spec"]
    deployment["spec"]["replicas"] = "three"
    pod["securityContext"]["runAsUsr"] = pod["securityContext"].pop("runAsUser")
    pod["containers"][0]["env"][0]["value"] = 25
    del pod["containers"][0]["name"]
    found = schema.mistakes(deployment)
    assert len(found) == 4, found


def pods(name):
    for document in documents(name):
        if document["kind"] == "Deployment":
            yield document["spec"]["template"]["spec"]


@pytest.mark.parametrize("name", MANIFESTS)
def test_pods_are_restricted_and_drain(container, certificates, name):
    """As the Pod Security Standard "restricted" wants it of Postern; its time to end is long enough; its configuration is good."""
    for pod in pods(name):
        postern = next(each for each in pod["containers"] if each["image"] == "postern")
        security = {**pod["securityContext"], **postern["securityContext"]}
        assert security["runAsNonRoot"] and security["runAsUser"] == 10025 and security["readOnlyRootFilesystem"]
        assert security["allowPrivilegeEscalation"] is False and security["capabilities"] == {"drop": ["ALL"]}
        assert security["seccompProfile"]["type"] == "RuntimeDefault" and security["fsGroup"] == 10025
        ports = {each["name"] for each in postern["ports"]}
        assert {postern[f"{kind}Probe"]["httpGet"]["port"] for kind in ("liveness", "readiness")} <= ports
        assert postern["livenessProbe"]["httpGet"]["path"] == "/healthz", "not /readyz, which says no while it drains"
        volumes = {each["name"] for each in pod["volumes"]}
        assert {each["name"] for each in postern["volumeMounts"]} <= volumes
        assert not any("subPath" in each for each in postern["volumeMounts"]), "what is renewed would not be seen"
        settings = configuration_of(container, certificates, name, postern)
        drain = settings.get("drain", {})
        assert pod["terminationGracePeriodSeconds"] >= seconds(drain["timeout"]) + seconds(drain["delay"]) + 20


def configuration_of(container, certificates, name, postern):
    """Where the pod's files are, there are the test's; what comes of its variables or its ConfigMap passes `check`."""
    variables = {each["name"]: each["value"] for each in postern["env"]}
    os.makedirs(f"{container.etc}/tls")
    os.makedirs(f"{container.etc}/tickets")
    shutil.copy(certificates.ecdsa.chain, f"{container.etc}/tls/tls.crt")
    shutil.copy(certificates.ecdsa.key, f"{container.etc}/tls/tls.key")
    with open(f"{container.etc}/tickets/tickets", "wb") as file:
        file.write(os.urandom(80))
    if "POSTERN_CONFIG" in variables:
        text = next(each for each in documents(name) if each["kind"] == "ConfigMap")["data"]["postern.yaml"]
        variables["POSTERN_CONFIG"] = f"{container.etc}/postern.yaml"
        with open(variables["POSTERN_CONFIG"], "w", encoding="utf-8") as file:
            file.write(text.replace("/etc/postern", container.etc).replace("/run/postern", container.run))
    done = container.command("check", variables)
    assert done.returncode == 0, done.stderr
    return container.configuration(variables)


def test_services_find_their_pods():
    for name in MANIFESTS:
        labels = [
            each["spec"]["template"]["metadata"]["labels"] for each in documents(name) if each["kind"] == "Deployment"
        ]
        named = {port["name"] for pod in pods(name) for each in pod["containers"] for port in each["ports"]}
        for service in (each for each in documents(name) if each["kind"] == "Service"):
            assert service["spec"]["selector"] in labels
            assert {port["targetPort"] for port in service["spec"]["ports"]} <= named


def test_compose(container, build_folder, folder):
    (compose,) = documents("compose.yaml")
    postern = compose["services"]["postern"]
    done = container.command("check", postern["environment"])
    assert done.returncode == 0, done.stderr
    assert seconds(postern["stop_grace_period"]) > 300, "drain.timeout"
    assert postern["read_only"] and postern["cap_drop"] == ["ALL"]
    for name, service in compose["services"].items():
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            assert source in compose["volumes"] or os.path.exists(f"{DOCKER}/{source}"), f"{name}: {source}"
        if "build" in service:
            context = os.path.normpath(f"{DOCKER}/{service['build']['context']}")
            assert os.path.exists(f"{context}/{service['build'].get('dockerfile', 'Dockerfile')}")
    (target,) = documents("monitoring/prometheus.yml")[0]["scrape_configs"][0]["static_configs"][0]["targets"]
    assert target == "postern:" + postern["environment"]["POSTERN_ADMIN"].rpartition(":")[2]
    promtool = unpack(build_folder, "prometheus", ["prometheus"], where_known=["promtool"]).path("usr/bin/promtool")
    for source in ("monitoring/prometheus.yml", "alerts.yml"):
        shutil.copy(f"{DOCKER}/{source}", folder)
    done = subprocess.run(
        [promtool, "check", "config", f"{folder}/prometheus.yml"], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_the_image_is_built_from():
    """Sources that COPY names are there, and not kept back by .dockerignore; whoever runs has a number."""
    with open(f"{DOCKER}/Dockerfile", encoding="utf-8") as file:
        text = file.read()
    for source in re.findall(r"^COPY (docker/\S+)", text, re.M):
        assert os.path.exists(f"{ROOT}/{source}")
    with open(f"{ROOT}/.dockerignore", encoding="utf-8") as file:
        kept_back = file.read().split()
    assert "docker" not in kept_back and ".git" in kept_back
    assert re.search(r"^USER \d+:\d+$", text, re.M), "a name is no number, of which Kubernetes would know that it is not root"
