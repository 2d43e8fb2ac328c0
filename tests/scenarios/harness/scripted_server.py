"""An SMTP server that misbehaves on demand and remembers every octet it was sent."""

import os
import socket
import ssl
import threading
import time

DEFAULT_KEYWORDS = ("PIPELINING", "SIZE 104857600", "8BITMIME", "SMTPUTF8", "CHUNKING", "ENHANCEDSTATUSCODES", "DSN")


class PeerClosed(Exception):
    """The client of this server went away."""


class HangUp(Exception):
    """The script wants the connection closed now."""


class Connection:
    """One accepted connection: `received` has all octets that came, `plain` those outside TLS, `commands` the command
    lines.
    """

    def __init__(self, accepted, address):
        self.socket = accepted
        self.address = address
        self.received = bytearray()
        self.plain = bytearray()
        self.commands = []
        self.messages = []  # contents that were acknowledged with 250
        self.finished = threading.Event()
        self.asked_for = None  # the name in the TLS handshake
        self.recipients = 0
        self._buffer = bytearray()

    @property
    def in_tls(self):
        return isinstance(self.socket, ssl.SSLSocket)

    def begin_tls(self, context, by_name=None):
        """The handshake, as its server. `by_name` maps names that may be asked for to contexts."""

        def note_name(tls, name, _):
            self.asked_for = name
            tls.context = (by_name or {}).get(name, context)

        context.sni_callback = note_name
        self.socket = context.wrap_socket(self.socket, server_side=True)

    def leave(self):
        """Says that no more will come from here; what still comes from the peer is read."""
        with socket.socket(fileno=os.dup(self.socket.fileno())) as same:
            same.shutdown(socket.SHUT_WR)

    def more(self):
        try:
            data = self.socket.recv(65536)
        except OSError:
            data = b""
        if not data:
            raise PeerClosed
        self.received += data
        if not self.in_tls:
            self.plain += data
        self._buffer += data

    def line(self):
        while (end := self._buffer.find(b"\n")) < 0:
            self.more()
        return self._take(end + 1)

    def exactly(self, count):
        while len(self._buffer) < count:
            self.more()
        return self._take(count)

    def until_end_of_data(self):
        """Message content up to CRLF.CRLF, still dot-stuffed, without the final dot line."""
        end = b"\r\n.\r\n"
        searched = 0
        self._buffer[:0] = b"\r\n"  # the line end of the DATA command itself counts
        while (at := self._buffer.find(end, searched)) < 0:
            searched = max(0, len(self._buffer) - len(end))
            self.more()
        content = self._take(at + 2)[2:]
        self._take(len(end) - 2)
        return content

    def _take(self, count):
        data = bytes(self._buffer[:count])
        del self._buffer[:count]
        return data

    def waiting(self):
        """What has been received and not been looked at."""
        return bytes(self._buffer)

    def send(self, text):
        try:
            self.socket.sendall(text.encode() if isinstance(text, str) else text)
        except OSError as error:
            raise PeerClosed from error


class Obedient:
    """A well-behaved server as a script. Subclasses or arguments change single steps.

    at_step(connection, name) is called before ("MAIL?") and after ("MAIL!") each reply; it may raise HangUp.
    """

    def __init__(self, keywords=DEFAULT_KEYWORDS, helo_only=False, replies=None, at_step=None, delay=0.0):
        self.keywords = list(keywords)
        self.helo_only = helo_only
        self.replies = dict(replies or {})  # verb (or "." for the end of data) -> reply instead of the usual
        self.at_step = at_step or (lambda connection, name: None)
        self.delay = delay

    def __call__(self, connection):
        self.answer(connection, "GREETING", "220 scripted.example ESMTP ready\r\n")
        while True:
            line = connection.line()
            connection.commands.append(line)
            verb = line.strip().split(b" ")[0].upper().decode("latin-1")
            handler = getattr(self, "on_" + verb.lower(), None)
            if handler:
                handler(connection, line)
            else:
                self.answer(connection, verb, "502 5.5.1 no such command\r\n")

    def answer(self, connection, verb, usual):
        self.at_step(connection, verb + "?")
        if self.delay:
            time.sleep(self.delay)
        reply = self.replies.get(verb, usual)
        connection.send(reply)
        self.at_step(connection, verb + "!")
        return reply

    def on_ehlo(self, connection, line):
        if self.helo_only:
            self.answer(connection, "EHLO", "502 what is that\r\n")
            return
        lines = ["scripted.example greets you", *self.keywords_for(connection)]
        text = "".join(f"250-{text}\r\n" for text in lines[:-1]) + f"250 {lines[-1]}\r\n"
        self.answer(connection, "EHLO", text)

    def keywords_for(self, connection):
        return self.keywords

    def on_helo(self, connection, line):
        self.answer(connection, "HELO", "250 scripted.example\r\n")

    def on_mail(self, connection, line):
        self.answer(connection, "MAIL", "250 2.1.0 sender ok\r\n")

    def on_rcpt(self, connection, line):
        self.answer(connection, "RCPT", "250 2.1.5 recipient ok\r\n")

    def on_rset(self, connection, line):
        self.answer(connection, "RSET", "250 2.0.0 ok\r\n")

    def on_noop(self, connection, line):
        self.answer(connection, "NOOP", "250 2.0.0 ok\r\n")

    def on_quit(self, connection, line):
        self.answer(connection, "QUIT", "221 2.0.0 bye\r\n")
        raise HangUp

    def on_data(self, connection, line):
        if not self.answer(connection, "DATA", "354 go ahead\r\n").startswith("354"):
            return
        self.on_content(connection)
        content = connection.until_end_of_data()
        self.acknowledge(connection, ".", content)

    def on_content(self, connection):
        """Content is about to come."""

    def on_bdat(self, connection, line):
        words = line.split()
        content = getattr(connection, "chunks", b"") + connection.exactly(int(words[1]))
        if len(words) > 2:
            connection.chunks = b""
            self.acknowledge(connection, "BDAT", content)
        else:
            connection.chunks = content
            self.answer(connection, "BDAT", "250 2.0.0 chunk taken\r\n")

    def acknowledge(self, connection, step, content):
        """Replies to a whole message; it counts as accepted once the 250 is on its way."""
        self.at_step(connection, step + "?")
        reply = self.replies.get(step, "250 2.0.0 message accepted\r\n")
        if reply.startswith("250"):
            connection.messages.append(content)
        connection.send(reply)
        self.at_step(connection, step + "!")

    def on_auth(self, connection, line):
        """PLAIN with initial response, LOGIN and CRAM-MD5 with challenges: right whatever is said."""
        mechanism = line.split()[1].upper()
        challenges = {b"LOGIN": ["VXNlcm5hbWU6", "UGFzc3dvcmQ6"], b"CRAM-MD5": ["PDEyM0BleGFtcGxlPg=="]}
        steps = challenges.get(mechanism, [] if len(line.split()) > 2 else [""])
        for challenge in steps:
            self.answer(connection, "CHALLENGE", f"334 {challenge}\r\n")
            connection.commands.append(connection.line())
        self.answer(connection, "AUTH", "235 2.7.0 authenticated\r\n")


class Deaf(Obedient):
    """Reads none of the content that it asks for, until it is told to."""

    def __init__(self, **options):
        super().__init__(**options)
        self.release = threading.Event()

    def on_data(self, connection, line):
        connection.send("354 go ahead\r\n")
        self.release.wait(120)


class Remote(Obedient):
    """A mail host with STARTTLS. After it the steps are named "TLS MAIL?" and so on. There are more of them: "HELLO?"
    when the client begins the handshake, "HANDSHAKE!" when it is done, and "TLS CONTENT?" when the first octets of a
    message have come. No DATA without a recipient.

    offer: the keyword in the plaintext EHLO reply. behind_220: follows the reply to STARTTLS. in_place_of_tls: is said
    where the handshake should be. by_name: see Connection.begin_tls. dies_at: the step at which it hangs up, each time.
    """

    def __init__(
        self, tls_context, offer="STARTTLS", behind_220="", in_place_of_tls="", by_name=None, dies_at=None, **options
    ):
        super().__init__(at_step=self._name_step, **options)
        self.tls_context = tls_context
        self.offer = offer
        self.behind_220 = behind_220
        self.in_place_of_tls = in_place_of_tls
        self.by_name = by_name
        self.dies_at = dies_at

    def _name_step(self, connection, name):
        self._watch(connection, f"TLS {name}" if connection.in_tls else name)

    def _watch(self, connection, name):
        if name == self.dies_at:
            raise HangUp

    def keywords_for(self, connection):
        return self.keywords if connection.in_tls else [*self.keywords, self.offer]

    def on_starttls(self, connection, line):
        reply = self.answer(connection, "STARTTLS", "220 2.0.0 go ahead\r\n" + self.behind_220)
        if not reply.startswith("220"):
            return
        if not connection.socket.recv(1, socket.MSG_PEEK):
            raise PeerClosed
        self.at_step(connection, "HELLO?")
        if self.in_place_of_tls:
            connection.send(self.in_place_of_tls)
            raise HangUp
        connection.begin_tls(self.tls_context, self.by_name)
        self._watch(connection, "HANDSHAKE!")

    def on_mail(self, connection, line):
        connection.recipients = 0
        super().on_mail(connection, line)

    def on_rcpt(self, connection, line):
        reply = self.answer(connection, "RCPT", "250 2.1.5 recipient ok\r\n")
        connection.recipients += reply.startswith("250")

    def on_data(self, connection, line):
        if connection.recipients:
            super().on_data(connection, line)
        else:
            self.answer(connection, "DATA", "554 5.5.1 no valid recipients\r\n")

    def on_content(self, connection):
        if not connection.waiting():
            connection.more()
        self.at_step(connection, "CONTENT?")


class ScriptedServer:
    """Listens on a loopback port or a unix socket and plays `script(connection)` for every connection."""

    def __init__(self, script=None, host="127.0.0.1", port=0, unix_path=None, tls_context=None):
        self.script = script or Obedient()
        self.tls_context = tls_context
        self.connections = []
        self.errors = []
        if unix_path:
            self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.socket.bind(unix_path)
            self.address = f"unix:{unix_path}"
        else:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            self.socket = socket.create_server((host, port), family=family, backlog=1024)
            self.port = self.socket.getsockname()[1]
            self.address = f"{host}:{self.port}"
        self.socket.listen(1024)
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.socket.close()
        self._thread.join(5)
        for connection in self.connections:
            try:
                connection.socket.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        assert not self.errors, self.errors

    def _accept(self):
        while True:
            try:
                accepted, address = self.socket.accept()
            except OSError:
                return
            if accepted.family != socket.AF_UNIX:
                accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection = Connection(accepted, address)
            self.connections.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        try:
            if self.tls_context:
                connection.begin_tls(self.tls_context)
            self.script(connection)
        except (PeerClosed, HangUp, OSError):
            pass
        except Exception as error:  # a mistake in the script is a failure of the test
            self.errors.append(repr(error))
        finally:
            connection.socket.close()
            connection.finished.set()

    # --- what was seen

    def received(self):
        """Every octet of every connection."""
        return b"".join(bytes(connection.received) for connection in self.connections)

    def plain(self):
        """Every octet that came outside TLS."""
        return b"".join(bytes(connection.plain) for connection in self.connections)

    def commands(self):
        return [command for connection in self.connections for command in connection.commands]

    def messages(self):
        """The accepted contents, still dot-stuffed where they came by DATA."""
        return [message for connection in self.connections for message in connection.messages]


def reset(connection):
    """Ends a connection with a TCP reset (for at_step)."""
    connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    connection.socket.close()
    raise HangUp
