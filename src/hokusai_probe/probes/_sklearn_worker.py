"""Trains a small real model, and later loads its downloaded copy. Runs in a process of its own.

Talks in JSON lines: writes ``{"predictions": [...]}`` when ``DIR/model`` is saved, waits for any line,
then loads ``DIR/fetched`` and writes its predictions on the same rows. One process for both, because
importing MLflow and scikit-learn takes seconds.
"""

import json
import os
import sys
import warnings
from pathlib import Path


def main(directory: Path) -> None:
    """Train and save; wait for a line; load the copy and predict again."""
    warnings.simplefilter("ignore")
    os.nice(10)  # training must not take the processor from the platform, where both share one machine
    import mlflow.sklearn
    from sklearn.datasets import load_iris
    from sklearn.ensemble import RandomForestClassifier

    rows, labels = load_iris(return_X_y=True)
    model = RandomForestClassifier(n_estimators=5, random_state=0).fit(rows, labels)
    # skops, MLflow's default, does not trust the trees of a forest; requirements are given because
    # inferring them takes seconds
    mlflow.sklearn.save_model(
        model,
        str(directory / "model"),
        serialization_format="cloudpickle",
        pip_requirements=["scikit-learn", "cloudpickle"],
    )
    _say(model.predict_proba(rows[::10]))
    if sys.stdin.readline():
        _say(mlflow.sklearn.load_model(str(directory / "fetched")).predict_proba(rows[::10]))


def _say(predictions: object) -> None:
    rows = predictions.tolist()  # type: ignore[attr-defined]  # a NumPy array
    print(json.dumps({"predictions": rows}), flush=True)  # noqa: T201  # the protocol


if __name__ == "__main__":
    main(Path(sys.argv[1]))
