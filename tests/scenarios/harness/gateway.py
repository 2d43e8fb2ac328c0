"""The gateway under test: a configuration, its processes, and what they say."""

import json
import os
import re
import signal

from harness.daemon import Daemon, children_of, words_of
from harness.ports import PATIENCE, free_port, is_listening, wait_until


class Gateway:
    """Runs `postern run` on a configuration made from plain values.

    `inbound` and `outbound` map names to listener settings. A listener without `listen` gets a free port on 127.0.0.1;
    port(name) tells it. Everything else goes to the top level of the file. It runs in `namespace`, where one is given.
    """

    def __init__(self, binary, folder, inbound=None, outbound=None, namespace=None, **settings):
        self.folder = str(folder)
        os.makedirs(self.folder, exist_ok=True)
        self.binary = binary
        self.namespace = namespace
        self.ports = {}
        self.settings = {"workers": 2, "hostname": "gateway.example.org", **settings}
        for direction, listeners in (("inbound", inbound), ("outbound", outbound)):
            if listeners is not None:
                self.settings[direction] = {name: self._listener(name, given) for name, given in listeners.items()}
        self.configuration = write_configuration(f"{self.folder}/postern.yaml", self.settings)
        self.daemon = None
        self._runs = 0

    def _listener(self, name, given):
        listener = dict(given)
        listener.setdefault("listen", [f"127.0.0.1:{free_port()}"])
        self.ports[name] = int(listener["listen"][0].rsplit(":", 1)[1])
        return listener

    def start(self):
        self._runs += 1
        argv = [self.binary, "run", "--config", self.configuration]
        self.daemon = Daemon(
            self.namespace.command(*argv) if self.namespace else argv, f"{self.folder}/gateway.{self._runs}.log"
        )

        # Before it is executed in its namespace, the process is on this machine, where others may have these ports.
        # A namespace of processes is entered by a child.
        def is_executed():
            candidates = [self.daemon.pid, *children_of(self.daemon.pid)]
            return any(words_of(pid)[:2] == argv[:2] for pid in candidates)

        self.daemon.wait_ready(
            lambda: is_executed()
            and all(is_listening(port, self.daemon.pid) for port in self.ports.values()),
            "the gateway listens",
        )  # fmt: skip
        return self

    @property
    def pid(self):
        """Of the process that was started, which is told what to do: the keeper."""
        return self.daemon.pid

    @property
    def serving(self):
        """Of the one that serves: the process id of its child `postern gateway`. None: there is none now."""
        return next((pid for pid in children_of(self.pid) if words_of(pid)[:2] == ["postern", "gateway"]), None)

    @property
    def programs(self):
        """The process ids of the programs that it has started, and of what those have left behind."""
        ours = ("postern", "postern-resolver")
        return [pid for pid in children_of(self.pid) if words_of(pid)[:1] == [] or words_of(pid)[0] not in ours]

    def port(self, name="mx"):
        return self.ports[name]

    def log(self):
        return self.daemon.output() if self.daemon else ""

    def wait_for_log(self, pattern, timeout=PATIENCE):
        """Waits until the log matches; returns the match."""
        try:
            return wait_until(lambda: re.search(pattern, self.log()), f"the log matches {pattern}", timeout, 0.05)
        except AssertionError as failure:
            raise AssertionError(f"{failure}\n{self.log()[-6000:]}") from None

    def change(self, **settings):
        """Writes the file anew, with these at its top level."""
        self.settings.update(settings)
        write_configuration(self.configuration, self.settings)

    def reload(self, expected="the configuration was taken over", **settings):
        """The same, and SIGHUP; waits for the word that the log then has for it."""
        before = len(re.findall(expected, self.log()))
        self.change(**settings)
        os.kill(self.pid, signal.SIGHUP)
        wait_until(lambda: len(re.findall(expected, self.log())) > before, f"the log says {expected}")

    def stop(self, timeout=PATIENCE):
        """SIGTERM. The exit status must be 0, and no assertion or sanitizer may have spoken."""
        if self.daemon is None:
            return
        daemon, self.daemon = self.daemon, None
        ended_before = not daemon.running()
        status = daemon.terminate(timeout)
        log = daemon.output()
        assert not ended_before, f"the gateway ended by itself with {status}:\n{log[-6000:]}"
        assert status == 0, f"exit status {status} after SIGTERM:\n{log[-6000:]}"
        check_for_troubles(log)

    def freeze(self):
        """Stops the process that was started, with all of its threads, until SIGCONT."""
        os.kill(self.pid, signal.SIGSTOP)
        wait_until(lambda: all_threads_have_stopped(self.pid), "the keeper hangs")

    def kill(self):
        if self.daemon is not None:
            self.daemon.kill()
            self.daemon = None


def check_for_troubles(log):
    for trouble in ("Sanitizer", "runtime error:", "assertion"):
        assert trouble not in log, f"{trouble} in the log:\n{log[-12000:]}"


def all_threads_have_stopped(pid):
    states = []
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/stat", encoding="ascii") as stat:
            states.append(stat.read().rpartition(")")[2].split()[0])
    return set(states) == {"T"}


def write_configuration(path, settings):
    """Writes the settings as a configuration file: JSON is YAML."""
    with open(path, "w", encoding="utf-8") as file:
        json.dump(settings, file, indent=2)
        file.write("\n")
    return path
