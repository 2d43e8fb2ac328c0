"""Messages whose bodies are hard to carry, and random ones that can be told apart."""

import random
import uuid


def message(body=b"hello\r\n", token=None, subject="scenario"):
    """Header and body, CRLF line ends. The token is how a delivered message is found again."""
    token = token or new_token()
    header = (
        f"From: sender@example.net\r\nTo: user@example.org\r\nSubject: {subject}\r\n"
        f"Date: Sun, 01 Jan 2023 00:00:00 +0000\r\nMessage-ID: <{token}@example.net>\r\nX-Token: {token}\r\n\r\n"
    )
    return header.encode() + body


def new_token():
    return uuid.uuid4().hex


def _lines(size, seed, alphabet):
    """`size` octets of lines with CRLF, the last one ended."""
    generator = random.Random(seed)
    pool = bytes(generator.choice(alphabet) for _ in range(20_000))
    out, left = [], size
    while left > 0:
        length = min(generator.randint(0, 200), left - 2) if left >= 2 else 0
        start = generator.randint(0, len(pool) - 200)
        if left - length - 2 == 1:  # one octet cannot be a line
            length += 1
        out.append(pool[start : start + length] + b"\r\n")
        left -= length + 2
    return b"".join(out)


_TEXT = bytes(range(0x20, 0x7F))
_EIGHT_BIT = bytes(octet for octet in range(1, 256) if octet not in b"\r\n")

# What every server stores unchanged: lines up to 998 octets, CRLF at the end of each.
PLAIN_BODIES = {
    "empty": b"",
    "one octet": b"x\r\n",
    "dots": b".\r\n..\r\n...\r\n.x\r\n\r\n.\r\n. \r\n..end\r\n",
    "only a dot": b".\r\n",
    "empty lines": b"\r\n" * 50,
    "eight bit": "Grüße, 你好, Привет\r\n".encode() * 40,
    "998 octets a line": (b"y" * 998 + b"\r\n") * 20,
    "1 MiB": _lines(1 << 20, 1, _TEXT),
}

# For servers that keep the octets as they come.
DEMANDING_BODIES = {
    **PLAIN_BODIES,
    "every octet": _lines(200_000, 2, _EIGHT_BIT),
    "long lines": (b"z" * 70_000 + b"\r\n") * 3 + b"." * 5000 + b"\r\n",
    "dots at the edges of reads": b"".join(b"a" * length + b"\r\n.\r\n" for length in range(0, 1500)),
}


def big_body(size):
    """Of exactly this size, repeating one random block so that making it takes no time."""
    block = _lines(1 << 16, 3, _TEXT)
    whole = block * (size // len(block))
    return whole + _lines(size - len(whole), 4, _TEXT) if size % len(block) else whole
