"""A UCSPI program for `exec`: an SMTP server on standard input and output that tells about itself.

VRFY answers with what is asked for: "VRFY environment", "VRFY descriptors", "VRFY identity" (JSON in one line).
"EXPN forever" hangs, deaf to everything but SIGKILL; "EXPN exit" ends at once; "EXPN grandchild" starts a process
that holds the descriptors open, and prints its id.
"""

import json
import os
import signal
import subprocess
import sys
import time


def reply(text):
    sys.stdout.write(text + "\r\n")
    sys.stdout.flush()


def descriptors():
    """Every open descriptor and what it is."""
    found = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            found[name] = os.readlink(f"/proc/self/fd/{name}")
        except OSError:
            pass  # the one that lists the folder
    return found


def blocked_signals():
    with open("/proc/self/status", encoding="ascii") as status:
        lines = dict(line.split(":\t") for line in status if line.startswith("Sig"))
    return {name: int(value, 16) for name, value in lines.items() if name in ("SigBlk", "SigIgn")}


def answer_probe(what):
    if what == "environment":
        reply("250 " + json.dumps(dict(os.environ)))
    elif what == "descriptors":
        reply("250 " + json.dumps(descriptors()))
    elif what == "identity":
        reply("250 " + json.dumps({"pid": os.getpid(), "uid": os.getuid(), "session": os.getsid(0), **blocked_signals()}))


def misbehave(how):
    if how == "forever":
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        reply("250 hanging")
        while True:
            time.sleep(1)
    elif how == "exit":
        sys.exit(3)
    elif how == "grandchild":
        child = subprocess.Popen(["sleep", "60"])
        reply(f"250 {child.pid}")


def main():
    reply("220 probe.example ESMTP")
    for line in iter(sys.stdin.readline, ""):
        verb, _, rest = line.strip().partition(" ")
        verb = verb.upper()
        if verb == "VRFY":
            answer_probe(rest)
        elif verb == "EXPN":
            misbehave(rest)
        elif verb == "EHLO":
            reply("250-probe.example\r\n250 PIPELINING")
        elif verb == "QUIT":
            reply("221 bye")
            return
        elif verb == "DATA":
            reply("354 go on")
            while sys.stdin.readline() not in (".\r\n", ""):
                pass
            reply("250 taken")
        else:
            reply("250 ok")


main()
