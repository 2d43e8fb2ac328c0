"""An HTTPS server for MTA-STS policies: what it says and with which certificate is a table, requests are kept."""

import contextlib
import http.server
import socket
import ssl
import threading

PATH = "/.well-known/mta-sts.txt"


class PolicyHost:
    """`answers` maps host names to (status, headers, body); `pairs` to certificates. Both may change while it runs.

    The sockets, one for each address, are made in the namespace that the calling thread has entered.
    """

    def __init__(self, addresses, fallback_pair, port=443):
        self.answers = {}
        self.pairs = {}
        self.requests = []  # (host name, path)
        self._contexts = {}
        self._servers = [_Server((address, port), self) for address in addresses]
        self._context = self._context_of(fallback_pair)
        self._context.sni_callback = self._choose
        self._threads = [
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True) for server in self._servers
        ]
        for thread in self._threads:
            thread.start()

    def publish(self, domain, body, pair, status=200, headers=()):
        """A header that is None is left out, so that one without Content-Length ends with the connection, by
        close_notify; "Early-Hints" stands for a 103 before it all.
        """
        host = f"mta-sts.{domain}"
        self.pairs[host] = pair
        self.answers[host] = (status, dict(headers), body)

    @contextlib.contextmanager
    def away(self, domain):
        """Nothing is found there for a while."""
        answer = self.answers.pop(f"mta-sts.{domain}")
        try:
            yield
        finally:
            self.answers[f"mta-sts.{domain}"] = answer

    def limit(self, pair, version):
        """Where this pair is shown, one version of TLS is spoken."""
        context = self._context_of(pair)
        context.minimum_version = context.maximum_version = version

    def requests_for(self, domain):
        return [path for host, path in self.requests if host == f"mta-sts.{domain}"]

    def close(self):
        for server, thread in zip(self._servers, self._threads):
            server.shutdown()
            server.server_close()
            thread.join(5)

    def secure(self, connection):
        return self._context.wrap_socket(connection, server_side=True)

    def _choose(self, tls, server_name, _):
        if server_name in self.pairs:
            tls.context = self._context_of(self.pairs[server_name])

    def _context_of(self, pair):
        if pair.chain not in self._contexts:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(pair.chain, pair.key)
            self._contexts[pair.chain] = context
        return self._contexts[pair.chain]


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, endpoint, policy_host):
        self.policy_host = policy_host
        self.address_family = socket.AF_INET6 if ":" in endpoint[0] else socket.AF_INET
        super().__init__(endpoint, _Handler)

    def server_bind(self):  # without the base class's look-up of the machine's name
        http.server.socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]

    def finish_request(self, request, client_address):
        # In the thread of the connection: a slow handshake holds nobody else up.
        request.settimeout(10)
        secured = self.policy_host.secure(request)
        super().finish_request(secured, client_address)
        with contextlib.suppress(OSError, ValueError):
            secured.unwrap()

    def handle_error(self, request, client_address):
        """A client that does not like the certificate is no trouble of ours."""


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        owner = self.server.policy_host
        name = self.headers.get("Host", "").partition(":")[0]
        owner.requests.append((name, self.path))
        status, headers, body = owner.answers.get(name, (404, {}, ""))
        if self.path != PATH:
            status, headers, body = 404, {}, ""
        octets = body.encode()
        fields = {"Content-Type": "text/plain", "Content-Length": len(octets), **headers}
        if fields.pop("Early-Hints", None):
            self.wfile.write(b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n")
        self.send_response(status)
        for field, value in fields.items():
            if value is not None:
                self.send_header(field, str(value))
        self.end_headers()
        self.wfile.write(octets)

    def log_message(self, *_):
        pass
