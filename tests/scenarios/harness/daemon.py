"""A process that runs beside the test, its output kept in a file."""

import os
import signal
import subprocess

from harness.ports import PATIENCE, wait_until


class Daemon:
    """Starts argv in the background; output() is what it wrote so far."""

    def __init__(self, argv, log_path, env=None, cwd=None, stdin=subprocess.DEVNULL, pass_fds=()):
        self.argv = [str(word) for word in argv]
        self.log_path = str(log_path)
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                self.argv,
                stdin=stdin,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=env,
                cwd=cwd,
                start_new_session=True,
                pass_fds=pass_fds,
            )

    @property
    def pid(self):
        return self.process.pid

    def output(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as log:
            return log.read()

    def running(self):
        return self.process.poll() is None

    def wait_ready(self, condition, what, timeout=PATIENCE):
        """Waits for condition(); a process that ends before that is a failure which shows its output."""

        def ready():
            if not self.running():
                raise AssertionError(f"{self.argv[0]} ended with {self.process.returncode}:\n{self.output()}")
            return condition()

        try:
            wait_until(ready, what, timeout)
        except AssertionError as failure:
            self.kill()
            raise AssertionError(f"{failure}\n{self.output()}") from None

    def terminate(self, timeout=PATIENCE):
        """SIGTERM; returns the exit status. Killed when it does not end in time (the status is then None)."""
        if self.running():
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            return None

    def kill(self):
        """Ends the process and all of its process group that is left."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()


def resident_kib(pid):
    """The memory of a process that is in RAM, in KiB."""
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        for line in status:
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
    raise AssertionError(f"process {pid} has no VmRSS")


def share_kib(pid):
    """Likewise, where what it shares with others counts for each of them in parts (PSS)."""
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as rollup:
        return next(int(line.split()[1]) for line in rollup if line.startswith("Pss:"))


def own_kib(pid):
    """The memory that a process wrote itself and nobody else has, be it in RAM or not: no program text, no files."""
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as rollup:
        return sum(int(line.split()[1]) for line in rollup if line.startswith(("Anonymous:", "Swap:")))


def children_of(pid):
    """The process ids of the direct children."""
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/stat", encoding="utf-8", errors="replace") as stat:
                fields = stat.read().rsplit(")", 1)[1].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[1]) == pid:
            found.append(int(entry))
    return found


def words_of(pid):
    """The command line."""
    try:
        with open(f"/proc/{pid}/cmdline", encoding="utf-8") as words:
            return words.read().split("\0")[:-1]
    except (FileNotFoundError, ProcessLookupError):
        return []


def facts_of(pid):
    """What /proc/PID/status says, by name; nothing of a process that has just gone."""
    try:
        with open(f"/proc/{pid}/status", encoding="ascii") as status:
            return dict(line.rstrip("\n").split(":\t", 1) for line in status if ":\t" in line)
    except (FileNotFoundError, ProcessLookupError):
        return {}


def open_descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))
