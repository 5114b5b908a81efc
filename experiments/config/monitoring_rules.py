"""Rules about where daily quality is sent. Records in, findings out; packages are looked for, and not imported."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.util import find_spec

from experiments.config.messages import Finding
from experiments.config.serving import Monitoring

_URI_RULE = 'must be a database or a server, for example "sqlite:///mlflow.db": MLflow refuses plain files'


def _is_installed(package: str) -> bool:
    return find_spec(package) is not None


def check_monitoring(
    settings: Monitoring | None, is_installed: Callable[[str], bool] = _is_installed
) -> Iterator[Finding]:
    """Yield what is wrong with `[router.monitoring]`: a target whose package is missing, or that takes nothing.

    Args:
        settings: None if there is no such table.
        is_installed: Whether a package is there.
    """
    if settings is None:
        return
    uri, project = settings.mlflow_tracking_uri, settings.wandb_project
    for key, value, package in (("mlflow_tracking_uri", uri, "mlflow"), ("wandb_project", project, "wandb")):
        if value is not None and not is_installed(package):
            rule = f"needs the package {package}: pip install 'touchstone-router[{package}]'"
            yield Finding(("router", "monitoring", key), rule)
    if uri is not None and ("://" not in uri or uri.startswith("file:") or uri == "sqlite:///"):
        yield Finding(("router", "monitoring", "mlflow_tracking_uri"), _URI_RULE)
    if project is not None and not project.strip():
        yield Finding(("router", "monitoring", "wandb_project"), "must not be empty")
