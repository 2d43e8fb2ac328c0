"""docs/quick-start.md, word by word: its commands are run and its files written on a host with the mail server of which a
section speaks, as Debian configures it. Then mail arrives over TLS, and strangers cannot relay.
"""

import os
import re

import pytest
from test_docs import ROOT, blocks

from harness.client import Client
from harness.daemon import Daemon
from harness.installed import Installed
from harness.mailfront import Mailfront
from harness.messages import message, new_token
from harness.netns import Namespace, join, need_namespaces
from harness.ports import PATIENCE, wait_until

STRANGER = "192.0.2.7"  # an address of the host itself; no server takes it for one of its own

# What systemd does for the page, and daemontools. The unit of Postern is on the page, too: its ExecStart is run.
_SYSTEMCTL = """#!/bin/sh -e
case "$*" in
    daemon-reload) ;;
    "reload postfix") postfix reload ;;
    "restart postfix") postfix stop || true; postfix start ;;
    "restart exim4") kill "$(cat /run/exim4/exim.pid)"; while ss -Hltn 'sport = :25' | grep -q :25; do sleep 0.1; done; exim4 -bd -q30m ;;
    "enable --now postern" | "restart postern")
        if [ -e /run/postern.pid ]; then
            kill "$(cat /run/postern.pid)"
            while [ -e "/proc/$(cat /run/postern.pid)/exe" ]; do sleep 0.1; done
        fi
        mkdir -p /run/postern
        postern run --config /etc/postern/postern.yaml >>/run/postern.log 2>&1 &
        echo $! >/run/postern.pid ;;
    *) echo "systemctl $*: not foreseen" >&2; exit 1 ;;
esac
"""


def section(heading, language):
    """The blocks of one section of the page, in order."""
    page = ROOT / "docs/quick-start.md"
    text = page.read_text(encoding="utf-8")
    begin = text.index(f"\n## {heading}\n")
    end = text.find("\n## ", begin + 1)
    first, last = text.count("\n", 0, begin) + 1, text.count("\n", 0, end) + 1 if end > 0 else 10**6
    return [block for line, block in blocks(page, language) if first < line < last]


class Host:
    """A host of its own, with the packages of a mail server, on which the page is followed."""

    def __init__(self, postern, build_folder, folder, name, packages):
        self.network = Namespace("quick")
        self.network.ip("address", "add", f"{STRANGER}/32", "dev", "lo")
        self.network.use_hosts(**{"mx.example.org": "127.0.0.1"})
        try:
            self.installed = Installed(build_folder, f"{folder}/installed", name, packages)
        except BaseException:
            self.network.remove()
            raise
        self.installed.write("etc/hosts", "127.0.0.1 mx.example.org mx localhost\n::1 localhost\n")
        self.installed.write("etc/mailname", "mx.example.org\n")
        self.program("systemctl", _SYSTEMCTL)
        self.program("svc", "#!/bin/sh\n")
        with open(ROOT / "docker/debian/exec.conf", encoding="utf-8") as file:
            self.installed.write("usr/share/postern/exec.conf", file.read())
        for place in ("usr/bin/postern", "usr/local/bin/postern"):
            if os.path.lexists(self.installed.path(place)):
                os.remove(self.installed.path(place))
            os.symlink(postern, self.installed.path(place))

    def program(self, name, text):
        self.installed.write(f"usr/local/bin/{name}", text, 0o755)

    def add_users(self, *names):
        """Those that are not there on this machine."""
        with open(self.installed.path("etc/passwd"), encoding="utf-8") as file:
            known = file.read()
        for number, name in enumerate(names):
            if not re.search(rf"^{name}:", known, re.MULTILINE):
                self.installed.add_users(name, first=64300 + number)

    def sh(self, script):
        path = "usr/local/bin:/usr/bin:/usr/sbin:/bin:/sbin"
        command = self.installed.command("env", f"PATH=/{path}", "sh", "-e", "-c", script)
        return self.network.run(*command, timeout=120)

    def follow(self, heading):
        """A trial certificate, and what the section says."""
        self.sh(section("A certificate", "sh")[-1])
        self.installed.write("etc/postern/postern.yaml", section(heading, "yaml")[0])
        self.sh(section(heading, "sh")[0])

    def log(self):
        path = self.installed.path("run/postern.log")
        if not os.path.exists(path):
            return ""
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def session(self, source="127.0.0.1", port=25):
        def connect():
            try:
                with self.network.entered():
                    return Client(port, source=source)
            except ConnectionRefusedError:
                return None

        return wait_until(connect, "Postern listens", PATIENCE, 0.1)

    def mail_arrives(self, recipient, mailbox):
        """From a stranger, over TLS; returns what was stored."""
        token = new_token()
        with self.session(STRANGER) as client:
            keywords = client.greeted().keywords()
            assert "STARTTLS" in keywords and "XCLIENT" not in keywords, keywords
            client.starttls()
            assert "STARTTLS" not in client.expect(250, "EHLO client.example").keywords()
            client.send_message("sender@example.net", [recipient], message(token=token))
            client.command("QUIT")
        path = self.installed.path(mailbox)

        def stored():
            for folder, _, files in os.walk(path):
                for name in files:
                    with open(os.path.join(folder, name), "rb") as file:
                        content = file.read()
                    if token.encode() in content:
                        return content.decode()
            return None

        return wait_until(stored, f"the message is below {mailbox}", PATIENCE, 0.2)

    def strangers_cannot_relay(self):
        with self.session(STRANGER) as client:
            client.greeted()
            client.starttls()
            client.expect(250, "EHLO client.example")
            client.expect(250, "MAIL FROM:<sender@example.net>")
            reply = client.command("RCPT TO:<somebody@elsewhere.example>")
            assert 450 <= reply.code <= 559, reply  # Postfix may say 454

    def remove(self):
        try:
            self.sh("[ ! -e /run/postern.pid ] || kill $(cat /run/postern.pid) || true")  # it may have ended
        finally:
            self.installed.remove()
            self.network.remove()


@pytest.fixture
def host(request, postern, build_folder, folder):
    """host(name, packages)"""
    need_namespaces()
    hosts = []

    def make(name, packages):
        hosts.append(Host(postern, build_folder, folder, name, packages))
        return hosts[-1]

    yield make
    for each in hosts:
        if getattr(request.node, "has_failed", False):
            print(f"--- log of the gateway\n{each.log()[-8000:]}")
            print(each.sh("cat /var/log/postfix.log /var/log/exim4/* 2>/dev/null || true")[-8000:])
        each.remove()


def install_postfix(host):
    there = host("postfix", ["postfix"])
    there.add_users("postern", "postfix", "postdrop", "alice")
    # As the package does when it is installed for an internet site.
    there.sh(
        "cp /usr/share/postfix/main.cf.debian /etc/postfix/main.cf; cp /usr/share/postfix/master.cf.dist /etc/postfix/master.cf;"
        "cp -n /usr/share/postfix/dynamicmaps.cf /etc/postfix/ 2>/dev/null || true; install -d -o postfix /var/lib/postfix /var/spool/postfix;"
        "postconf -e myhostname=mx.example.org mydestination=example.org,localhost 'mynetworks=127.0.0.0/8 [::1]/128' "
        "inet_interfaces=all alias_maps= alias_database= home_mailbox=Maildir/ mail_spool_directory=/var/mail/ "
        "maillog_file=/var/log/postfix.log smtpd_tls_security_level=may;"
        "postfix set-permissions 2>/dev/null || true; install -d -m 1777 /var/mail; postconf -e home_mailbox="
    )
    there.sh("postfix start")
    return there


def test_postfix(host):
    there = install_postfix(host)
    there.follow("Postfix")
    stored = there.mail_arrives("alice@example.org", "var/mail")
    assert f"[{STRANGER}]" in stored, stored  # XCLIENT
    there.strangers_cannot_relay()
    its_own_mail_leaves_through_postern(there)
    there.sh("postfix stop")


def its_own_mail_leaves_through_postern(there):
    """As far as it gets where no name can be looked up."""
    configuration = there.installed.path("etc/postern/postern.yaml")
    with open(configuration, "a", encoding="utf-8") as file:
        file.write(section("Outgoing mail", "yaml")[0])
    lines = section("Outgoing mail", "sh")[0].splitlines()
    there.sh("\n".join(line for line in lines if not line.startswith(("apt-get", "postern probe"))))
    page = (ROOT / "docs/quick-start.md").read_text(encoding="utf-8")
    there.sh("\n".join(re.findall("`([^`]+)`", re.search(r"^\| Postfix \| (.*) \|$", page, re.MULTILINE)[1])))
    with there.session() as client:  # from this machine, so that Postfix relays
        client.greeted()
        client.send_message("alice@example.org", ["somebody@elsewhere.example"], message())
    log = there.installed.path("var/log/postfix.log")

    def deferred():
        with open(log, encoding="utf-8", errors="replace") as file:
            return re.search(r"relay=127\.0\.0\.1\[127\.0\.0\.1\]:10025.*said: 451 4\.4\.3", file.read())

    wait_until(deferred, "Postern defers what it cannot look up", PATIENCE, 0.2)


def install_exim(host):
    there = host("exim-debian", ["exim4-daemon-light", "exim4-base", "exim4-config"])
    there.add_users("postern", "Debian-exim", "alice")
    there.installed.write("etc/aliases", "postmaster: alice\n")
    # As the package does when it is installed for an internet site; debian.py takes such bits away.
    there.installed.write(
        "etc/exim4/update-exim4.conf.conf",
        "dc_eximconfig_configtype='internet'\ndc_other_hostnames='example.org'\ndc_local_interfaces=''\ndc_readhost=''\n"
        "dc_relay_domains=''\ndc_minimaldns='false'\ndc_relay_nets=''\ndc_smarthost=''\nCFILEMODE='644'\n"
        "dc_use_split_config='false'\ndc_hide_mailname=''\ndc_mailname_in_oh='true'\ndc_localdelivery='mail_spool'\n",
    )
    there.sh(
        "chmod 4755 /usr/sbin/exim4; install -d -o Debian-exim -g Debian-exim -m 750 /var/spool/exim4 /var/log/exim4 /var/lib/exim4 /run/exim4;"
        "install -d -m 1777 /var/mail; sed -i '/^alice:/s,/nonexistent,/tmp,' /etc/passwd; ln -sf /usr/sbin/exim4 /usr/sbin/exim; update-exim4.conf; exim4 -bd -q30m"
    )
    return there


def test_exim(host):
    there = install_exim(host)
    there.follow("Exim")
    stored = there.mail_arrives("alice@example.org", "var/mail")
    assert f"[{STRANGER}]" in stored, stored  # -oMa
    there.strangers_cannot_relay()
    there.sh("kill $(cat /run/exim4/exim.pid)")


def install_qmail(host, build_folder, folder):
    """Returns where its mail is, too."""
    front = Mailfront(build_folder, f"{folder}/mailfront")
    os.chmod(front.mail, 0o777)
    os.chmod(f"{front.mail}/new", 0o777)
    os.chmod(front.folder, 0o777)
    there = host("mailfront", ["mailfront"])
    there.add_users("postern", "qmaild")
    # qmail itself is no package any more: another server of its family, which finds the client where qmail-smtpd does.
    there.installed.write("var/qmail/bin/qmail-smtpd", f"#!/bin/sh\nexec {' '.join(front.argv)}\n", 0o755)
    there.installed.make_folder("etc/service/qmail-smtpd")
    return there, front.mail.lstrip("/")


def test_qmail(host, build_folder, folder):
    there, mailbox = install_qmail(host, build_folder, folder)
    there.follow("qmail")
    stored = there.mail_arrives("alice@example.org", mailbox)
    assert STRANGER in stored, stored  # TCPREMOTEIP


def test_an_appliance(host, postern, folder):
    there = host("postfix", ["postfix"])  # which stays as it is: nothing of it runs
    there.add_users("postern")
    appliance = Namespace("appliance")
    try:
        join(there.network, "lan", ["192.168.0.1/24"], appliance, "lan", ["192.168.0.7/24"])
        sink = Daemon(
            appliance.command(postern, "sink", "--listen", "192.168.0.7:25", "--maildir", f"{folder}/mail"), f"{folder}/sink.log"
        )
        sink.wait_ready(lambda: "listening" in sink.output(), "the appliance listens")
        there.follow("An appliance, by its address")
        there.mail_arrives("alice@example.org", f"{folder}/mail".lstrip("/"))
        there.strangers_cannot_relay()
        sink.terminate()
    finally:
        appliance.remove()
