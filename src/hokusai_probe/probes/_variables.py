"""The variables by which MLflow is told of its stores, each in the platform's and in MLflow's own spelling.

MLflow: "Command-Line Interface", ``mlflow server``: each option may come from a variable.
"""

import re

BACKEND = ("BACKEND_STORE_URI", "MLFLOW_BACKEND_STORE_URI")
DESTINATION = ("ARTIFACTS_DESTINATION", "MLFLOW_ARTIFACTS_DESTINATION")
ROOT = ("DEFAULT_ARTIFACT_ROOT", "MLFLOW_DEFAULT_ARTIFACT_ROOT")
STORES = (*BACKEND, *DESTINATION, *ROOT)

PARTS_OF_AN_ADDRESS = re.compile(
    r"(?:MLFLOW_|BACKEND_)?(?:DB|DATABASE|PG|POSTGRES(?:QL)?|MYSQL|RDS|SQL\w*)(?:_?[A-Z]\w*)?|.*STORE_UR[IL]"
)
"""Variables of which an image's own start script may make the address of a database."""
