"""What tells one sandbox from another: everything here follows from its seed and its network."""

import random
import string
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hokusai_probe.sandbox.names import IMAGES, SERVICES

REGION = "us-east-1"
MLFLOW_PREFIX = "/mlflow"

ACCESS_KEY_ID = "AKIAHOKUSAISANDBOX00"
SECRET_ACCESS_KEY = "".join(
    random.Random("secret access key").choices(string.ascii_letters + string.digits, k=40)  # noqa: S311 - fake
)
"""Forty characters that occur in no other text: who hides this secret in an output hides nothing else."""

PORTS = {"auth": 8000, "gateway": 8001, "mlflow": 5000}
"""The port that each service's program listens on, whatever the control plane says."""

SHORT = {"auth": "auth", "gateway": "api", "mlflow": "mlflow"}
"""What the platform calls its services in names of AWS things: the gateway is ``api`` there."""

DATABASE_PASSWORDS: Mapping[str, str] = {
    "mlflow": "hk_test_database_mlflow",
    "auth": "hk_test_database_auth",
}
"""The password of each role of the database. Fake, and the same in every sandbox: the server is a copy."""

DATABASE_PORT = 5432

_HOSTS = {"auth": "auth", "registry": "registry", "main": "api"}


@dataclass(frozen=True, slots=True)
class Identity:
    """The names of one sandbox."""

    seed: int
    suffix: str
    account: str
    public_zone: str
    private_zone: str
    image_tags: Mapping[tuple[str, str], str]  # (service, kind) -> tag

    @classmethod
    def of(cls, seed: int) -> "Identity":
        """The identity that a seed gives."""
        draw = random.Random(f"identity {seed}")  # noqa: S311 - reproducible names, no secret
        suffix = f"{draw.getrandbits(24):06x}"
        tags = {(service, kind): f"{draw.getrandbits(48):012x}" for service in SERVICES for kind in IMAGES}
        return cls(
            seed=seed,
            suffix=suffix,
            account=str(draw.randint(10**11, 10**12 - 1)),
            public_zone=f"hokusai-{suffix}.test",
            private_zone=f"hokusai-{suffix}.local",
            image_tags=tags,
        )

    def named(self, stem: str) -> str:
        """``hokusai-STEM-SUFFIX``."""
        return f"hokusai-{stem}-{self.suffix}"

    def image(self, service: str, kind: str) -> str:
        """The image URI of a service's image of this kind."""
        repository = f"{self.account}.dkr.ecr.{REGION}.amazonaws.com/hokusai-{SHORT[service]}"
        return f"{repository}:{self.image_tags[service, kind]}"

    def images(self) -> dict[str, str]:
        """What kind of image each URI is."""
        return {self.image(service, kind): kind for service, kind in self.image_tags}

    def services(self) -> dict[str, str]:
        """What each ECS service name stands for: auth, gateway or mlflow."""
        return {self.named(SHORT[service]): service for service in SERVICES}

    def hosts(self) -> dict[str, str]:
        """The public host name of each load balancer."""
        return {key: f"{stem}.{self.public_zone}" for key, stem in _HOSTS.items()}

    def database(self) -> str:
        """The RDS instance's identifier."""
        return self.named("mlflow")

    def database_host(self) -> str:
        """The name of the database's endpoint, as moto makes it of the identifier."""
        return f"{self.database()}.aaaaaaaaaa.{REGION}.rds.amazonaws.com"

    def trail(self) -> str:
        """The name of the trail that records management events."""
        return f"hokusai-{self.suffix}"

    def bucket(self) -> str:
        """The artifact bucket's name."""
        return self.named("mlflow-artifacts")


@dataclass(frozen=True, slots=True)
class Places:
    """Where things of this sandbox are, which no seed can tell."""

    network: str  # "127.A.B"
    mlflow_state: Path
    storage: str  # local or s3
    database: str = "sqlite"  # or postgres
    mlflow_is_open: bool = False  # whether the load balancer lets everybody through to MLflow itself
    forgotten: frozenset[str] = frozenset()  # behaviours that consist of variables MLflow is not given


def mlflow_secrets(places: Places) -> dict[str, str]:
    """The secrets of MLflow's task definition, resolved: the database's password, if it has a database."""
    return {"DB_PASSWORD": DATABASE_PASSWORDS["mlflow"]} if places.database == "postgres" else {}


def mlflow_environment(identity: Identity, places: Places) -> dict[str, str]:
    """The variables of MLflow's task definition.

    Its Host check (MLFLOW_SERVER_ALLOWED_HOSTS, MLflow 3.5 and later) admits the private name, the task
    addresses (health checks ask by address) and the public hosts.

    Two behaviours are variables that nobody set, so that MLflow falls back on the disk of its task:
    ``file-store`` lacks BACKEND_STORE_URI (L-08), ``artifacts-on-task-disk`` ARTIFACTS_DESTINATION, although
    the artifact root is in S3, as the platform deployed it (contract 4.2).
    """
    zone, local = identity.private_zone, (places.mlflow_state / "artifacts").as_uri()
    allowed = (f"mlflow.{zone}", f"mlflow.{zone}:*", f"{places.network}.*", f"*.{identity.public_zone}*")
    destination = local if places.storage == "local" else f"s3://{identity.bucket()}/artifacts"
    stores = {
        "sqlite": f"sqlite:///{places.mlflow_state}/mlflow.db",
        "postgres": f"postgresql://mlflow@{identity.database_host()}:{DATABASE_PORT}/mlflow_db",
    }
    on_task_disk = "artifacts-on-task-disk" in places.forgotten
    root = f"s3://{identity.bucket()}/artifacts" if on_task_disk else "mlflow-artifacts:/"
    variables = {
        "BACKEND_STORE_URI": "" if "file-store" in places.forgotten else stores[places.database],
        "DEFAULT_ARTIFACT_ROOT": root,
        "ARTIFACTS_DESTINATION": "" if on_task_disk else destination,
        "MLFLOW_SERVE_ARTIFACTS": "true",
        "MLFLOW_STATIC_PREFIX": MLFLOW_PREFIX,
        "MLFLOW_SERVER_ALLOWED_HOSTS": ",".join((*allowed, "localhost", "127.0.0.1")),
    }
    return {name: value for name, value in variables.items() if value}
