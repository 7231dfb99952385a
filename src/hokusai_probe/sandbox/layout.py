"""The healthy platform, created in the control plane.

Three load balancers (auth, registry, main) with a redirect on 80 and their rules on 443, three ECS services
behind target groups, Cloud Map, a database, a cache, secrets and parameters: section 7 of the platform's
contract, repaired. `Layout` creates it in an order in which the slowest service (MLflow) can start first.
What the names in braces of scenario files stand for is gathered on the way.

Load balancers, services, private names and secrets are created through boto3, as a person would. The network,
certificates, stores and what no service needs (`layout_network`, `served_acm`, `layout_stores`,
`layout_furnishing`) go into moto's backends directly: that halves the time of the whole.
"""

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from hokusai_probe.sandbox import image_registry, layout_network, layout_stores, roles, served_acm
from hokusai_probe.sandbox.certificates import Authority
from hokusai_probe.sandbox.control_plane import SERVICE_TAG
from hokusai_probe.sandbox.identity import (
    ACCESS_KEY_ID,
    DATABASE_PASSWORDS,
    MLFLOW_PREFIX,
    PORTS,
    REGION,
    SECRET_ACCESS_KEY,
    SHORT,
    Identity,
    Places,
    mlflow_environment,
    mlflow_secrets,
)
from hokusai_probe.sandbox.names import IMAGES, LOAD_BALANCERS, RULES, SERVICES
from hokusai_probe.sandbox.site import webhook_secret
from hokusai_probe.sandbox.state import Endpoint

if TYPE_CHECKING:
    from mypy_boto3_elbv2.type_defs import ActionTypeDef, RuleConditionTypeDef

_SIZES = {"auth": ("256", "512"), "gateway": ("512", "1024"), "mlflow": ("1024", "2048")}
_HEALTH_PATHS = {"auth": "/health", "gateway": "/health", "mlflow": f"{MLFLOW_PREFIX}/health"}
_HEALTH_CHECKS: Mapping[str, Mapping[str, Any]] = {
    "gateway": {
        "healthCheck": {
            "command": ["CMD-SHELL", f"curl -f http://localhost:{PORTS['gateway']}/health || exit 1"],
            "interval": 30,
            "timeout": 5,
            "retries": 3,
            "startPeriod": 60,
        }
    }
}
"""Checks inside the container: contract section 7.3. MLflow's went with mTLS; auth's is not known."""

_DEFAULT_SERVICE = {"auth": "auth", "registry": "gateway"}

_RULES: Mapping[str, Mapping[str, tuple[int, tuple[str, ...], str]]] = {
    "auth": {"health": (90, ("/health", "/"), "auth"), "api": (100, ("/api/v1/*",), "auth")},
    "registry": {
        "mlflow": (100, ("/mlflow", "/mlflow/*"), "mlflow"),
        "api_mlflow": (110, ("/api/mlflow/*",), "gateway"),
        "api": (120, ("/api/*",), "gateway"),
    },
    "main": {"api": (100, ("/api/*", "/health", "/ready", "/live", "/version"), "gateway")},
}
"""Rules on 443: priority, paths, service. Those to MLflow itself admit 10.0.0.0/8 only."""


class Layout:
    """Creates the platform. Call `start_mlflow`, `edge`, `rest`, `furnish` in this order, not at once.

    Attributes:
        names: The fixed names in braces with their values, growing as things are created.

    """

    def __init__(self, endpoint: str, identity: Identity, places: Places, authority: Authority) -> None:
        self._endpoint = endpoint
        self._identity = identity
        self._places = places
        self._authority = authority
        self._clients: dict[str, Any] = {}
        self._roles = roles.Roles("", "")
        self._public_subnets: tuple[str, ...] = ()
        self._database_host = self._cache_host = self._webhook = ""
        self.names: dict[str, str] = {"account": identity.account, "region": REGION}

    def client(self, service: str) -> Any:
        """A boto3 client for the sandbox's control plane; made once per service."""
        if service not in self._clients:
            self._clients[service] = client(self._endpoint, service)
        return self._clients[service]

    def start_mlflow(self) -> None:
        """Network, cluster, private names, and the MLflow service, whose start takes longest."""
        self._network()
        self._discovery()
        cluster = self.client("ecs").create_cluster(
            clusterName=self._identity.named("cluster").replace("-cluster", ""),
            settings=[{"name": "containerInsights", "value": "enabled"}],
        )["cluster"]
        self.names["cluster"] = cluster["clusterName"]
        image_registry.create(self._identity)
        self._roles = roles.create(self._identity)
        self.names |= self._roles.names
        self._target_groups()
        self._bucket()
        self._database_secret()
        self._service("mlflow", mlflow_environment(self._identity, self._places), self._mlflow_secrets())

    def edge(self) -> None:
        """Load balancers, listeners, rules, certificates and public names."""
        for key in LOAD_BALANCERS:
            self._load_balancer(key)
        self._public_zone()

    def rest(self, auth_endpoint: Endpoint, webhook_url: str) -> None:
        """Stores, secrets, and the auth and gateway services, which need to know their neighbours."""
        self._stores()
        self._secrets_and_parameters()
        self._service("auth", self._auth_environment(), [])
        environment = self._gateway_environment(auth_endpoint, webhook_url)
        self._service("gateway", environment, self._gateway_secrets())

    def furnish(self) -> None:
        """What no service needs to start; call it while they do."""
        from hokusai_probe.sandbox import layout_furnishing  # half a dozen of moto's services

        layout_furnishing.furnish(self._identity, self.names)

    # Network

    def _network(self) -> None:
        laid = layout_network.lay(self._identity)
        self.names |= laid.names
        self._public_subnets = laid.public_subnets

    def _discovery(self) -> None:
        discovery = self.client("servicediscovery")
        operation = discovery.create_private_dns_namespace(
            Name=self._identity.private_zone, Vpc=self.names["vpc"]
        )["OperationId"]
        namespace = discovery.get_operation(OperationId=operation)["Operation"]["Targets"]["NAMESPACE"]
        self.names |= {"namespace": namespace, "zone": self._identity.private_zone}
        records = {"RoutingPolicy": "MULTIVALUE", "DnsRecords": [{"Type": "A", "TTL": 10}]}
        for service in SERVICES:
            created = discovery.create_service(
                Name=SHORT[service], NamespaceId=namespace, DnsConfig=records,
                HealthCheckCustomConfig={"FailureThreshold": 1},
            )  # fmt: skip
            self.names[f"discovery.{service}"] = created["Service"]["Id"]

    def _tags(self, name: str) -> list[dict[str, str]]:
        return layout_network.tag_list(self._identity, name)

    # Edge

    def _target_groups(self) -> None:
        stems = {"auth": "auth-tg", "gateway": "reg-api", "mlflow": "reg-mlflow"}
        for service in SERVICES:
            group = self.client("elbv2").create_target_group(
                Name=self._identity.named(stems[service]),
                Protocol="HTTP",
                Port=PORTS[service],
                VpcId=self.names["vpc"],
                TargetType="ip",
                HealthCheckProtocol="HTTP",
                HealthCheckPath=_HEALTH_PATHS[service],
                HealthCheckIntervalSeconds=30,
                HealthCheckTimeoutSeconds=10,
                HealthyThresholdCount=2,
                UnhealthyThresholdCount=3,
                Matcher={"HttpCode": "200"},
                Tags=[{"Key": SERVICE_TAG, "Value": service}, *self._tags(stems[service])],
            )["TargetGroups"][0]
            self.names[f"target_group.{service}"] = group["TargetGroupArn"]

    def _load_balancer(self, key: str) -> None:
        elbv2 = self.client("elbv2")
        made = elbv2.create_load_balancer(
            Name=self._identity.named(key),
            Subnets=list(self._public_subnets),
            SecurityGroups=[self.names["security_group.load-balancer"]],
            Scheme="internet-facing",
            Tags=self._tags(key),
        )["LoadBalancers"][0]
        arn, host = made["LoadBalancerArn"], self._identity.hosts()[key]
        elbv2.modify_load_balancer_attributes(
            LoadBalancerArn=arn, Attributes=[{"Key": "idle_timeout.timeout_seconds", "Value": "60"}]
        )
        self.names |= {
            f"load_balancer.{key}": arn,
            f"dns_name.{key}": made["DNSName"],
            f"host.{key}": host,
        }
        self._certificates(key, host)
        self._listeners(key)

    def _certificates(self, key: str, host: str) -> None:
        """The host's certificate, and those that a scenario can put in its place with ModifyListener."""
        issued = {
            "": self._authority.issue(host),
            ".expired": self._authority.issue_expired(host),
            ".untrusted": self._authority.issue_untrusted(host),
        }
        tags = layout_network.tags(self._identity, f"{key}-certificate")
        for ending, certificate in issued.items():
            arn = served_acm.lay_down(self._identity.account, certificate, tags)
            self.names[f"certificate.{key}{ending}"] = arn

    def _listeners(self, key: str) -> None:
        elbv2, arn = self.client("elbv2"), self.names[f"load_balancer.{key}"]
        redirect = {"Protocol": "HTTPS", "Port": "443", "StatusCode": "HTTP_301"}
        http = elbv2.create_listener(
            LoadBalancerArn=arn, Protocol="HTTP", Port=80,
            DefaultActions=[{"Type": "redirect", "RedirectConfig": redirect}],
        )  # fmt: skip
        https = elbv2.create_listener(
            LoadBalancerArn=arn, Protocol="HTTPS", Port=443, SslPolicy="ELBSecurityPolicy-TLS13-1-2-2021-06",
            Certificates=[{"CertificateArn": self.names[f"certificate.{key}"]}],
            DefaultActions=[self._default_action(key)],
        )  # fmt: skip
        self.names[f"listener.{key}.http"] = http["Listeners"][0]["ListenerArn"]
        self.names[f"listener.{key}.https"] = https["Listeners"][0]["ListenerArn"]
        for name in RULES[key]:
            self._rule(key, name)

    def _default_action(self, key: str) -> "ActionTypeDef":
        if key in _DEFAULT_SERVICE:
            return self._forward(_DEFAULT_SERVICE[key])
        fixed: Any = {"StatusCode": "404", "ContentType": "text/plain", "MessageBody": "Not Found"}
        return {"Type": "fixed-response", "FixedResponseConfig": fixed}

    def _forward(self, service: str) -> "ActionTypeDef":
        return {"Type": "forward", "TargetGroupArn": self.names[f"target_group.{service}"]}

    def _rule(self, key: str, name: str) -> None:
        priority, paths, service = _RULES[key][name]
        conditions: list[RuleConditionTypeDef] = [
            {"Field": "path-pattern", "PathPatternConfig": {"Values": list(paths)}}
        ]
        if service == "mlflow" and not self._places.mlflow_is_open:
            conditions.append({"Field": "source-ip", "SourceIpConfig": {"Values": ["10.0.0.0/8"]}})
        made = self.client("elbv2").create_rule(
            ListenerArn=self.names[f"listener.{key}.https"],
            Conditions=conditions,
            Priority=priority,
            Actions=[self._forward(service)],
        )
        self.names[f"rule.{key}.{name}"] = made["Rules"][0]["RuleArn"]

    def _public_zone(self) -> None:
        route53 = self.client("route53")
        zone = route53.create_hosted_zone(
            Name=self._identity.public_zone, CallerReference=self._identity.suffix
        )
        identity = zone["HostedZone"]["Id"].split("/")[-1]
        changes = [
            {"Action": "CREATE", "ResourceRecordSet": self._alias(host, self.names[f"dns_name.{key}"])}
            for key, host in self._identity.hosts().items()
        ]
        route53.change_resource_record_sets(HostedZoneId=identity, ChangeBatch={"Changes": changes})
        self.names["hosted_zone"] = identity

    def _alias(self, host: str, dns_name: str) -> dict[str, object]:
        target = {"HostedZoneId": "Z35SXDOTRQ7X7K", "DNSName": dns_name, "EvaluateTargetHealth": False}
        return {"Name": host, "Type": "A", "AliasTarget": target}

    # Stores

    def _bucket(self) -> None:
        if self._places.storage != "s3":
            return
        bucket = self._identity.bucket()
        layout_stores.lay_bucket(self._identity, bucket, "mlflow-artifacts", versioned=True)
        self.names["bucket.artifacts"] = bucket

    def _stores(self) -> None:
        self.names |= {"database": self._identity.named("mlflow"), "cache": self._identity.named("redis")}
        password = DATABASE_PASSWORDS["mlflow"]
        self._database_host = layout_stores.lay_database(self._identity, self.names, password)
        self._cache_host = layout_stores.lay_cache(self._identity, self.names)

    def database_host(self) -> str:
        """The host name of the database's endpoint."""
        return self._database_host

    def cache_host(self) -> str:
        """The host name of the cache's primary endpoint."""
        return self._cache_host

    def _database_secret(self) -> None:
        """The database's password, which MLflow may need before anything else."""
        text = json.dumps({"database_password": DATABASE_PASSWORDS["mlflow"]})
        name = f"hokusai/app-secrets/{self._identity.suffix}"
        made = self.client("secretsmanager").create_secret(Name=name, SecretString=text)
        self.names["secret.database"] = made["ARN"]

    def _webhook_secret(self) -> None:
        """What the gateway signs webhooks with; the website has a copy. No scenario names it."""
        text = json.dumps({"webhook_secret": webhook_secret(self._identity.seed)})
        name = f"hokusai/webhook/{self._identity.suffix}"
        self._webhook = str(self.client("secretsmanager").create_secret(Name=name, SecretString=text)["ARN"])

    def _secrets_and_parameters(self) -> None:
        suffix = self._identity.suffix
        contents = {
            "redis": (f"hokusai/redis/{suffix}/auth-token", '{"auth_token": "sandbox"}'),
            "auth": (f"hokusai/auth-service/{suffix}", '{"secret_key": "sandbox"}'),
            "huggingface": (f"hokusai/{suffix}/huggingface/api-key", '{"api_key": "sandbox"}'),
        }
        self._webhook_secret()
        for key, (name, text) in contents.items():
            made = self.client("secretsmanager").create_secret(Name=name, SecretString=text)
            self.names[f"secret.{key}"] = made["ARN"]
        values = {
            "redis_endpoint": (f"/hokusai/{suffix}/redis/endpoint", self.cache_host()),
            "redis_port": (f"/hokusai/{suffix}/redis/port", "6379"),
            "database_url": (f"/hokusai/{suffix}/database/url", f"postgresql://{self.database_host()}:5432/mlflow_db"),
        }  # fmt: skip
        for key, (name, value) in values.items():
            layout_stores.put_parameter(self._identity, name, value)
            self.names[f"parameter.{key}"] = name

    # Services

    def _auth_environment(self) -> dict[str, str]:
        return {"ENVIRONMENT": "development", "DB_HOST": self.database_host(), "DB_PORT": "5432",
                "DB_NAME": "auth_db", "DB_USER": "auth"}  # fmt: skip

    def _gateway_environment(self, auth: Endpoint, webhook_url: str) -> dict[str, str]:
        cache = self.cache_host()
        return {
            "API_HOST": "0.0.0.0",  # noqa: S104 - what the platform's revision says; nothing binds it
            "API_PORT": str(PORTS["gateway"]),
            "ENVIRONMENT": "development",
            "MLFLOW_SERVER_URL": f"http://mlflow.{self._identity.private_zone}:{PORTS['mlflow']}{MLFLOW_PREFIX}",
            "MLFLOW_SERVE_ARTIFACTS": "true",
            "HOKUSAI_AUTH_SERVICE_URL": f"https://{self.names['host.auth']}:{auth.port}",
            "AUTH_SERVICE_ID": "platform",
            "REDIS_URL": f"redis://{cache}:6379/0",
            "REDIS_HOST": cache,
            "REDIS_PORT": "6379",
            "DB_HOST": self.database_host(),
            "DB_PORT": "5432",
            "DB_NAME": "mlflow_db",
            "DB_USER": "mlflow",
            "WEBHOOK_URL": webhook_url,
            "HOKUSAI_CONTRIBUTIONS_BUCKET": self._identity.named("contributions"),
        }

    def _mlflow_secrets(self) -> list[dict[str, str]]:
        values = f"{self.names['secret.database']}:database_password::"
        return [{"name": name, "valueFrom": values} for name in mlflow_secrets(self._places)]

    def _gateway_secrets(self) -> list[dict[str, str]]:
        database, redis = self.names["secret.database"], self.names["secret.redis"]
        return [
            {"name": "DB_PASSWORD", "valueFrom": f"{database}:database_password::"},
            {"name": "REDIS_AUTH_TOKEN", "valueFrom": f"{redis}:auth_token::"},
            {"name": "HUGGINGFACE_API_KEY", "valueFrom": f"{self.names['secret.huggingface']}:api_key::"},
            {"name": "WEBHOOK_SECRET", "valueFrom": f"{self._webhook}:webhook_secret::"},
        ]

    def _service(
        self, service: str, environment: Mapping[str, str], secrets: Sequence[Mapping[str, str]]
    ) -> None:
        self._task_definition(service, environment, secrets)
        ecs, port = self.client("ecs"), PORTS[service]
        registry = f"arn:aws:servicediscovery:{REGION}:{self._identity.account}:service"
        network = {
            "subnets": [self.names["subnet.a"], self.names["subnet.b"]],
            "securityGroups": [self.names[f"security_group.{service}"]],
            "assignPublicIp": "DISABLED",
        }
        name = self._identity.named(SHORT[service])
        target = {"targetGroupArn": self.names[f"target_group.{service}"], "containerPort": port,
                  "containerName": self.names[f"container.{service}"]}  # fmt: skip
        self.names[f"service.{service}"] = name
        ecs.create_service(
            cluster=self.names["cluster"],
            serviceName=name,
            taskDefinition=self.names[f"family.{service}"],
            desiredCount=1,
            launchType="FARGATE",
            loadBalancers=[target],
            serviceRegistries=[{"registryArn": f"{registry}/{self.names[f'discovery.{service}']}"}],
            networkConfiguration={"awsvpcConfiguration": network},
        )
        self._deployment_settings(name)

    def _deployment_settings(self, service: str) -> None:
        """Moto keeps these on UpdateService only."""
        self.client("ecs").update_service(
            cluster=self.names["cluster"],
            service=service,
            deploymentConfiguration={
                "minimumHealthyPercent": 100,
                "maximumPercent": 200,
                "deploymentCircuitBreaker": {"enable": True, "rollback": True},
            },
            healthCheckGracePeriodSeconds=120,
        )

    def _task_definition(
        self, service: str, environment: Mapping[str, str], secrets: Sequence[Mapping[str, str]]
    ) -> None:
        short, (cpu, memory) = SHORT[service], _SIZES[service]
        group = f"/ecs/{self._identity.named(short)}"
        self.client("logs").create_log_group(logGroupName=group)
        container = "auth" if service == "auth" else f"hokusai-{short}"
        family = self._identity.named(f"{short}-task")
        options = {"awslogs-group": group, "awslogs-region": REGION, "awslogs-stream-prefix": "ecs"}
        self.client("ecs").register_task_definition(
            family=family,
            requiresCompatibilities=["FARGATE"],
            networkMode="awsvpc",
            cpu=cpu,
            memory=memory,
            executionRoleArn=self._roles.execution,
            taskRoleArn=self._roles.task,
            containerDefinitions=[
                {
                    "name": container,
                    "image": self._identity.image(service, "good"),
                    "cpu": int(cpu),
                    "memory": int(memory),
                    "essential": True,
                    "portMappings": [{"containerPort": PORTS[service], "protocol": "tcp"}],
                    "environment": [{"name": k, "value": v} for k, v in environment.items()],
                    "secrets": list(secrets),
                    "logConfiguration": {"logDriver": "awslogs", "options": options},
                    **_HEALTH_CHECKS.get(service, {}),
                }
            ],
        )
        self.names |= {f"family.{service}": family, f"container.{service}": container}
        self.names[f"log_group.{service}"] = group
        for kind in IMAGES:
            self.names[f"image.{service}.{kind}"] = self._identity.image(service, kind)


@lru_cache(maxsize=1)
def _session() -> Any:
    """One session for all clients: each new one searches botocore's hundreds of service directories again."""
    import boto3

    return boto3.session.Session(
        aws_access_key_id=ACCESS_KEY_ID, aws_secret_access_key=SECRET_ACCESS_KEY, region_name=REGION
    )


def client(endpoint: str, service: str) -> Any:
    """A boto3 client for a control plane at this URL, untouched by the person's own AWS settings."""
    from botocore.config import Config

    config = Config(retries={"total_max_attempts": 1}, inject_host_prefix=False, proxies={})
    return _session().client(service, endpoint_url=endpoint, config=config)
