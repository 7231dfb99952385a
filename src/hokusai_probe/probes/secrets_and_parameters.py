"""The secrets and parameters that task definitions in use refer to: do they exist. Never a value."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from hokusai_probe.aws import AwsDoor, AwsFailure
from hokusai_probe.declare import Sentence, check, probe
from hokusai_probe.looking import Look
from hokusai_probe.model import CannotTell, Facts, Frozen, NotApplicable, Utc
from hokusai_probe.probes.revisions import RevisionsFacts
from hokusai_probe.probes.task_definitions import TaskDefinitionsFacts

_IN_MANAGER = ":secretsmanager:"
_OWNER = 5  # of an ARN's parts the region is the fourth, the account the fifth
_SUFFIX = 7  # the hyphen and six characters that Secrets Manager adds to a name
_MOST_NAMES = 50  # DescribeParameters takes no more values in one filter


class Stored(Frozen):
    """A secret or parameter as it is listed; ``changed_at``: its value, ``deleted_at``: marked for that."""

    arn: str
    name: str
    changed_at: Utc | None = None
    deleted_at: Utc | None = None


class SecretsAndParametersFacts(Facts):
    """What there is of what task definitions refer to. ``None`` for a list that nobody needed.

    ``elsewhere``: references to another account or region, which the lists cannot have.
    """

    secrets: tuple[Stored, ...] | None = None
    parameters: tuple[Stored, ...] | None = None
    secrets_failure: AwsFailure | None = None
    parameters_failure: AwsFailure | None = None
    truncated: bool = False
    elsewhere: tuple[str, ...] = ()

    def missing(self, reference: str) -> bool | None:
        """Whether what a task definition refers to does not exist; None where that could not be seen."""
        if reference in self.elsewhere:
            return None
        return self._no_secret(reference) if is_secret(reference) else self._no_parameter(reference)

    def _no_secret(self, reference: str) -> bool | None:
        if self.secrets is None or self.secrets_failure is not None or self.truncated:
            return None
        arn = secret_arn(reference)
        return not any(arn in (s.arn, s.arn[:-_SUFFIX]) for s in self.secrets if s.deleted_at is None)

    def _no_parameter(self, reference: str) -> bool | None:
        if self.parameters is None or self.parameters_failure is not None:
            return None
        return not any(parameter_name(reference) in (p.name, p.name.lstrip("/")) for p in self.parameters)

    def meant(self, reference: str) -> Stored | None:
        """The one secret whose name a wrong ARN begins with; None where there is none, or more than one."""
        arn = secret_arn(reference)
        near = [s for s in self.secrets or () if s.deleted_at is None and arn.startswith(s.arn[:-_SUFFIX])]
        return near[0] if len(near) == 1 else None


def is_secret(reference: str) -> bool:
    """Whether a ``valueFrom`` names a secret of Secrets Manager; everything else is a parameter."""
    return _IN_MANAGER in reference


def secret_arn(reference: str) -> str:
    """A secret's ARN without the key, stage and version that may follow it."""
    return ":".join(reference.split(":")[:7])


def parameter_name(reference: str) -> str:
    """A parameter's name as ``valueFrom`` has it; an ARN does not tell ``/name`` from ``name``."""
    return reference.partition(":parameter/")[2] or reference


def is_elsewhere(reference: str, definition: str) -> bool:
    """Whether a reference is to another account or region than its task definition's own, by their ARNs.

    A name is looked for where the task runs; of a definition without a whole ARN nothing is known.
    """
    asked, home = reference.split(":"), definition.split(":")
    return len(asked) > _OWNER and len(home) > _OWNER and asked[3:_OWNER] != home[3:_OWNER]


def references(definitions: TaskDefinitionsFacts) -> Iterator[tuple[str, str, str]]:
    """(service, variable, where its value comes from) of every secret in use."""
    for service in definitions.definitions:
        one = definitions.of(service)
        yield from ((service, name, ref) for name, ref in (one.secret_refs if one else {}).items())


@probe(area="infrastructure", needs=("aws",), after=("aws-knows-us",), cost=6)
async def secrets_and_parameters(
    look: Look, definitions: TaskDefinitionsFacts, families: RevisionsFacts | None
) -> SecretsAndParametersFacts:
    """Secrets and parameters by name: secretsmanager:ListSecrets, ssm:DescribeParameters.

    Only if a task definition in use refers to one, or a revision before it did. What exists and when
    it was changed, never what is in it; nothing of another account or region.
    """
    used = (one for service in definitions.definitions if (one := definitions.of(service)))
    earlier = (one for family in (families.families.values() if families else ()) for one in family.earlier)
    referring = {(ref, one.arn) for one in (*used, *earlier) for ref in one.secret_refs.values()}
    elsewhere = {ref for ref, arn in referring if is_elsewhere(ref, arn)}
    wanted = {ref for ref, _ in referring} - elsewhere
    names = sorted({parameter_name(r) for r in wanted if not is_secret(r)})
    found: dict[str, Any] = {"elsewhere": tuple(sorted(elsewhere))}
    if any(is_secret(r) for r in wanted):
        found |= await _secrets(look.cloud(), {secret_arn(r) for r in wanted if is_secret(r)})
    if names:
        found |= await _parameters(look.cloud(), names)
    return SecretsAndParametersFacts(**found)


async def _secrets(aws: AwsDoor, wanted: Iterable[str]) -> dict[str, Any]:
    """Those that are wanted, or nearly: an account may hold thousands of others."""
    answer = await aws.pages("secretsmanager", "list_secrets", "SecretList", IncludePlannedDeletion=True)
    if answer.failure is not None:
        return {"secrets": (), "secrets_failure": answer.failure}
    arns = tuple(wanted)
    stored = (_stored(s) for s in answer.data["SecretList"])
    near = tuple(s for s in stored if any(arn.startswith(s.arn[:-_SUFFIX]) for arn in arns))
    return {"secrets": near, "truncated": answer.truncated}


def _stored(item: Mapping[str, Any]) -> Stored:
    return Stored(
        arn=str(item["ARN"]),
        name=str(item["Name"]),
        changed_at=item.get("LastChangedDate"),
        deleted_at=item.get("DeletedDate"),
    )


async def _parameters(aws: AwsDoor, names: list[str]) -> dict[str, Any]:
    """Those of the names that exist, each asked for with and without the slash that an ARN swallows."""
    spelled = [form for n in names for form in (n, *(() if n.startswith("/") else (f"/{n}",)))]
    found: list[Stored] = []
    for first in range(0, len(spelled), _MOST_NAMES):
        batch = spelled[first : first + _MOST_NAMES]
        by_name = [{"Key": "Name", "Option": "Equals", "Values": batch}]
        answer = await aws.pages("ssm", "describe_parameters", "Parameters", ParameterFilters=by_name)
        if answer.failure is not None:
            return {"parameters": (), "parameters_failure": answer.failure}
        found += (_parameter(p) for p in answer.data["Parameters"])
    return {"parameters": tuple(found)}


def _parameter(item: Mapping[str, Any]) -> Stored:
    return Stored(
        arn=str(item.get("ARN", "")), name=str(item["Name"]), changed_at=item.get("LastModifiedDate")
    )


def _missing(facts: SecretsAndParametersFacts, definitions: TaskDefinitionsFacts, *, secrets: bool) -> str:
    said = (
        f"{name} of the {service} service is to come from {reference}, which does not exist"
        for service, name, reference in references(definitions)
        if is_secret(reference) == secrets and facts.missing(reference)
    )
    return "; ".join(said)


def _unseen(
    facts: SecretsAndParametersFacts, definitions: TaskDefinitionsFacts, *, secrets: bool
) -> CannotTell | None:
    """What another account or region has is not listed here."""
    used = (ref for _, _, ref in references(definitions) if is_secret(ref) == secrets)
    there = dict.fromkeys(ref for ref in used if ref in facts.elsewhere)
    if not there:
        return None
    return CannotTell(reason=f"of another account or region, which is not listed here: {', '.join(there)}")


def _nothing_here(
    facts: SecretsAndParametersFacts, definitions: TaskDefinitionsFacts, *, secrets: bool
) -> CannotTell | NotApplicable:
    kind = "secret" if secrets else "parameter"
    none = NotApplicable(reason=f"no task definition in use refers to a {kind}")
    return _unseen(facts, definitions, secrets=secrets) or none


@check(hop="secrets/secrets-manager")
def secrets_exist(facts: SecretsAndParametersFacts, definitions: TaskDefinitionsFacts) -> Sentence:
    """Every secret that a task definition in use refers to exists and is not marked for deletion.

    Where it does not, tasks that run go on and the next one cannot start.
    """
    if facts.secrets is None:
        return _nothing_here(facts, definitions, secrets=True)
    if facts.secrets_failure is not None:
        return CannotTell(reason=f"secretsmanager:ListSecrets: {facts.secrets_failure.kind}")
    if facts.truncated:
        return CannotTell(reason="there are more secrets in the account than are listed")
    return _missing(facts, definitions, secrets=True) or _unseen(facts, definitions, secrets=True)


@check(hop="secrets/parameters")
def parameters_exist(facts: SecretsAndParametersFacts, definitions: TaskDefinitionsFacts) -> Sentence:
    """Every parameter that a task definition in use refers to exists."""
    if facts.parameters is None:
        return _nothing_here(facts, definitions, secrets=False)
    if facts.parameters_failure is not None:
        return CannotTell(reason=f"ssm:DescribeParameters: {facts.parameters_failure.kind}")
    return _missing(facts, definitions, secrets=False) or _unseen(facts, definitions, secrets=False)
