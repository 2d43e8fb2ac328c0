"""`postern init`: what it writes runs as it is, and it never waits for somebody who is not there."""

import os
import pathlib
import pty
import re
import select
import stat
import subprocess
import sys
import time

import pytest
from test_quick_start import STRANGER, host, install_exim, install_postfix, install_qmail  # noqa: F401 (a fixture)

from harness.client import secure_client
from harness.daemon import Daemon
from harness.messages import message, new_token
from harness.ports import PATIENCE, free_port, is_listening

PROBE = [sys.executable, os.path.join(os.path.dirname(__file__), "programs", "ucspi_probe.py")]


def mail_port():
    """A free port that `init` takes for one of mail from other servers."""
    return next(port for port in iter(free_port, None) if port % 1000 not in (465, 587))


def init(postern, *words, env=None):
    """Nobody sits there: standard input is at its end."""
    return subprocess.run(
        [postern, "init", *map(str, words)],
        capture_output=True, text=True, timeout=PATIENCE, check=False, stdin=subprocess.DEVNULL,
        env={**os.environ, **(env or {})},
    )  # fmt: skip


class Running:
    """`postern run` with a file that `init` wrote."""

    def __init__(self, postern, path, ports):
        self.daemon = Daemon([postern, "run", "--config", path], f"{path}.log")
        self.daemon.wait_ready(lambda: all(is_listening(port, self.daemon.pid) for port in ports), "it listens")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        status = self.daemon.terminate()
        self.daemon.kill()
        assert status == 0, self.daemon.output()


def test_a_plaintext_server_has_starttls_by_what_was_written(postern, folder, sink):
    port = mail_port()
    path = f"{folder}/etc/postern.yaml"
    words = ["--backend", sink.address, "--hostname", "mx.example.org", "--domain", "example.org", "--self-signed"]
    done = init(postern, *words, "--ports", port, "--output", path)
    assert done.returncode == 0, done.stderr
    assert f"openssl s_client -quiet -crlf -starttls smtp -servername mx.example.org -connect localhost:{port}" in done.stdout
    assert stat.S_IMODE(os.stat(f"{folder}/etc/self-signed.key").st_mode) == 0o600
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o644
    checked = subprocess.run([postern, "check", "--config", path], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    token = new_token()
    with Running(postern, path, [port]):
        with secure_client(port, "starttls") as client:
            client.send_message("a@example.net", ["b@example.org"], message(b"by init\r\n", token))
            client.expect(250, "MAIL FROM:<a@example.net>")
            client.expect(550, "RCPT TO:<b@elsewhere.example>")
        assert b"by init" in sink.maildir.wait_for(token.encode())


def test_a_file_that_somebody_has_changed_is_not_replaced(postern, folder, sink):
    path = f"{folder}/postern.yaml"
    words = ["--backend", sink.address, "--hostname", "mx.example.org", "--domain", "example.org", "--self-signed"]
    words += ["--output", path]
    for _ in range(2):  # what it wrote itself it writes again
        assert init(postern, *words).returncode == 0
    with open(path, "a", encoding="utf-8") as file:
        file.write("# mine\n")
    done = init(postern, *words)
    assert done.returncode == 1 and "has been edited" in done.stderr
    with open(path, encoding="utf-8") as file:
        assert file.read().endswith("# mine\n")
    assert init(postern, *words, "--force").returncode == 0
    assert init(postern, *words).returncode == 0  # what it wrote then takes nobody's place
    with open(f"{path}.old", encoding="utf-8") as file:
        assert file.read().endswith("# mine\n")


@pytest.mark.parametrize(
    "words, needed",
    [
        (["--backend", "127.0.0.1:2525"], "--domain is needed"),
        (["--backend", "exec /bin/true"], "--certificate is needed"),
        (["--backend", "127.0.0.1:25"], "--backend: '127.0.0.1:25' is where Postern itself is to listen"),
        (["--backend", "127.0.0.1:2525", "--domain", "*"], "--domain: '*' would let anybody"),
        (["--backend", "exec /usr/sbin/exim4 -bs"], "--backend: this program takes a session with -bs for a local one"),
        (["--backend", "exec", "/bin/true", "--self-signed", "--domain", "a b"], "--domain: "),
    ],
)
def test_what_is_missing_is_named_where_nobody_can_be_asked(postern, folder, words, needed):
    done = init(postern, "--hostname", "mx.example.org", "--output", f"{folder}/postern.yaml", *words)
    assert done.returncode == 2 and needed in done.stderr, done.stderr
    assert os.listdir(folder) == []


def test_what_check_refuses_is_not_written(postern, folder):
    words = ["--backend", "exec", "/bin/true", "--hostname", "mx.example.org", "--self-signed"]
    done = init(postern, *words, "--user", "no-such-user", "--output", f"{folder}/postern.yaml")
    assert done.returncode == 1 and "no-such-user" in done.stderr and "nothing was written" in done.stderr
    assert os.listdir(folder) == []


def contents(folder):
    return {path.name: path.read_bytes() for path in pathlib.Path(folder).iterdir()}


def test_what_is_not_written_leaves_the_pair_that_was_there(postern, folder):
    words = ["--backend", "exec", "/bin/true", "--self-signed", "--output", f"{folder}/postern.yaml"]
    assert init(postern, *words, "--hostname", "mx.example.org").returncode == 0
    before = contents(folder)
    done = init(postern, *words, "--hostname", "other.example.org", "--user", "no-such-user")
    assert done.returncode == 1 and "nothing was written" in done.stderr
    assert contents(folder) == before


def test_a_certificate_says_for_whom_and_until_when_it_is(postern, folder, certificates):
    words = ["--backend", "exec", "/bin/true", "--output", "-"]
    given = ["--certificate", certificates.ecdsa.chain, certificates.ecdsa.key, certificates.rsa.chain, certificates.rsa.key]
    done = init(postern, *words, *given, "--hostname", "mx.example.org")
    assert done.returncode == 0, done.stderr
    assert len(re.findall(r"# For mx.example.org, until 20\d\d-\d\d-\d\d", done.stdout)) == 2
    assert "no certificate names" not in done.stderr
    done = init(postern, *words, *given, "--hostname", "mail.example.org")
    assert done.returncode == 0 and "no certificate names mail.example.org" in done.stderr
    done = init(postern, *words, "--hostname", "mx.example.org", "--certificate", certificates.ecdsa.chain, certificates.rsa.key)
    assert done.returncode == 1 and done.stdout == "", done.stderr


def test_the_environment_alone_makes_a_configuration_on_stdout(postern, folder, sink):
    port, submissions = mail_port(), free_port(ending=465)
    environment = {
        "POSTERN_BACKEND": sink.address,
        "POSTERN_SELF_SIGNED": f"{folder}/keys",
        "POSTERN_HOSTNAME": "mx.example.org",
        "POSTERN_DOMAINS": "example.org, example.net",
        "POSTERN_LISTEN_PORTS": f"{port} {submissions}",
        "POSTERN_LOG_FORMAT": "json",
        "POSTERN_OUTBOUND": "",
    }
    done = init(postern, "--from-environment", "--output", "-", env=environment)
    assert done.returncode == 0, done.stderr
    path = f"{folder}/postern.yaml"
    with open(path, "w", encoding="utf-8") as file:
        file.write(done.stdout)
    tokens = [new_token(), new_token()]
    with Running(postern, path, [port, submissions]):
        for at, mode, token in ((port, "starttls", tokens[0]), (submissions, "implicit", tokens[1])):
            with secure_client(at, mode) as client:
                client.send_message("a@example.net", ["b@example.net"], message(b"hello\r\n", token))
        for token in tokens:
            sink.maildir.wait_for(token.encode())
    done = init(postern, "--from-environment", "--output", "-", env={**environment, "POSTERN_DOMAINS": ""})
    assert done.returncode == 2 and "POSTERN_DOMAINS is needed" in done.stderr and done.stdout == ""


def test_a_program_is_started_with_its_environment(postern, folder):
    port = mail_port()
    path = f"{folder}/postern.yaml"
    words = ["--hostname", "mx.example.org", "--self-signed", "--ports", port, "--output", path]
    done = init(postern, *words, "--backend", "exec", *PROBE)
    assert done.returncode == 0, done.stderr
    with Running(postern, path, [port]), secure_client(port, "starttls", source="127.0.0.9") as client:
        assert '"TCPREMOTEIP": "127.0.0.9"' in client.expect(250, "VRFY environment").text


def test_a_server_that_offers_xclient_is_asked_and_told(postern, folder, postfix):
    port = mail_port()
    path = f"{folder}/postern.yaml"
    words = ["--hostname", "mx.example.org", "--self-signed", "--ports", port, "--output", path]
    done = init(postern, *words, "--backend", f"127.0.0.1:{postfix.xclient}")
    assert done.returncode == 0, done.stderr
    token = new_token()
    with Running(postern, path, [port]):
        with secure_client(port, "starttls", source="127.0.0.77") as client:
            client.send_message("a@example.net", ["b@example.org"], message(b"hello\r\n", token))
            client.expect(250, "MAIL FROM:<a@example.net>")
            client.expect(554, "RCPT TO:<b@elsewhere.example>")
        assert b"[127.0.0.77]" in postfix.maildir.wait_for(token.encode())


class Terminal:
    """A person at a terminal: reads what is asked, and types."""

    def __init__(self, *argv):
        self.master, slave = pty.openpty()
        self.process = subprocess.Popen(argv, stdin=slave, stderr=slave, stdout=subprocess.PIPE)
        os.close(slave)
        self.seen = ""

    def wait_for(self, words):
        until = time.monotonic() + PATIENCE
        while words not in self.seen:
            ready, _, _ = select.select([self.master], [], [], max(0, until - time.monotonic()))
            assert ready, f"nobody asks {words!r}:\n{self.seen}"
            try:
                self.seen += os.read(self.master, 65536).decode()
            except OSError as error:
                raise AssertionError(f"it ended before {words!r}:\n{self.seen}") from error

    def answer(self, prompt, line):
        self.wait_for(prompt)
        self.seen = ""
        os.write(self.master, line.encode() + b"\n")

    def end(self):
        """The exit status, and what went to standard output."""
        stdout, _ = self.process.communicate(timeout=PATIENCE)
        os.close(self.master)
        return self.process.returncode, stdout.decode()


def test_a_person_is_asked_what_the_machine_cannot_answer(postern, folder, sink):
    path = f"{folder}/postern.yaml"
    terminal = Terminal(postern, "init", "--backend", sink.address, "--hostname", "mx.example.org", "--output", path)
    terminal.answer("domain:", "*")
    terminal.answer("domain:", "example.org")  # not that
    terminal.answer("certificate:", "self-signed")
    terminal.answer("outbound [off]:", "")
    terminal.answer("[yes]:", "")
    status, output = terminal.end()
    assert status == 0 and f"{path} is written" in output, terminal.seen
    with open(path, encoding="utf-8") as file:
        assert re.search(r"allow_domains: \[example.org\]", file.read())


def test_a_person_who_leaves_ends_it(postern, folder, sink):
    terminal = Terminal(postern, "init", "--backend", sink.address, "--output", f"{folder}/postern.yaml",
                        "--hostname", "mx.example.org")  # fmt: skip
    terminal.answer("domain:", "\x04")
    status, _ = terminal.end()
    assert status == 2
    assert os.listdir(folder) == ["sink"]


def follow(there, *words):
    """Has `init` look at the host, and does what it then says, as it is printed."""
    there.installed.write("etc/systemd/system/postern.service", "")
    there.installed.run("rm", "-rf", "/etc/postern")
    steps = there.sh(f"postern init --hostname mx.example.org --self-signed {' '.join(words)}")
    commands = [line.strip() for line in steps.splitlines() if line.startswith("     ")]
    assert any(line.startswith("openssl s_client") for line in commands), steps
    there.sh("\n".join(line for line in commands if not line.startswith(("openssl ", "postern status"))))
    return steps


def test_postfix_by_what_is_printed(host):  # noqa: F811
    there = install_postfix(host)
    there.sh(
        "postconf -Me 'submission/inet=submission inet n - y - - smtpd -o smtpd_tls_security_level=encrypt "
        "-o {smtpd_banner = people ESMTP}'; postfix stop; postfix start"
    )
    steps = follow(there, "--submission")
    assert "listens on port" not in steps, steps  # Postfix itself does, which is known to go
    stored = there.mail_arrives("alice@example.org", "var/mail")
    assert f"[{STRANGER}]" in stored, stored  # XCLIENT
    there.strangers_cannot_relay()
    with there.session(port=587) as client:
        assert "people" in client.expect(220).text
        assert "STARTTLS" in client.expect(250, "EHLO client.example").keywords()
        client.expect(530, "MAIL FROM:<a@example.net>")
    there.sh("postern status --config /etc/postern/postern.yaml; postfix stop")


def test_exim_by_what_is_printed(host):  # noqa: F811
    there = install_exim(host)
    follow(there)
    stored = there.mail_arrives("alice@example.org", "var/mail")
    assert f"[{STRANGER}]" in stored, stored  # -oMa
    there.strangers_cannot_relay()
    there.sh("kill $(cat /run/exim4/exim.pid)")


def test_qmail_by_what_is_printed(host, build_folder, folder):  # noqa: F811
    there, mailbox = install_qmail(host, build_folder, folder)
    there.installed.write("var/qmail/control/rcpthosts", "example.org\n")
    there.installed.write("etc/service/qmail-smtpd/run", "exec tcpserver 0 25 /var/qmail/bin/qmail-smtpd\n", 0o755)
    steps = follow(there)
    assert "install -D -m 644 /usr/share/postern/exec.conf" in steps
    assert "svc -d /etc/service/qmail-smtpd && touch /etc/service/qmail-smtpd/down" in steps
    stored = there.mail_arrives("alice@example.org", mailbox)
    assert STRANGER in stored, stored  # TCPREMOTEIP
