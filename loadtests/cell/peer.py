"""Reading and creating a namespace as one would write it first: FastAPI, SQLAlchemy 2 on asyncpg, pydantic.

Served by uvicorn with uvloop and httptools; runs in the peers' environment. It uses the cell's tables, sets the
tenant for the transaction, checks the key's hash, and keeps the answer under its Idempotency-Key, as the cell
does; it has no deadlines, no metrics, no retries, and wakes no worker.
"""

import datetime
import hashlib
import hmac
import json
import os
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from fastapi import Depends, FastAPI, Header, HTTPException, Path, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import DateTime, LargeBinary, SmallInteger, Text, func, select, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

PEPPER = os.environ["PEER_PEPPER"].encode()
KEPT = datetime.timedelta(hours=24)
SCOPE = "POST /v1/accounts/{account}/namespaces"
KIND = "provision_namespace"
STEPS = (
    *("reserve", "take_key", "take_attributes", "allocate", "configure", "encryption_key", "search_attributes"),
    "publish",
)
MOST_NAMESPACES = 2**31 - 1
HOLD_QUOTAS = text("SELECT pg_advisory_xact_lock(hashtextextended(:tenant || ' quotas', 2))")
SET_TENANT = text("SELECT set_config('app.tenant', :tenant, true), set_config('app.epoch', :epoch, true)")

engine = create_async_engine(os.environ["PEER_DSN"], pool_size=int(os.environ["PEER_POOL_SIZE"]), max_overflow=0)
sessions = async_sessionmaker(engine, expire_on_commit=False)


class Row(DeclarativeBase):
    """The tables of the cell, as far as they are used here."""

    type_annotation_map: ClassVar = {
        str: Text,
        bytes: LargeBinary,
        datetime.datetime: DateTime(timezone=True),
        dict[str, Any]: JSONB,
        list[str]: ARRAY(Text),
    }
    __table_args__: ClassVar = {"schema": "cell"}


class TenantRow(Row):
    __tablename__ = "tenants"
    tenant_id: Mapped[str] = mapped_column(primary_key=True)
    state: Mapped[str]


class KeyRow(Row):
    __tablename__ = "api_keys"
    tenant_id: Mapped[str] = mapped_column(primary_key=True)
    key_id: Mapped[str] = mapped_column(primary_key=True)
    secret_hash: Mapped[bytes]
    revoked_at: Mapped[datetime.datetime | None]


class AccountRow(Row):
    __tablename__ = "accounts"
    tenant_id: Mapped[str] = mapped_column(primary_key=True)
    account_id: Mapped[str] = mapped_column(primary_key=True)


class NamespaceRow(Row):
    __tablename__ = "namespaces"
    tenant_id: Mapped[str] = mapped_column(primary_key=True)
    account_id: Mapped[str] = mapped_column(primary_key=True)
    namespace_id: Mapped[str] = mapped_column(primary_key=True)
    display_name: Mapped[str]
    labels: Mapped[dict[str, Any]]
    state: Mapped[str]
    version: Mapped[int] = mapped_column(server_default="1")
    created_at: Mapped[datetime.datetime] = mapped_column(server_default=func.now())
    updated_at: Mapped[datetime.datetime] = mapped_column(server_default=func.now())


class AllocationRow(Row):
    __tablename__ = "allocations"
    tenant_id: Mapped[str] = mapped_column(primary_key=True)
    account_id: Mapped[str] = mapped_column(primary_key=True)
    namespace_id: Mapped[str] = mapped_column(primary_key=True)
    settings: Mapped[dict[str, Any]]
    endpoint: Mapped[str | None]


class OrchestrationRow(Row):
    __tablename__ = "orchestrations"
    tenant_id: Mapped[str] = mapped_column(primary_key=True)
    orchestration_id: Mapped[str] = mapped_column(primary_key=True)
    workflow: Mapped[str]
    version: Mapped[int]
    target: Mapped[str]
    state: Mapped[str]
    payload: Mapped[dict[str, Any]]
    lane: Mapped[str]
    steps: Mapped[list[str]]
    steps_done: Mapped[int]
    created_at: Mapped[datetime.datetime] = mapped_column(server_default=func.now())
    updated_at: Mapped[datetime.datetime] = mapped_column(server_default=func.now())


class StepRow(Row):
    __tablename__ = "orchestration_steps"
    tenant_id: Mapped[str] = mapped_column(primary_key=True)
    orchestration_id: Mapped[str] = mapped_column(primary_key=True)
    step: Mapped[str] = mapped_column(primary_key=True)
    status: Mapped[str]
    attempts: Mapped[int]
    output: Mapped[dict[str, Any]]


class AuditRow(Row):
    __tablename__ = "audit_entries"
    tenant_id: Mapped[str] = mapped_column(primary_key=True)
    entry_id: Mapped[str] = mapped_column(primary_key=True)
    at: Mapped[datetime.datetime]
    actor: Mapped[str]
    action: Mapped[str]
    target: Mapped[str]
    after: Mapped[dict[str, Any]]


class UsageRow(Row):
    __tablename__ = "usage_records"
    tenant_id: Mapped[str] = mapped_column(primary_key=True)
    meter: Mapped[str] = mapped_column(primary_key=True)
    record_key: Mapped[str] = mapped_column(primary_key=True)
    quantity: Mapped[int]


class IdempotencyRow(Row):
    __tablename__ = "idempotency_keys"
    tenant_id: Mapped[str] = mapped_column(primary_key=True)
    scope: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    digest: Mapped[bytes]
    status: Mapped[int] = mapped_column(SmallInteger)
    headers: Mapped[dict[str, Any]]
    body: Mapped[bytes]
    expires_at: Mapped[datetime.datetime] = mapped_column(server_default=func.now())


class NewNamespace(BaseModel):
    """What is asked for."""

    model_config = ConfigDict(extra="forbid", strict=True)

    namespace_id: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,61}[a-z0-9]$")
    display_name: str = Field(min_length=1, max_length=200)
    labels: dict[str, str] = Field(default_factory=dict, max_length=64)


class Namespace(BaseModel):
    """What is answered."""

    name: str
    display_name: str
    labels: dict[str, str]
    state: str
    endpoint: str | None
    settings: dict[str, Any]
    etag: str
    create_time: datetime.datetime
    update_time: datetime.datetime


class Progress(BaseModel):
    """How far an operation is."""

    step: str | None
    steps_done: int
    steps: list[str]


class Operation(BaseModel):
    """Long-running work."""

    name: str
    type: str
    target: str
    state: str
    progress: Progress
    cancel_requested: bool
    error: dict[str, str] | None
    create_time: datetime.datetime
    update_time: datetime.datetime
    poll_after_seconds: float


@dataclass(frozen=True)
class Caller:
    """What the headers say."""

    tenant_id: str
    epoch: int
    secret_hash: bytes


def caller(
    cellway_tenant: Annotated[str, Header(pattern=r"^[a-z0-9-]{2,40}$")],
    cellway_epoch: Annotated[int, Header(gt=0)],
    authorization: Annotated[str, Header()] = "",
) -> Caller:
    """Who asks; whether the key is known is asked in the transaction."""
    api_key = authorization.removeprefix("Bearer ")
    return Caller(cellway_tenant, cellway_epoch, _hash("key-hash", api_key))


def _hash(*parts: str) -> bytes:
    message = b"".join(len(part.encode()).to_bytes(4, "big") + part.encode() for part in parts)
    return hmac.new(PEPPER, message, hashlib.sha256).digest()


@asynccontextmanager
async def entered(who: Caller) -> AsyncIterator[AsyncSession]:
    """A transaction of the tenant's. HTTPException 401 and 403."""
    async with sessions() as session, session.begin():
        await session.execute(SET_TENANT, {"tenant": who.tenant_id, "epoch": str(who.epoch)})
        found = (
            await session.execute(
                select(KeyRow.secret_hash, TenantRow.state)
                .join(TenantRow, TenantRow.tenant_id == KeyRow.tenant_id)
                .where(
                    KeyRow.tenant_id == who.tenant_id,
                    KeyRow.secret_hash == who.secret_hash,
                    KeyRow.revoked_at.is_(None),
                )
            )
        ).one_or_none()
        if found is None or not hmac.compare_digest(found.secret_hash, who.secret_hash):
            raise HTTPException(401, "a valid API key is needed")
        if found.state != "active":
            raise HTTPException(403, "this tenant is suspended")
        yield session


app = FastAPI()
Identifier = Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9-]{0,61}[a-z0-9]$")]
Who = Annotated[Caller, Depends(caller)]


@app.get("/v1/accounts/{account}/namespaces/{namespace}")
async def get(account: Identifier, namespace: Identifier, who: Who, response: Response) -> Namespace:
    """One namespace with what it was given."""
    async with entered(who) as session:
        found = (
            await session.execute(
                select(NamespaceRow, AllocationRow)
                .outerjoin(
                    AllocationRow,
                    (AllocationRow.tenant_id == NamespaceRow.tenant_id)
                    & (AllocationRow.account_id == NamespaceRow.account_id)
                    & (AllocationRow.namespace_id == NamespaceRow.namespace_id),
                )
                .where(NamespaceRow.account_id == account, NamespaceRow.namespace_id == namespace)
            )
        ).one_or_none()
        if found is None:
            raise HTTPException(404, "no such namespace")
        row, given = found
    etag = f'"{row.version}"'
    response.headers["Cache-Control"] = "no-store"
    response.headers["ETag"] = etag
    return Namespace(
        name=f"accounts/{row.account_id}/namespaces/{row.namespace_id}",
        display_name=row.display_name,
        labels=row.labels,
        state=row.state,
        endpoint=given.endpoint if given else None,
        settings=given.settings if given else {},
        etag=etag,
        create_time=row.created_at,
        update_time=row.updated_at,
    )


@app.post("/v1/accounts/{account}/namespaces", status_code=202)
async def create(
    account: Identifier,
    new: NewNamespace,
    who: Who,
    idempotency_key: Annotated[str, Header(pattern=r"^[\x21-\x7e]{1,128}$")],
) -> Response:
    """Namespace, orchestration, audit entry, usage and the kept answer, in one transaction; within the quota."""
    canonical = json.dumps([account, new.model_dump(mode="json")], sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(canonical.encode()).digest()
    async with entered(who) as session:
        kept = await session.get(IdempotencyRow, (who.tenant_id, SCOPE, idempotency_key))
        if kept is not None:
            if kept.digest != digest:
                raise HTTPException(422, "this Idempotency-Key was used for another request")
            return _answer(kept.body, {**kept.headers, "Idempotency-Replayed": "true"})
        held = await session.scalar(
            select(AccountRow.account_id)
            .where(AccountRow.account_id == account)
            .with_for_update(read=True, key_share=True)
        )
        if held is None:
            raise HTTPException(404, "no such account")
        orchestration, body = await _write(session, who.tenant_id, account, new)
        headers = {"Location": f"../../../operations/{orchestration.orchestration_id}"}
        session.add(
            IdempotencyRow(
                tenant_id=who.tenant_id,
                scope=SCOPE,
                key=idempotency_key,
                digest=digest,
                status=202,
                headers=headers,
                body=body,
                expires_at=datetime.datetime.now(datetime.UTC) + KEPT,
            )
        )
    return _answer(body, headers)


async def _write(
    session: AsyncSession, tenant_id: str, account: str, new: NewNamespace
) -> tuple[OrchestrationRow, bytes]:
    namespace = NamespaceRow(
        tenant_id=tenant_id,
        account_id=account,
        namespace_id=new.namespace_id,
        display_name=new.display_name,
        labels=new.labels,
        state="PROVISIONING",
    )
    target = f"accounts/{account}/namespaces/{new.namespace_id}"
    orchestration = OrchestrationRow(
        tenant_id=tenant_id,
        orchestration_id=f"op-{secrets.token_hex(12)}",
        workflow=KIND,
        version=1,
        target=target,
        state="PENDING",
        payload={"account_id": account, "namespace_id": new.namespace_id},
        lane="interactive",
        steps=list(STEPS),
        steps_done=1,
    )
    session.add_all([namespace, orchestration])
    try:
        await session.flush()
    except IntegrityError:
        raise HTTPException(409, "the namespace exists already") from None
    await session.execute(HOLD_QUOTAS, {"tenant": tenant_id})
    used = await session.scalar(select(func.count()).select_from(NamespaceRow))
    if used is None or used > MOST_NAMESPACES:
        raise HTTPException(403, "the plan gives no more namespaces")
    # Written with the kept answer, at the end.
    session.add_all(
        [
            StepRow(
                tenant_id=tenant_id,
                orchestration_id=orchestration.orchestration_id,
                step=STEPS[0],
                status="COMPLETED",
                attempts=1,
                output={},
            ),
            AuditRow(
                tenant_id=tenant_id,
                entry_id=secrets.token_hex(16),
                at=datetime.datetime.now(datetime.UTC),
                actor="key",
                action="createNamespace",
                target=target,
                after={"state": namespace.state, "display_name": new.display_name, "labels": new.labels},
            ),
            UsageRow(tenant_id=tenant_id, meter="api_mutations", record_key=secrets.token_hex(16), quantity=1),
        ]
    )
    said = Operation(
        name=f"operations/{orchestration.orchestration_id}",
        type=orchestration.workflow,
        target=target,
        state=orchestration.state,
        progress=Progress(step=None, steps_done=1, steps=orchestration.steps),
        cancel_requested=False,
        error=None,
        create_time=orchestration.created_at,
        update_time=orchestration.updated_at,
        poll_after_seconds=0.5,
    )
    return orchestration, said.model_dump_json().encode()


def _answer(body: bytes, headers: dict[str, Any]) -> Response:
    headers = {"Cache-Control": "no-store", **headers}
    return Response(body, status_code=202, headers=headers, media_type="application/json")
