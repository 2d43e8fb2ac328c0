"""Messages delivered into a Maildir."""

import hashlib
import os

from harness.ports import PATIENCE, wait_until


class Maildir:
    """A folder with new/ and cur/, as a mail server fills it."""

    def __init__(self, path):
        self.path = str(path)

    def files(self):
        found = []
        for part in ("new", "cur"):
            folder = os.path.join(self.path, part)
            if os.path.isdir(folder):
                found += [os.path.join(folder, name) for name in sorted(os.listdir(folder))]
        return found

    def messages(self):
        """Every message, as bytes."""
        found = []
        for path in self.files():
            with open(path, "rb") as file:
                found.append(file.read())
        return found

    def wait_for(self, token, timeout=PATIENCE):
        """Waits for the one message that contains the token, and returns it."""
        seen = {}

        def look():
            for path in self.files():
                if path not in seen:
                    with open(path, "rb") as file:
                        seen[path] = file.read()
            return [message for message in seen.values() if token in message]

        matching = wait_until(look, f"a message with {token!r} in {self.path}", timeout, 0.05)
        assert len(matching) == 1, f"{len(matching)} messages with {token!r}"
        return matching[0]


def body_of(message):
    """What follows the header: the octets after the first empty line. LF alone becomes CRLF first."""
    crlf = with_crlf(message)
    if crlf.startswith(b"\r\n"):
        return crlf[2:]
    return crlf.partition(b"\r\n\r\n")[2]


def with_crlf(text):
    """A text whose lines end in LF or CRLF, with CRLF everywhere."""
    return text.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def sha256(data):
    return hashlib.sha256(data).hexdigest()
