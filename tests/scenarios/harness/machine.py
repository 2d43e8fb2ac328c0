"""A Debian with a systemd of its own, in namespaces: what is below a folder, with all changes in memory."""

import os
import subprocess

from harness.daemon import Daemon, children_of
from harness.netns import entered_network
from harness.ports import wait_until

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

# Nothing of the kernel can be changed from in there: /proc/sys and /sys are to be read only, which systemd respects.
_BOOT = r"""
mount --make-rprivate /
mount -t tmpfs none "$2"
mkdir "$2/upper" "$2/work" "$2/root"
mount -t overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work" none "$2/root"
cd "$2/root"
mount -t proc proc proc
mount --bind proc/sys proc/sys && mount -o remount,bind,ro proc/sys
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 none sys/fs/cgroup
mount -t tmpfs -o mode=755 none dev
for name in null zero full random urandom tty; do touch dev/$name; mount --bind /dev/$name dev/$name; done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
mount -t tmpfs -o mode=1777 none dev/shm
mount -t tmpfs -o mode=755 none run
mount -t tmpfs -o mode=1777 none tmp
mkdir run/lock run/changes
mount --bind "$2/upper" run/changes
ip link set lo up
printf '127.0.0.1 localhost mx.example.org\n::1 localhost\n' >etc/hosts
: >etc/fstab
: >etc/machine-id
pivot_root . mnt
umount --lazy /mnt
exec env -i container=other PATH="$3" /lib/systemd/systemd --unit=basic.target
"""


class Impossible(Exception):
    """This machine does not let another one be begun in it."""


class Machine:
    """Boots what is below `lower`. Its network is loopback alone; entered() makes this process's new sockets its own."""

    def __init__(self, lower, folder):
        if os.geteuid() != 0:
            raise Impossible("needs root")
        if not os.path.exists(f"{lower}/lib/systemd/systemd"):
            raise Impossible(f"there is no systemd below {lower}")
        os.makedirs(f"{folder}/machine", exist_ok=True)
        spaces = ["--mount", "--pid", "--fork", "--kill-child", "--uts", "--ipc", "--cgroup", "--net"]
        boot = ["bash", "-e", "-c", _BOOT, "boot", str(lower), f"{folder}/machine", _PATH]
        self.lower = str(lower)
        self._state = ""
        self.first = None  # its process 1, seen from here
        self._daemon = Daemon(["unshare", *spaces, "--", *boot], f"{folder}/machine.log")
        try:
            self._daemon.wait_ready(self._has_begun, "systemd is up", 120)
        except AssertionError as error:
            self.end()
            if self._state in ("initializing", "starting", "maintenance", "stopping"):
                raise AssertionError(f"systemd can be started here, and is {self._state}: {error}") from None
            raise Impossible(f"no systemd can be started here: {error}") from None

    def _has_begun(self):
        self.first = next(iter(children_of(self._daemon.pid)), None)
        if not self.first or os.readlink(f"/proc/{self.first}/exe").rpartition("/")[2] != "systemd":
            return False
        self._state = self.ask("systemctl", "is-system-running").stdout.strip()
        return self._state in ("running", "degraded")

    def command(self, *argv):
        enter = ["nsenter", f"--target={self.first}", "--mount", "--pid", "--uts", "--ipc", "--cgroup", "--net"]
        environment = [f"PATH={_PATH}", "HOME=/root", "LANG=C.UTF-8", "DEBIAN_FRONTEND=noninteractive"]
        return [*enter, "--", "env", "-i", *environment, *argv]

    def ask(self, *argv, timeout=120, **options):
        return subprocess.run(
            self.command(*argv), capture_output=True, text=True, check=False, timeout=timeout, stdin=subprocess.DEVNULL, **options
        )

    def run(self, *argv, **options):
        """A command that must succeed; returns what it says, on both channels."""
        done = self.ask(*argv, **options)
        said = done.stdout + done.stderr
        assert done.returncode == 0, f"{' '.join(argv)}: {done.returncode}\n{said}\n{self.ask('journalctl', '-n', '40').stdout}"
        return said

    def sh(self, script, **options):
        return self.run("sh", "-e", "-c", script, **options)

    def path(self, name):
        return f"/proc/{self.first}/root/{name.lstrip('/')}"

    def write(self, name, text, mode=0o644):
        os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(self.path(name), mode)

    def main_process(self, unit):
        return int(self.run("systemctl", "show", "--property=MainPID", "--value", unit))

    def changes(self):
        """What is other than it was before the start: paths, from the root, of what came, changed or (with a minus) went."""
        found = set()
        for line in self.run("find", "/run/changes", "-mindepth", "1", "-printf", "%y /%P\\n").splitlines():
            kind, _, path = line.partition(" ")
            before = f"{self.lower.rstrip('/')}{path}"
            if kind == "d" and os.path.isdir(before):
                continue  # on the way to what has changed
            found.add(f"-{path}" if kind == "c" else path)
        return found

    def entered(self):
        """With it this thread's network is the machine's."""
        return entered_network(f"/proc/{self.first}/ns/net")

    def end(self):
        self._daemon.kill()
