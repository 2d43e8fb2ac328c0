"""Debian packages as if they were installed, for programs whose paths were compiled in: each set has a view of its own
of /usr, /etc, /var and /run, in a mount namespace that ends with it. The machine sees nothing of it.
"""

import contextlib
import os
import shutil
import signal
import subprocess

import pytest

from harness.daemon import Daemon
from harness.debian import unpack
from harness.netns import need_namespaces

_OVERLAID = ("usr", "etc", "var")


class Installed:
    """command(*argv) runs a program among the packages; path("etc/x") is how the test itself gets at their /etc/x.

    The network is that of the process which starts a command; files below /tmp are the same for all.
    """

    def __init__(self, build_folder, folder, name, packages):
        need_namespaces()
        self.folder = str(folder)
        self._changes = f"{self.folder}/changes"
        self._holder = None
        unpacked = unpack(build_folder, name, packages)
        os.makedirs(self._changes)
        # Memory: whatever the test's folder lies on may not be good enough for the upper layer of an overlay.
        _mount("-t", "tmpfs", "none", self._changes)
        try:
            self._holder = self._hold(unpacked)
            self.use_resolver("127.0.0.1")  # where nobody answers, on most machines
            self.write("etc/hosts", "127.0.0.1 localhost\n::1 localhost\n")
        except BaseException:
            self.remove()
            raise

    def _hold(self, unpacked):
        mounts = ["mount --make-rprivate /"]
        for part in _OVERLAID:
            upper, work = f"{self._changes}/{part}", f"{self._changes}/{part}.work"
            os.makedirs(upper)
            os.mkdir(work)
            lower = [path for path in (unpacked.path(part), f"/{part}") if os.path.isdir(path)]
            options = f"lowerdir={':'.join(lower)},upperdir={upper},workdir={work}"
            mounts.append(f"mount -t overlay -o {options} none /{part}")
        for part in ("bin", "sbin", "lib"):  # of packages from before /usr was all
            if os.path.isdir(unpacked.path(part)):
                shutil.copytree(unpacked.path(part), f"{self._changes}/usr/{part}", symlinks=True)
        mounts += ["mount -t tmpfs none /run", "touch /run/is-ready", "exec sleep infinity"]
        holder = Daemon(["unshare", "--mount", "sh", "-e", "-c", "\n".join(mounts)], f"{self.folder}/mounts.log")
        try:
            holder.wait_ready(lambda: os.path.exists(f"/proc/{holder.pid}/root/run/is-ready"), "overlays are mounted")
        except AssertionError as error:
            pytest.skip(f"this machine does not let folders be overlaid: {error}")
        return holder

    def command(self, *argv):
        """The argument list that runs argv among the packages; the process id stays."""
        return ["nsenter", f"--target={self._holder.pid}", "--mount", "--", *argv]

    def run(self, *argv, **options):
        """Runs a command that must succeed; returns its output."""
        options = {"timeout": 120, "text": True, **options}
        done = subprocess.run(self.command(*argv), capture_output=True, check=False, **options)
        assert done.returncode == 0, f"{' '.join(argv)}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def path(self, *parts):
        return os.path.join(f"/proc/{self._holder.pid}/root", *parts)

    def write(self, name, text, mode=0o644):
        """Writes a file of theirs, folders included."""
        path = self.path(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="ascii") as file:
            file.write(text.lstrip("\n"))
        os.chmod(path, mode)

    def make_folder(self, name, owner="root", mode=0o755):
        path = self.path(name)
        os.makedirs(path, exist_ok=True)
        uid, gid = self.ids(owner)
        os.chown(path, uid, gid)
        os.chmod(path, mode)

    def add_users(self, *names, first=64200):
        """System users, each with a group of its own, in their view alone."""
        with open(self.path("etc/passwd"), "a", encoding="utf-8") as users:
            with open(self.path("etc/group"), "a", encoding="utf-8") as groups:
                for number, name in enumerate(names, first):
                    users.write(f"{name}:x:{number}:{number}::/nonexistent:/usr/sbin/nologin\n")
                    groups.write(f"{name}:x:{number}:\n")

    def ids(self, user):
        with open(self.path("etc/passwd"), encoding="utf-8") as users:
            for line in users:
                fields = line.split(":")
                if fields[0] == user:
                    return int(fields[2]), int(fields[3])
        raise KeyError(user)

    def use_resolver(self, *addresses):
        """What their /etc/resolv.conf says."""
        path = self.path("etc/resolv.conf")
        if os.path.lexists(path):
            os.remove(path)  # a symbolic link, perhaps
        text = "".join(f"nameserver {address}\n" for address in addresses)
        self.write("etc/resolv.conf", text + "options timeout:1 attempts:1\n")

    def remove(self):
        if self._holder:
            self._end_all_processes()
            self._holder.kill()
            self._holder = None
        subprocess.run(["umount", "--lazy", self._changes], capture_output=True, check=False)


    def _end_all_processes(self):
        """Servers leave children behind that are in no process group of ours."""
        mounts = _mounts_of(self._holder.pid)
        for process in map(int, filter(str.isdigit, os.listdir("/proc"))):
            if process != self._holder.pid and mounts and _mounts_of(process) == mounts:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)


def _mounts_of(process):
    """Which mount namespace a process is in; None once it is gone."""
    try:
        return os.readlink(f"/proc/{process}/ns/mnt")
    except OSError:
        return None


def _mount(*words):
    subprocess.run(["mount", *words], check=True, capture_output=True)
