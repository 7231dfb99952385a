"""The one gap of moto's ElastiCache that matters here: ModifyReplicationGroup ignores security groups.

On AWS they move with the group and all its nodes (ElastiCache API reference, ModifyReplicationGroup,
SecurityGroupIds; DescribeCacheClusters, SecurityGroups). That is how a Redis ends up in a group that admits
the wrong services (INC-43).
"""

from collections.abc import Sequence

from moto.core.responses import ActionResult
from moto.elasticache.models import ElastiCacheBackend
from moto.elasticache.responses import ElastiCacheResponse

_moto_modifies = ElastiCacheResponse.modify_replication_group


def install() -> None:
    """Close the gap in this process; once or often."""
    ElastiCacheResponse.modify_replication_group = _modify  # type: ignore[assignment,method-assign]


def _modify(request: ElastiCacheResponse) -> ActionResult:
    answer = _moto_modifies(request)
    groups = request._get_param("SecurityGroupIds")  # noqa: SLF001 - what moto's own handlers use
    if groups:
        _move(request.elasticache_backend, request._get_param("ReplicationGroupId"), groups)  # noqa: SLF001
    return answer


def _move(backend: ElastiCacheBackend, name: str, groups: Sequence[str]) -> None:
    backend.replication_groups[name].security_group_ids = list(groups)
    for node in list(backend.cache_clusters.values()):
        if node.replication_group_id == name:
            node.security_group_ids = list(groups)
            shown = [{"security_group_id": group, "status": "active"} for group in groups]
            node.security_groups = shown
