"""What a running gateway has cost so far: CPU time, memory and system calls of its whole process tree."""

import os
import re
import signal
import subprocess
import threading
import time

TICK = os.sysconf("SC_CLK_TCK")


def children(pid):
    found = []
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children") as file:
                found += [int(word) for word in file.read().split()]
    except OSError:
        pass  # gone meanwhile
    return found


def tree(pid):
    pids, at = [pid], 0
    while at < len(pids):
        pids += children(pids[at])
        at += 1
    return pids


def serving(pid):
    """Which process of the tree has the sessions: a Postern of several is told by its words, anybody else is who was
    started."""
    for each in tree(pid):
        try:
            with open(f"/proc/{each}/cmdline") as file:
                if file.read().split("\0")[:2] == ["postern", "gateway"]:
                    return each
        except OSError:
            pass
    return pid


def cpu_seconds(pid):
    """User and system time, ended threads and reaped children included."""
    total = 0.0
    for each in tree(pid):
        try:
            # clock_getcpuclockid(3): the clock of another process, in nanoseconds where /proc/PID/stat has ticks.
            total += time.clock_gettime((~each << 3) | 2)
            with open(f"/proc/{each}/stat") as file:
                fields = file.read().rpartition(")")[2].split()
            total += (int(fields[13]) + int(fields[14])) / TICK  # cutime, cstime
        except (OSError, IndexError):
            pass
    return total


def pss_octets(pids):
    total = 0
    for each in pids:
        with open(f"/proc/{each}/smaps_rollup") as file:
            total += int(re.search(r"^Pss:\s+(\d+) kB", file.read(), re.M).group(1)) * 1024
    return total


def settled_pss(pids, longest=6.0):
    """The PSS once it stands still: allocators give memory back with a delay."""
    last = pss_octets(pids)
    deadline = time.monotonic() + longest
    while time.monotonic() < deadline:
        time.sleep(1.0)
        now = pss_octets(pids)
        if abs(now - last) <= last // 200:
            return now
        last = now
    return last


class SystemCalls:
    """Counts the system calls of a process tree, with strace, from construction to stop()."""

    def __init__(self, pid, report):
        self.report = report
        targets = [word for each in tree(pid) for word in ("-p", str(each))]
        self.process = subprocess.Popen(["strace", "-f", "-c", "-U", "name,calls", "-o", report] + targets,
                                        stderr=subprocess.DEVNULL)
        time.sleep(0.5)

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        self.process.wait()
        calls = {}
        with open(self.report) as file:
            for line in file:
                words = line.split()
                if len(words) == 2 and words[1].isdigit() and words[0] != "total":
                    calls[words[0]] = int(words[1])
        return calls


class Running:
    """A process started here, pinned to a CPU, ended by its own id."""

    def __init__(self, command, cpu, log, pipes=False):
        pipe = subprocess.PIPE if pipes else subprocess.DEVNULL
        self.log = log
        with open(log, "ab") as errors:
            self.process = subprocess.Popen(["taskset", "-c", str(cpu)] + command, stdin=pipe, stdout=pipe, stderr=errors,
                                            text=True, bufsize=1, start_new_session=True)
        self.pid = self.process.pid
        self._come_first()

    def _come_first(self):
        """Where it is allowed, what is measured goes before whatever else the machine does. A niceness would only count
        within the session's own scheduling group (sched(7), autogroup)."""
        try:
            with open(f"/proc/{self.pid}/autogroup", "w") as file:
                file.write("-15")
        except OSError:
            pass

    def alive(self):
        return self.process.poll() is None

    def ask(self, line, patience=120):
        """Sends a line, if any, and returns the next one; raises Failed where none comes."""
        guard = threading.Timer(patience, self.process.kill)
        guard.start()
        try:
            if line is not None:
                self.process.stdin.write(line + "\n")
            answer = self.process.stdout.readline()
        except OSError:
            answer = ""
        finally:
            guard.cancel()
        if not answer:
            self.process.wait()
            raise Failed(self.last_words())
        return answer.strip()

    def last_words(self):
        with open(self.log, errors="replace") as file:
            lines = [line.strip() for line in file if line.strip()]
        return lines[-1] if lines else "it ended without a word"

    def stop(self):
        if self.alive():
            self.process.terminate()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            for each in reversed(tree(self.pid)):
                os.kill(each, signal.SIGKILL)
            self.process.wait()


class Failed(Exception):
    pass
