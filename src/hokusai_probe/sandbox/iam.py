"""What the roles of the sandbox's control plane permit, judged as IAM does.

Sources, both of the IAM user guide: "Policy evaluation logic" (everything is denied unless a policy allows
it, an explicit deny wins, a permissions boundary limits) and "IAM JSON policy elements" (Action is not case
sensitive, Resource is; ``*`` stands for any characters and ``?`` for one; NotAction and NotResource).

A statement with a Condition is compared with an empty request context: it holds only where IAM says that an
absent key satisfies the operator (``...IfExists``, the negated operators, ``Null`` with true). moto's own
evaluator is not used: it knows neither NotResource nor ``?``, and takes an unmet condition for a denial.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from moto.iam.models import IAMBackend, ManagedPolicy, Role, User, iam_backends

TASKS_PRINCIPAL = "ecs-tasks.amazonaws.com"
"""Who assumes the roles of a task definition."""

Statement = Mapping[str, Any]


def permits(account: str, role_arn: str, action: str, resource: str) -> bool:
    """Whether a role's own policies allow an action on a resource; False for a role that does not exist.

    Args:
        account: The AWS account.
        role_arn: The role's ARN; its name alone will do.
        action: ``service:Action``.
        resource: The ARN acted on, or ``*`` for an action that knows no resources.

    """
    backend = _backend(account)
    role = _role(backend, role_arn)
    if role is None:
        return False
    bounded = _boundary(backend, role)
    within = bounded is None or allows(bounded, action, resource)
    return within and allows(statements_of(role), action, resource)


def assumable(account: str, role_arn: str, principal: str = TASKS_PRINCIPAL) -> bool:
    """Whether a role exists and its trust policy lets this AWS service assume it."""
    role = _role(_backend(account), role_arn)
    if role is None:
        return False
    trusting = [
        statement for statement in statements(role.assume_role_policy_document or "{}")
        if _names(statement.get("Principal", {}), principal)
    ]  # fmt: skip
    effects = {entry["Effect"] for entry in trusting if _acts_on(entry, "sts:AssumeRole")}
    return effects == {"Allow"}


def refusal(account: str, role_arn: str, action: str, resource: str) -> str:
    """Why `permits` says no, in the words that end IAM's AccessDenied messages."""
    role = _role(_backend(account), role_arn)
    denies = role is not None and "Deny" in _effects(statements_of(role), action, resource)
    if denies:
        return "with an explicit deny in an identity-based policy"
    return f"because no identity-based policy allows the {action} action"


def allows(policy: Sequence[Statement], action: str, resource: str) -> bool:
    """Whether these statements together allow the action: one allows, none denies."""
    return _effects(policy, action, resource) == {"Allow"}


def statements(document: str) -> list[Statement]:
    """The statements of a policy document; a single one may stand without brackets."""
    found = json.loads(document).get("Statement", [])
    return [found] if isinstance(found, Mapping) else list(found)


def _backend(account: str) -> IAMBackend:
    return iam_backends[account]["aws"]


def _role(backend: IAMBackend, role_arn: str) -> Role | None:
    name = role_arn.rpartition("/")[2]
    return next((role for role in list(backend.roles.values()) if role.name == name), None)


def statements_of(principal: Role | User) -> list[Statement]:
    """The statements of a principal's own and attached policies."""
    documents = [*principal.policies.values(), *map(_document, principal.managed_policies.values())]
    return [entry for document in documents for entry in statements(document)]


def _boundary(backend: IAMBackend, role: Role) -> list[Statement] | None:
    if not role.permissions_boundary_arn:
        return None
    boundary = backend.managed_policies.get(role.permissions_boundary_arn)
    return statements(_document(boundary)) if boundary else []


def _document(policy: ManagedPolicy) -> str:
    return next(str(version.document) for version in policy.versions if version.is_default)


def _effects(policy: Sequence[Statement], action: str, resource: str) -> set[str]:
    return {entry["Effect"] for entry in policy if _applies(entry, action, resource)}


def _applies(statement: Statement, action: str, resource: str) -> bool:
    return _acts_on(statement, action) and _covers(statement, resource) and _holds(statement)


def _acts_on(statement: Statement, action: str) -> bool:
    return _matches(statement, "Action", lambda pattern: _like(pattern.lower(), action.lower()))


def _covers(statement: Statement, resource: str) -> bool:
    return _matches(statement, "Resource", lambda pattern: _like(pattern, resource))


def _matches(statement: Statement, element: str, fits: Callable[[str], bool]) -> bool:
    negated = f"Not{element}"
    if negated in statement:
        return not any(map(fits, _list(statement[negated])))
    return any(map(fits, _list(statement.get(element, []))))


def _like(pattern: str, text: str) -> bool:
    expression = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return re.fullmatch(expression, text, re.DOTALL) is not None


def _holds(statement: Statement) -> bool:
    return all(_holds_when_absent(*condition) for condition in _conditions(statement))


def _conditions(statement: Statement) -> Iterator[tuple[str, list[str]]]:
    for operator, keys in statement.get("Condition", {}).items():
        for values in keys.values():
            yield operator, _list(values)


def _holds_when_absent(operator: str, values: Sequence[str]) -> bool:
    """Whether a condition holds for a key that the request does not carry."""
    if operator == "Null":
        return [str(value).lower() for value in values] == ["true"]
    name = operator.rpartition(":")[2]
    return name.endswith("IfExists") or "Not" in name or operator.startswith("ForAllValues:")


def _names(principal: str | Mapping[str, Any], service: str) -> bool:
    if isinstance(principal, str):
        return principal == "*"
    return service in _list(principal.get("Service", []))


def _list(value: Any) -> list[str]:
    return list(value) if isinstance(value, (list, tuple)) else [value]
