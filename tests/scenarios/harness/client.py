"""An SMTP client that does exactly what a test tells it, byte for byte, and understands only replies."""

import dataclasses
import socket
import ssl
import time

from harness.ports import PATIENCE


@dataclasses.dataclass
class Reply:
    """One reply: its code, and the text of each line without code and separator."""

    code: int
    lines: list
    raw: bytes

    @property
    def text(self):
        return "\n".join(self.lines)

    def keywords(self):
        """The keywords of an EHLO reply: name to parameters. The first line is no keyword."""
        found = {}
        for line in self.lines[1:]:
            name, _, parameters = line.partition(" ")
            found[name.upper()] = parameters
        return found

    def __str__(self):
        return self.raw.decode("utf-8", "replace").rstrip()


class Closed(Exception):
    """The peer closed the connection where a reply was expected; `rest` is what came before."""

    def __init__(self, rest):
        super().__init__(f"connection closed, after {rest!r}")
        self.rest = rest


def tls_context(ca_file=None, version=None, alpn=None, client_pair=None):
    """A context for one TLS version ("1.2", "1.3") or any. Without ca_file the server is not verified."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if ca_file:
        context.load_verify_locations(ca_file)
    else:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if version:
        number = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}[version]
        context.minimum_version = context.maximum_version = number
    if alpn:
        context.set_alpn_protocols(alpn)
    if client_pair:
        context.load_cert_chain(client_pair.chain, client_pair.key)
    return context


class Client:
    """A connection to an SMTP server on loopback. Use with `with`."""

    def __init__(self, port, host="127.0.0.1", source=None, timeout=PATIENCE):
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        self.socket.settimeout(timeout)
        if source:
            self.socket.bind((source, 0))
        self.socket.connect((host, port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def reset(self):
        """Ends the connection by a TCP reset."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.socket.close()

    # --- octets

    def send(self, data):
        self.socket.sendall(data)

    def send_bytewise(self, data, pause=0):
        """One segment per octet (TCP_NODELAY is on); with a pause, in seconds, each is read alone."""
        for octet in data:
            self.socket.sendall(bytes([octet]))
            time.sleep(pause)

    def _more(self):
        try:
            data = self.socket.recv(65536)
        except (ConnectionResetError, ssl.SSLEOFError, ssl.SSLZeroReturnError):
            data = b""
        if not data:
            raise Closed(self._buffer)
        self._buffer += data

    def line(self):
        while b"\n" not in self._buffer:
            self._more()
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line + b"\n"

    def rest(self):
        """Everything until the peer closes."""
        try:
            while True:
                self._more()
        except Closed:
            rest, self._buffer = self._buffer, b""
            return rest

    def unread(self):
        """What has been received and not been taken."""
        return self._buffer

    # --- SMTP

    def reply(self):
        raw, lines = b"", []
        while True:
            line = self.line()
            raw += line
            assert line.endswith(b"\r\n"), f"a reply line without CRLF: {line!r}"
            assert line[:3].isdigit() and line[3:4] in b" -\r", f"not a reply line: {line!r}"
            lines.append(line[4:].decode("utf-8", "replace").rstrip("\r\n"))
            if line[3:4] != b"-":
                return Reply(int(line[:3]), lines, raw)

    def command(self, text):
        """Sends a line (CRLF is added) and returns the reply."""
        self.send((text.encode() if isinstance(text, str) else text) + b"\r\n")
        return self.reply()

    def expect(self, code, text=None):
        """The next reply (to `text`, if given) must have this code."""
        reply = self.reply() if text is None else self.command(text)
        assert reply.code == code, f"{text!r}: expected {code}, got: {reply}"
        return reply

    def greeted(self, name="client.example"):
        """Takes the greeting and says EHLO; returns the reply to EHLO."""
        self.expect(220)
        return self.expect(250, f"EHLO {name}")

    def start_tls(self, context=None, server_name="mx.example.org", session=None):
        """The handshake alone."""
        context = context or tls_context()
        self.socket = context.wrap_socket(self.socket, server_hostname=server_name, session=session)
        return self

    def starttls(self, context=None, server_name="mx.example.org", session=None):
        """STARTTLS and the handshake. Not a byte may follow the 220."""
        self.expect(220, "STARTTLS")
        assert not self._buffer, f"after the 220 of STARTTLS came {self._buffer!r}"
        return self.start_tls(context, server_name, session)

    def send_message(self, sender, recipients, message):
        """One transaction with DATA; `message` has CRLF line ends. Returns the reply to the end of data."""
        self.expect(250, f"MAIL FROM:<{sender}>")
        for recipient in recipients:
            self.expect(250, f"RCPT TO:<{recipient}>")
        self.expect(354, "DATA")
        self.send(dot_stuffed(message) + b".\r\n")
        return self.expect(250)

    def send_message_by_bdat(self, sender, recipients, message, chunk=100_000):
        """One transaction with BDAT, each chunk answered before the next."""
        self.expect(250, f"MAIL FROM:<{sender}>")
        for recipient in recipients:
            self.expect(250, f"RCPT TO:<{recipient}>")
        for start in range(0, len(message), chunk):
            piece = message[start : start + chunk]
            last = " LAST" if start + chunk >= len(message) else ""
            self.send(f"BDAT {len(piece)}{last}\r\n".encode() + piece)
            reply = self.expect(250)
        if not message:
            reply = self.expect(250, "BDAT 0 LAST")
        return reply

    def quit(self):
        self.expect(221, "QUIT")
        assert self.rest() == b"", "octets after the reply to QUIT"


def secure_client(port, mode, version=None, **options):
    """A client that has said EHLO inside TLS; `mode` is starttls or implicit."""
    client = Client(port, **options)
    try:
        if mode == "implicit":
            client.start_tls(tls_context(version=version))
            client.greeted()
        else:
            client.greeted()
            client.starttls(tls_context(version=version))
            client.expect(250, "EHLO client.example")
    except BaseException:
        client.close()
        raise
    return client


def dot_stuffed(message):
    """RFC 5321 4.5.2: lines that begin with a dot get another one. The message ends in CRLF or is empty."""
    if message.startswith(b"."):
        message = b"." + message
    return message.replace(b"\r\n.", b"\r\n..")
