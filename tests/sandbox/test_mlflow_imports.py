"""What MLflow's server puts off is there as soon as somebody asks for it."""

import json
import subprocess
import sys
from importlib.metadata import entry_points

SCRIPT = """
import importlib.metadata, json, sys
from hokusai_probe.sandbox.services import mlflow_imports

mlflow_imports.import_less()
mlflow_imports.import_less()
import pandas

named = pandas.DataFrame | None
waiting = "pandas.core" not in sys.modules
mlflow_imports.is_imported()
table = pandas.DataFrame({"score": [0.5, 1.5]})
from pandas.api.types import is_float_dtype

print(json.dumps({
    "waits_until_used": waiting,
    "named": named.__args__[0].__name__,
    "mean": table["score"].mean(),
    "floats": is_float_dtype(table["score"]),
    "real": sys.modules["pandas"].DataFrame is pandas.DataFrame,
    "offered": sorted(found.name for found in importlib.metadata.entry_points(group="console_scripts")),
}))
"""


def test_pandas_comes_when_it_is_used_and_plug_ins_are_all_found() -> None:
    """A class named in an annotation imports nothing; a table is pandas' own; nothing offered is lost."""
    ran = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)

    assert json.loads(ran.stdout) == {
        "waits_until_used": True,
        "named": "DataFrame",
        "mean": 1.0,
        "floats": True,
        "real": True,
        "offered": sorted(found.name for found in entry_points(group="console_scripts")),
    }
