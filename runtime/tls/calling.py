"""The side that calls: it checks the authority, and the name of whom it calls."""

import ssl

from runtime.tls.credentials import Credentials


class Calling(Credentials):
    """`context` is for whoever opens a connection, together with the name that the other side's certificate must
    have: `server_hostname`. It is replaced whole when the files change, so ask for it each time.
    """

    context: ssl.SSLContext

    def _load(self) -> float:
        context = self._equip(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
        expires_at = self._as_servers_see_it()
        self.context = context
        return expires_at

    def _as_servers_see_it(self) -> float:
        """Our certificate is checked as servers will; the half that only shows it has nobody to check."""
        server = self._equip(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
        server.verify_mode = ssl.CERT_REQUIRED
        shows = self._equip(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
        shows.check_hostname, shows.verify_mode = False, ssl.CERT_NONE  # in memory: it is connected to nobody
        return self._tried(server, shows, None, by_client=False)
