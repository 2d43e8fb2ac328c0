"""Senders that never stop and try again, each with one session after the other, and the servers that take their mail."""

import asyncio
import collections
import random
import ssl
import threading

from harness.client import tls_context
from harness.messages import message, new_token
from harness.ports import PATIENCE

_SOON = 300  # seconds: for one reply, on a machine that is busy with something else


class _Told(Exception):
    """A 421: come again."""


class _Lost(Exception):
    """Anything else that should not be."""


class Server:
    """Takes every message and notes its token; with a context all of it is inside TLS."""

    def __init__(self):
        self.tokens = collections.Counter()
        self.port = None
        self._listening = None

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    async def start(self, context=None):
        self._listening = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=context, backlog=1024, limit=1 << 22)
        self.port = self._listening.sockets[0].getsockname()[1]

    async def _serve(self, reader, writer):
        try:
            await self._talk(reader, writer)
        except (OSError, ssl.SSLError, asyncio.IncompleteReadError):
            pass  # whoever is lost without a reply is noticed by his client
        finally:
            writer.close()

    async def _talk(self, reader, writer):
        writer.write(b"220 taker.example ESMTP\r\n")
        while line := await reader.readline():
            verb = line[:4].upper().strip()
            if verb == b"EHLO":
                writer.write(b"250-taker.example\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE 100000000\r\n")
            elif verb == b"DATA":
                writer.write(b"354 go ahead\r\n")
                content = await reader.readuntil(b"\r\n.\r\n")
                self.tokens[content.partition(b"X-Token: ")[2].partition(b"\r\n")[0].decode()] += 1
                writer.write(b"250 2.0.0 taken\r\n")
            elif verb == b"QUIT":
                writer.write(b"221 2.0.0 bye\r\n")
                return
            else:
                writer.write(b"250 2.0.0 ok\r\n")


class Traffic:
    """Use with `with`: afterwards nobody sends any more. All of it is one thread; what it found are plain values.

    problems: what happened to sessions that should not. told: how often a 421 ended one, by its text. A message whose
    session is ended by a 421 is sent again, with the same token, until it is accepted: `accepted`.
    """

    def __init__(self, relay_pair):
        self.problems = []
        self.told = collections.Counter()
        self.accepted = []
        self.sessions = 0  # that came to their end
        self.running = 0
        self.behind, self.relay = Server(), Server()
        self._loop = asyncio.new_event_loop()
        self._flowing = None
        self._senders = []
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(relay_pair.chain, relay_pair.key)
        self._do(self._begin(context))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        async def end():
            others = asyncio.all_tasks() - {asyncio.current_task()}
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)

        self._do(end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE)
        self._loop.close()

    def _do(self, coroutine, timeout=_SOON):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(timeout)

    async def _begin(self, context):
        self._flowing = asyncio.Event()
        await self.behind.start()
        await self.relay.start(context)

    def flow(self, ways=(), count=0, pause=0.5):
        """`count` senders begin, shared among the `ways` (port and mode: none, starttls or implicit); those that there
        are go on. Between two commands they wait for `pause` seconds at most, between two sessions for six times that.
        """

        async def begin():
            for number in range(count):
                self._senders.append(asyncio.create_task(self._send(*ways[number % len(ways)], pause)))
            self._flowing.set()

        self._do(begin())

    def rest(self):
        """Sessions come to their end, and no others begin."""

        async def stop():
            self._flowing.clear()
            while self.running:
                await asyncio.sleep(0.05)

        self._do(stop())

    async def _send(self, port, mode, pause):
        mail = collections.deque()
        await asyncio.sleep(random.uniform(0, 6 * pause))
        while True:
            await self._flowing.wait()
            while len(mail) < random.randint(1, 3):
                mail.append(new_token())
            self.running += 1
            try:
                await self._session(port, mode, pause, mail)
                self.sessions += 1
            except _Told as told:
                self.told[str(told)] += 1
            except (_Lost, OSError, ssl.SSLError, asyncio.IncompleteReadError, asyncio.TimeoutError) as problem:
                self.problems.append(f"{mode}: {problem!r}")
            finally:
                self.running -= 1
            await asyncio.sleep(random.uniform(0, 6 * pause))

    async def _session(self, port, mode, pause, mail):
        context = tls_context()
        reader, writer = await asyncio.wait_for(
            asyncio.open_connection("127.0.0.1", port, ssl=context if mode == "implicit" else None), _SOON
        )
        try:
            await _expect(reader, 220)
            await _say(reader, writer, "EHLO client.example", 250)
            if mode == "starttls":
                await _say(reader, writer, "STARTTLS", 220)
                await asyncio.wait_for(writer.start_tls(context, server_hostname="mx.example.org"), _SOON)
                await _say(reader, writer, "EHLO client.example", 250)
            while mail:
                await asyncio.sleep(random.uniform(0, 2 * pause))
                await self._message(reader, writer, pause, mail[0])
                self.accepted.append(mail.popleft())
            await _say(reader, writer, "QUIT", 221)
            if rest := await asyncio.wait_for(reader.read(), _SOON):
                raise _Lost(f"after the reply to QUIT came {rest!r}")
        finally:
            writer.close()

    async def _message(self, reader, writer, pause, token):
        for command, code in (("MAIL FROM:<a@example.net>", 250), ("RCPT TO:<b@example.org>", 250), ("DATA", 354)):
            await _say(reader, writer, command, code)
            await asyncio.sleep(random.uniform(0, pause))
        # Most of them are short; of long ones some content is always under way.
        text = message(b"one more line of it\r\n" * random.choice([1, 1, 1, 20, 10_000]), token=token)
        step = len(text) // 4 + 1
        for start in range(0, len(text), step):
            writer.write(text[start : start + step])
            await writer.drain()
            if len(text) > 10_000:
                await asyncio.sleep(random.uniform(0, pause))
        await _say(reader, writer, ".", 250)


async def _say(reader, writer, command, code):
    writer.write(command.encode() + b"\r\n")
    await _expect(reader, code, command)


async def _expect(reader, code, command="the connection"):
    raw = b""
    while True:
        line = await asyncio.wait_for(reader.readline(), _SOON)
        raw += line
        if not line.endswith(b"\r\n"):
            raise _Lost(f"{command}: closed, after {raw!r}")
        if line[3:4] != b"-":
            break
    text = raw.decode("ascii", "replace").strip()
    if text.startswith("421 "):
        raise _Told(text)
    if not text.startswith(str(code)):
        raise _Lost(f"{command}: {text}")
