"""A small mail server (RFC 5321) for tests: it keeps what it gets, and misbehaves on demand."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage


@dataclass(slots=True)
class MailServerOfTests:
    """The fields say how it behaves."""

    port: int = 0
    got: list[EmailMessage] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    greeting: str = "220 here"
    to_recipient: str = "250 fine"
    to_content: str = "250 taken"
    silent: bool = False
    """Takes a connection, and says nothing."""

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}"

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            if self.silent:
                await reader.read()
            else:
                await self._converse(reader, writer)
        writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(f"{self.greeting}\r\n".encode())
        while line := (await reader.readline()).decode().strip():
            verb = line.split(" ")[0].upper()
            answer = "250 fine"
            if verb == "RCPT":
                self.recipients.append(line)
                answer = self.to_recipient
            elif verb == "DATA":
                writer.write(b"354 go on\r\n")
                content = await reader.readuntil(b"\r\n.\r\n")
                made = message_from_bytes(content[:-3], policy=policy.default)
                assert isinstance(made, EmailMessage)
                self.got.append(made)
                answer = self.to_content
            elif verb == "QUIT":
                writer.write(b"221 bye\r\n")
                return
            writer.write(f"{answer}\r\n".encode())


@contextlib.asynccontextmanager
async def mail_server_of_tests() -> AsyncIterator[MailServerOfTests]:
    """At work."""
    made = MailServerOfTests()
    server = await asyncio.start_server(made.talk, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
