"""The life of the Debian package on a machine: installed, configured, used, upgraded under load, purged."""

import os
import re
import smtplib
import ssl
import threading
import time
import uuid

from harness.ports import wait_until

CONFIGURATION = "/etc/postern/postern.yaml"

# Not of any package: what the system, apt and the log keep.
_OTHERS = re.compile(
    r"-?/(run|root|home|trial|tmp|var/(log|cache|tmp|backups|spool|lib/(dpkg|apt|systemd|postfix|containers)))(/|$)"
    r"|-?/etc/((passwd|group|shadow|gshadow|subuid|subgid)-?|\.pwd\.lock|ld\.so\.cache|machine-id)$"
)


def inventory(machine):
    """What the machine has that it had not at its start, and the users and groups that there are."""
    users = machine.run("cat", "/etc/passwd", "/etc/group").splitlines()
    return {path for path in machine.changes() if not _OTHERS.match(path)} | set(users)


class Sink:
    """`postern sink` as the plaintext server behind; its mail is counted by what is in its folder."""

    backend = '{ address: "127.0.0.1:2525" }\n    recipients: { allow_domains: [example.org] }'

    def __init__(self, machine):
        self.machine = machine

    def start(self):
        # Of a copy: it is not what is upgraded.
        self.machine.sh("mkdir -p /trial/mail; cp /usr/bin/postern /trial/sink")
        self.machine.run(
            "systemd-run", "--unit=sink", "--collect", "/trial/sink", "sink", "--listen", "127.0.0.1:2525", "--quiet",
            "--maildir", "/trial/mail",
        )  # fmt: skip

    def stop(self):
        self.machine.run("systemctl", "stop", "sink")

    def tokens(self):
        found = self.machine.ask("sh", "-c", "cat /trial/mail/new/* 2>/dev/null | grep -a ^X-Token: || true")
        return [line.split()[1] for line in found.stdout.splitlines()]


class Postfix:
    """Postfix without TLS on another port, told by XCLIENT who the client is: as the README has it."""

    backend = '{ address: "127.0.0.1:2525", client_address: xclient }'

    def __init__(self, machine):
        self.machine = machine

    def start(self):
        self.machine.sh("""
useradd --create-home bob
postconf -e smtpd_authorized_xclient_hosts=127.0.0.1 smtpd_tls_security_level=none 'mydestination=example.org, localhost' \\
    myhostname=mx.example.org home_mailbox=Maildir/ 'smtpd_client_connection_count_limit=0' smtpd_peername_lookup=no \\
    compatibility_level=3.6
postconf -MX smtp/inet
postconf -M '127.0.0.1:2525/inet=127.0.0.1:2525 inet n - n - - smtpd'
systemctl restart postfix
""")

    def stop(self):
        self.machine.run("systemctl", "stop", "postfix")

    def tokens(self):
        found = self.machine.ask("sh", "-c", "cat /home/bob/Maildir/new/* 2>/dev/null | grep -a ^X-Token: || true")
        return [line.split()[1] for line in found.stdout.splitlines()]


class Senders:
    """Each sends one message after the other by STARTTLS, and the same one again until it was accepted."""

    def __init__(self, machine, count):
        self.machine = machine
        self.accepted, self.unsure, self.troubles, self.refused = [], set(), [], 0
        self._ending = threading.Event()
        self._threads = [threading.Thread(target=self._send, daemon=True) for _ in range(count)]
        for thread in self._threads:
            thread.start()

    def _send(self):
        with self.machine.entered():
            while not self._ending.is_set():
                token = uuid.uuid4().hex
                while not self._deliver(token):
                    time.sleep(0.2)
                self.accepted.append(token)

    def _deliver(self, token):
        try:
            deliver(token, on_end=lambda: self.unsure.add(token))
        except ConnectionRefusedError as error:
            self.refused += 1
            self.troubles.append(repr(error))
            return False
        except (OSError, smtplib.SMTPException) as error:
            self.troubles.append(repr(error))
            return False
        return True

    def end(self):
        self._ending.set()
        for thread in self._threads:
            thread.join(120)
            assert not thread.is_alive(), "a sender does not come to an end"


def deliver(token, port=25, on_end=None):
    """One message over STARTTLS; raises what goes wrong. `on_end`: called where it may have been delivered all the same."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    client = smtplib.SMTP("127.0.0.1", port, local_hostname="client.example.net", timeout=60)
    try:
        client.ehlo()
        client.starttls(context=context)
        client.ehlo()
        assert client.sock.version() == "TLSv1.3"
        for code, reply in (client.mail("a@example.net"), client.rcpt("bob@example.org")):
            if code != 250:
                raise smtplib.SMTPResponseException(code, reply)
        try:
            code, reply = client.data(f"Subject: trial\r\nX-Token: {token}\r\n\r\ncontent\r\n".encode())
        except smtplib.SMTPDataError:
            raise
        except (OSError, smtplib.SMTPException):
            if on_end:
                on_end()
            raise
        if code != 250:
            raise smtplib.SMTPResponseException(code, reply)
    finally:
        client.close()


class Trial:
    def __init__(self, machine, server, install, say=print):
        """`install(file)`: how a package is installed; returns what was said."""
        self.machine, self.server, self.install, self.say = machine, server, install, say

    def active(self):
        return self.machine.ask("systemctl", "is-active", "postern").stdout.strip()

    def first_installation(self, package):
        machine = self.machine
        said = self.install(package)
        assert "installed and not started" in said, said
        assert self.active() == "inactive"
        assert machine.ask("systemctl", "is-enabled", "postern").stdout.strip() == "disabled"
        facts = machine.run("stat", "-c", "%U:%G %a", "/var/lib/postern", CONFIGURATION, "/usr/libexec/postern/postern-resolver")
        assert facts.split("\n")[:3] == ["postern:postern 700", "root:root 644", "root:root 755"], facts
        # As it comes it has nothing to do, and says so.
        done = machine.ask("postern", "check", "--config", CONFIGURATION)
        assert done.returncode == 1 and "there is no listener" in done.stderr, done
        size = int(machine.run("dpkg-query", "--show", "--showformat=${Installed-Size}", "postern"))
        assert size < 10 * 1024, f"{size} KiB"
        self.say(f"installed, {size} KiB; {machine.run('postern', '--version').splitlines()}")
        security = machine.ask("systemd-analyze", "security", "--no-pager", "--threshold=30", "postern.service")
        assert security.returncode == 0, security.stdout
        self.say(security.stdout.strip().splitlines()[-1])

    def configure(self, top=""):
        machine = self.machine
        machine.sh("""
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=mx.example.org \\
    -addext subjectAltName=DNS:mx.example.org -keyout /etc/postern/mx.key -out /etc/postern/mx.pem 2>/dev/null
chmod 600 /etc/postern/mx.key
""")
        self._written = f"""user: postern
hostname: mx.example.org
control: /run/postern/control
admin: {{ listen: "127.0.0.1:9025" }}
drain: {{ timeout: 60s }}
certificates:
  mx:
    - {{ chain: /etc/postern/mx.pem, key: /etc/postern/mx.key }}
inbound:
  mx:
    listen: ["0.0.0.0:25", "[::]:25"]
    certificates: [mx]
    limits: {{ sessions_per_client: 0 }}
    backend: {self.server.backend}
{top}"""
        machine.write(CONFIGURATION, self._written)
        machine.run("postern", "check", "--config", CONFIGURATION)
        machine.run("systemctl", "enable", "--now", "postern")
        assert self.active() == "active"

    def deliver_one(self):
        token = uuid.uuid4().hex
        with self.machine.entered():
            deliver(token)
        wait_until(lambda: token in self.server.tokens(), "it has arrived")

    def reload(self):
        before = self.machine.main_process("postern")
        self.machine.run("systemctl", "reload", "postern")
        assert "inbound.mx" in self.machine.run("postern", "status", "--config", CONFIGURATION)
        self.machine.run("postern", "reload", "--config", CONFIGURATION)
        assert self.machine.main_process("postern") == before

    def upgrade_under_load(self, package, senders=30, seconds=6):
        machine = self.machine
        before = machine.main_process("postern")
        load = Senders(machine, senders)
        wait_until(lambda: len(load.accepted) > 2 * senders, "mail flows")
        said = self.install(package)
        after = machine.main_process("postern")
        assert "has taken over" in said and after not in (0, before), said
        assert machine.run("cat", CONFIGURATION) == self._written
        so_far = len(load.accepted)
        wait_until(lambda: len(load.accepted) > so_far + 2 * senders, "mail flows")
        time.sleep(seconds)
        load.end()
        assert os.readlink(machine.path(f"/proc/{after}/exe")) == "/usr/bin/postern"
        wait_until(lambda: not os.path.exists(machine.path(f"/proc/{before}")), "the old one has drained")
        assert self.active() == "active"
        wait_until(lambda: set(load.accepted) <= set(self.server.tokens()), "every accepted message has arrived")
        arrived = self.server.tokens()
        twice = {token for token in set(arrived) if arrived.count(token) > 1} - load.unsure
        assert not twice, f"delivered twice: {twice}"
        assert load.refused == 0, load.troubles
        self.say(
            f"upgraded under {senders} senders: {len(load.accepted)} accepted, all delivered once, none refused; "
            f"tried again: {len(load.troubles)} {sorted(set(load.troubles))[:4]}"
        )

    def upgrade_that_is_refused(self, package):
        """A configuration that the new one does not take: the old one runs on."""
        machine = self.machine
        before = machine.main_process("postern")
        machine.write(CONFIGURATION, self._written + "no_such_key: 1\n")
        said = self.install(package)
        assert "THE OLD VERSION STILL RUNS" in said, said
        assert machine.main_process("postern") == before
        self.deliver_one()
        machine.write(CONFIGURATION, self._written)
        self.install(package)
        assert machine.main_process("postern") not in (0, before)
        self.deliver_one()

    def programs(self):
        """backend.exec with a set-user-ID program, without and with the drop-in."""
        machine = self.machine
        machine.sh("cp /usr/bin/id /usr/local/bin/who; chmod 4755 /usr/local/bin/who")
        machine.write(
            CONFIGURATION,
            self._written.replace(
                f"backend: {self.server.backend}",
                'backend: { exec: [/bin/sh, -c, "echo 220 $$(/usr/local/bin/who)"] }',
            ),
        )
        for wanted in (False, True):
            if wanted:
                folder = "/etc/systemd/system/postern.service.d"
                machine.sh(f"mkdir -p {folder}; cp /usr/share/postern/exec.conf {folder}/; systemctl daemon-reload")
            machine.run("systemctl", "restart", "postern")
            with machine.entered():
                client = smtplib.SMTP(timeout=60)
                code, greeting = client.connect("127.0.0.1", 25)
                client.close()
            assert code == 220 and (b"euid=0" in greeting) == wanted, greeting
            log = ["journalctl", "--unit=postern", "--output=cat", f"_PID={machine.main_process('postern')}"]
            if wanted:
                wait_until(lambda: "listening" in machine.run(*log), "its log has begun", interval=0.2)
                machine.run("journalctl", "--sync")
                assert "NoNewPrivileges" not in machine.run(*log)
            else:
                wait_until(lambda: "NoNewPrivileges" in machine.run(*log), "it warns of what is forbidden", interval=0.2)
        machine.sh("rm /usr/local/bin/who")
        machine.write(CONFIGURATION, self._written)
        machine.run("systemctl", "restart", "postern")
        self.deliver_one()

    def remove_and_install(self, package, *command):
        """What was enabled runs again afterwards; what would not start is said."""
        machine = self.machine
        for wrong in (True, False):
            machine.run(*command, "postern", timeout=300)
            assert machine.main_process("postern") == 0
            machine.write(CONFIGURATION, self._written + "no_such_key: 1\n" * wrong)
            said = self.install(package)
            assert ("NOT RUNNING" in said) == wrong, said
            assert self.active() == ("inactive" if wrong else "active"), said
        assert "started, as it is enabled" in said, said
        self.deliver_one()
        machine.run("systemctl", "disable", "--now", "postern")
        said = self.install(package)
        assert "not running, and not enabled" in said and self.active() == "inactive", said
        machine.run("systemctl", "enable", "--now", "postern")
        self.say("removed and installed: it runs again, or says why not")

    def purge(self, before, *command):
        machine = self.machine
        # As `postern init` makes them. Other keys are the operator's, mx.key is.
        machine.sh("cd /etc/postern; touch self-signed.pem self-signed.key postern.yaml.old")
        machine.run(*command, "postern", timeout=300)
        assert self.active() != "active"
        assert machine.main_process("postern") == 0
        assert machine.run("ls", "/etc/postern").split() == ["mx.key", "mx.pem"]
        machine.run("rm", "-r", "/etc/postern")
        after = inventory(machine)
        assert after == before, f"left over: {sorted(after - before)}; gone: {sorted(before - after)}"
        self.say("purged: nothing left but keys that it has not made")
