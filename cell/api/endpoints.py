"""Everything the tenants' API can do. Routes, the OpenAPI document and the isolation tests come from this list."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from cell.api import accounts, audit, keys, namespaces, operations, quotas, storage, subscription, usage
from cell.api.context import Context
from cell.api.models import (
    Account,
    AccountPage,
    AccountPatch,
    AuditEntry,
    AuditPage,
    Key,
    KeyPage,
    Leaving,
    ListQuery,
    Namespace,
    NamespacePage,
    NamespacePatch,
    NewAccount,
    NewKey,
    NewNamespace,
    Operation,
    OperationPage,
    PlanChange,
    QuotaReport,
    Storage,
    StoragePatch,
    Subscription,
    Usage,
    UsageQuery,
    WaitQuery,
)
from runtime.api.endpoint import Endpoint, Reply
from runtime.api.openapi import document
from runtime.api.texts import ID

_ACCOUNTS = "/v1/accounts"
_ACCOUNT = "/v1/accounts/{account}"
_NAMESPACES = "/v1/accounts/{account}/namespaces"
_NAMESPACE = "/v1/accounts/{account}/namespaces/{namespace}"


def _list(path: str, handler: Any, operation: str, model: type[BaseModel], tag: str) -> Endpoint[Context]:
    return Endpoint(
        "GET", path, handler, f"List {tag}", operation, {200: model}, query=ListQuery, tag=tag, errors=(421,)
    )


def _get(path: str, handler: Any, operation: str, model: type[BaseModel], tag: str) -> Endpoint[Context]:
    return Endpoint(
        "GET", path, handler, f"Read one of the {tag}", operation, {200: model}, tag=tag, errors=(421,)
    )


ENDPOINTS: Sequence[Endpoint[Context]] = (
    Endpoint("POST", _ACCOUNTS, accounts.create, "Create an account", "createAccount", {201: Account},
             body=NewAccount, idempotency="required", tag="accounts", errors=(421,)),
    _list(_ACCOUNTS, accounts.list_, "listAccounts", AccountPage, "accounts"),
    _get(_ACCOUNT, accounts.get, "getAccount", Account, "accounts"),
    Endpoint("PATCH", _ACCOUNT, accounts.update, "Change an account", "updateAccount", {200: Account},
             body=AccountPatch, idempotency="optional", if_match=True, tag="accounts", errors=(421,)),
    Endpoint("DELETE", _ACCOUNT, accounts.delete, "Delete an account without namespaces", "deleteAccount",
             {204: None}, idempotency="optional", if_match=True, tag="accounts", errors=(421,)),
    Endpoint("POST", _NAMESPACES, namespaces.create, "Provision a namespace", "createNamespace", {202: Operation},
             body=NewNamespace, idempotency="required", tag="namespaces", errors=(421, 429)),
    _list(_NAMESPACES, namespaces.list_, "listNamespaces", NamespacePage, "namespaces"),
    _get(_NAMESPACE, namespaces.get, "getNamespace", Namespace, "namespaces"),
    Endpoint("PATCH", _NAMESPACE, namespaces.update, "Change a namespace", "updateNamespace", {200: Namespace},
             body=NamespacePatch, idempotency="optional", if_match=True, tag="namespaces", errors=(421,)),
    Endpoint("DELETE", _NAMESPACE, namespaces.delete, "Release a namespace", "deleteNamespace", {202: Operation},
             idempotency="optional", if_match=True, tag="namespaces", errors=(421, 429)),
    _get(f"{_NAMESPACE}/storage", storage.get, "getStorage", Storage, "storage"),
    Endpoint("PATCH", f"{_NAMESPACE}/storage", storage.update, "Say what a namespace is going to hold",
             "updateStorage", {200: Storage}, body=StoragePatch, idempotency="optional", if_match=True,
             tag="storage", errors=(421,)),
    Endpoint("POST", "/v1/keys", keys.create, "Create an API key", "createKey", {201: Key},
             body=NewKey, idempotency="required", tag="keys", errors=(421,)),
    _list("/v1/keys", keys.list_, "listKeys", KeyPage, "keys"),
    _get("/v1/keys/{key}", keys.get, "getKey", Key, "keys"),
    Endpoint("POST", "/v1/keys/{key}:revoke", keys.revoke, "Revoke an API key", "revokeKey", {200: Key},
             idempotency="required", tag="keys", errors=(421,)),
    _list("/v1/operations", operations.list_, "listOperations", OperationPage, "operations"),
    dataclasses.replace(
        _get("/v1/operations/{operation}", operations.get, "getOperation", Operation, "operations"),
        while_suspended=True,
    ),
    Endpoint("POST", "/v1/operations/{operation}:cancel", operations.cancel, "Cancel an operation",
             "cancelOperation", {200: Operation}, idempotency="required", tag="operations", errors=(421,),
             while_suspended=True),
    Endpoint("GET", "/v1/operations/{operation}:wait", operations.wait, "Wait until an operation has ended",
             "waitOperation", {200: Operation}, query=WaitQuery, tag="operations", errors=(421, 429),
             while_suspended=True),
    Endpoint("GET", "/v1/subscription", subscription.get, "Read the subscription", "getSubscription",
             {200: Subscription}, tag="subscription", errors=(404, 421), while_suspended=True),
    Endpoint("POST", "/v1/subscription:changePlan", subscription.change_plan, "Change the plan", "changePlan",
             {202: Operation}, body=PlanChange, idempotency="required", tag="subscription", errors=(404, 421),
             while_suspended=True),
    Endpoint("POST", "/v1/subscription:cancel", subscription.cancel, "Leave for good", "cancelSubscription",
             {202: Operation}, body=Leaving, idempotency="required", tag="subscription", errors=(404, 421),
             while_suspended=True),
    Endpoint("GET", "/v1/quotas", quotas.get, "Read what the plan gives, and what is used of it", "getQuotas",
             {200: QuotaReport}, tag="accounting", errors=(421,)),
    Endpoint("GET", "/v1/usage", usage.get, "Read what was used", "getUsage", {200: Usage}, query=UsageQuery,
             tag="accounting", errors=(421,)),
    _list("/v1/audit", audit.list_, "listAuditEntries", AuditPage, "audit entries"),
    _get("/v1/audit/{entry}", audit.get, "getAuditEntry", AuditEntry, "audit entries"),
)  # fmt: skip

AFTERWARDS: Mapping[str, Callable[[Context, Reply], Reply]] = {"createKey": keys.revealed}
"""What is added to an answer after it was stored: secrets, which are derived and never stored."""

PARAMETERS: Mapping[str, Mapping[str, Any]] = {
    name: {"type": "string", "pattern": ID, "maxLength": 40}
    for name in ("account", "namespace", "key", "operation", "entry")
}


def openapi() -> bytes:
    """The OpenAPI document."""
    return document(
        "Cellway",
        "v1",
        "Accounts, namespaces, API keys and operations of one tenant, what it uses, and who changed what. "
        "Requests come through the router.",
        ENDPOINTS,
        PARAMETERS,
        "an API key: ck_<tenant>_<secret>",
    )
