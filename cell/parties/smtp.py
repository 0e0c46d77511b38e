"""Mail by a mail server (RFC 5321), in a thread, with a deadline.

What is to be sent is recorded first, then sent, then marked as sent. A crash between the last two, or a worker
that was taken for dead, sends it twice, under the same Message-ID. A server that is away is an outage: the mail
waits, for a day.
"""

import asyncio
import contextlib
import ipaddress
import json
import smtplib
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP
from typing import Any
from urllib.parse import unquote, urlsplit

from cell.database import SQL
from cell.errors import Unfit
from cell.orchestrator.actions import Call, Outage, Party
from cell.parties.mail import insert, message_id, written
from cell.parties.memory import DONE, UNDONE, Remembering, visit
from cell.parties.seams import What
from cell.rules.letters import Letter
from cell.rules.turns import Output
from runtime.database import Connection, Pool
from runtime.errors import SettingsError

WIRE = SMTP.clone(cte_type="7bit")
SEND_SECONDS = 8.0
"""For all of one mail; a step's attempt lasts a little longer."""
ANSWER_SECONDS = 4.0
GIVEN_UP_SECONDS = 24 * 3600.0
"""Nobody wants a mail that is older."""


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where mail is handed in. `password` is secret."""

    host: str
    port: int
    tls: bool
    user: str | None
    password: str | None
    sender: str

    def __repr__(self) -> str:
        return f"<MailServer {self.host}:{self.port}>"

    @property
    def domain(self) -> str:
        return self.sender.rpartition("@")[2]


def mail_server(url: str, sender: str) -> MailServer:
    """From `smtp://user:password@host:587`, or `smtps://` for TLS from the first byte. SettingsError."""
    parts = urlsplit(url)
    if parts.scheme not in ("smtp", "smtps") or not parts.hostname:
        raise SettingsError("SMTP_URL is smtp://host or smtps://host, with user:password@ where it asks for them")
    tls = parts.scheme == "smtps"
    user = None if parts.username is None else unquote(parts.username)
    password = None if parts.password is None else unquote(parts.password)
    return MailServer(parts.hostname, parts.port or (465 if tls else 587), tls, user, password, sender)


class SmtpMail:
    """Hands mails in at a server."""

    def __init__(self, pool: Pool, server: MailServer) -> None:
        self._pool, self._server = pool, server

    def __repr__(self) -> str:
        return f"<SmtpMail {self._server!r}>"

    def letter(self, what: What) -> Party:
        return _Sent(self._pool, what, self._server)


class _Sent(Remembering):
    """One mail."""

    party = "mail"

    def __init__(self, pool: Pool, what: What, server: MailServer) -> None:
        super().__init__(pool, what)
        self._server = server

    async def do(self, connection: Connection, call: Call, what: Mapping[str, Any]) -> Output:
        """It was sent: say so."""
        await connection.execute(SQL["mark_mail_sent"], call.key)
        return {"message_id": message_id(call, self._server.domain)}

    async def take_back(self, connection: Connection, call: Call, done: Output | None) -> None:
        """What was sent is gone."""
        await connection.execute(SQL["delete_unsent_mail"], call.key)

    async def act(self, call: Call) -> Output:
        """Sent, and recorded as sent. Unfit: refused for good, or too old. Outage."""
        mail = written(self._what(call))
        async with visit(self._pool, call.tenant_id) as connection:
            row = await connection.fetchrow(SQL["get_effect"], self.party, call.key)
            if row is not None and row["state"] == UNDONE:
                raise Unfit("this was undone before")
            if row is not None and row["state"] == DONE:
                answered: Output = json.loads(row["output"])
                return answered
            await insert(connection, call, mail, message_id(call, self._server.domain), "WAITING")
            kept = await connection.fetchrow(SQL["get_mail"], call.key)
        if kept is not None and kept["age_seconds"] > GIVEN_UP_SECONDS:
            raise Unfit("the mail server was away for a day")
        await _send(self._server, mail, message_id(call, self._server.domain))
        return await super().act(call)


def composed(mail: Letter, sender: str, identifier: str) -> bytes:
    """As it goes over the wire. The library refuses line breaks in headers; letters hold none anyway."""
    message = EmailMessage(policy=WIRE)
    message["From"], message["To"], message["Subject"] = sender, mail.recipient, mail.subject
    message["Message-ID"], message["Auto-Submitted"] = identifier, "auto-generated"
    message.set_content(mail.body)
    return message.as_bytes()


async def _send(server: MailServer, mail: Letter, identifier: str) -> None:
    """Unfit: this mail will never be taken. Outage."""
    delivery = _Delivery(server)
    try:
        async with asyncio.timeout(SEND_SECONDS):
            await asyncio.to_thread(delivery.run, mail.recipient, composed(mail, server.sender, identifier))
    except smtplib.SMTPRecipientsRefused as refused:
        codes = [code for code, _ in refused.recipients.values()]
        raise _refused(max(codes, default=450)) from refused
    except smtplib.SMTPAuthenticationError:
        raise  # a fault of the settings, which waiting does not mend
    except (smtplib.SMTPConnectError, smtplib.SMTPHeloError) as error:
        raise Outage(f"the mail server takes no mail now: {error.smtp_code}") from error
    except smtplib.SMTPResponseException as error:
        raise _refused(error.smtp_code) from error
    except (smtplib.SMTPException, OSError, TimeoutError) as error:
        raise Outage(f"the mail server does not answer: {type(error).__name__}") from error
    finally:
        delivery.cut()  # whoever waited is gone: the thread must not wait on


def _refused(code: int) -> Exception:
    """RFC 5321, 4.2.1: 5 is for good, 4 for now."""
    if code >= 500:
        return Unfit(f"the mail server refuses this mail: {code}")
    return Outage(f"the mail server asks to wait: {code}")


class _Delivery:
    """One conversation, in a thread; `cut` ends it from outside."""

    def __init__(self, server: MailServer) -> None:
        self._server = server
        self._client: smtplib.SMTP | None = None

    def run(self, recipient: str, content: bytes) -> None:
        server = self._server
        context = ssl.create_default_context()
        if server.tls:
            client: smtplib.SMTP = smtplib.SMTP_SSL(
                server.host, server.port, timeout=ANSWER_SECONDS, context=context
            )
        else:
            client = smtplib.SMTP(server.host, server.port, timeout=ANSWER_SECONDS)
        self._client = client
        with client:
            client.ehlo_or_helo_if_needed()
            if not server.tls and client.has_extn("starttls"):
                client.starttls(context=context)
                client.ehlo()
            elif not server.tls and server.user is not None and not _loopback(server.host):
                raise smtplib.SMTPAuthenticationError(530, b"no password goes over a line that anybody can read")
            if server.user is not None:
                client.login(server.user, server.password or "")
            client.sendmail(server.sender, [recipient], content)

    def cut(self) -> None:
        client, self._client = self._client, None
        connected = None if client is None else client.sock
        if connected is not None:
            with contextlib.suppress(OSError):
                connected.shutdown(socket.SHUT_RDWR)


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
