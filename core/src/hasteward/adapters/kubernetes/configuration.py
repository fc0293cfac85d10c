"""Where the API server is and who we are: from a kubeconfig or from the pod we run in.

The official library reads the files and refreshes tokens. It hides one thing that we do not: when an exec
plugin fails it goes on without credentials, and the server answers as to a stranger.
"""

from __future__ import annotations

import importlib
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hasteward.adapters.kubernetes.answers import clip
from hasteward.domain.errors import DependencyError, InvalidInput

_SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


@dataclass(frozen=True, slots=True)
class Access:
    """How to reach the cluster. `configuration` is the official client's.

    `namespace` is the one to use when none is named, `source` says in words where all this came from.
    """

    configuration: Any
    namespace: str
    source: str


def load(kubeconfig: Path | None = None, context: str | None = None) -> Access:
    """Read the configuration: the given file, else the pod's service account, else kubectl's defaults.

    A named context is looked for in kubeconfigs only. Raises InvalidInput (``kubeconfig.*``) for files that
    cannot be used and DependencyError (``kubeconfig.exec_plugin``) when the credential plugin fails.
    """
    if kubeconfig is not None:
        if not kubeconfig.is_file():
            raise InvalidInput(f"kubeconfig {kubeconfig} does not exist", code="kubeconfig.missing")
        return _from_files(str(kubeconfig), context)
    if context is None and os.environ.get("KUBERNETES_SERVICE_HOST"):
        return _in_cluster()
    paths = os.environ.get("KUBECONFIG") or "~/.kube/config"
    if not any(Path(path).expanduser().is_file() for path in paths.split(os.pathsep) if path):
        raise InvalidInput(
            f"no Kubernetes cluster is configured: {paths} does not exist and this is not a pod",
            hint="give --kubeconfig or set KUBECONFIG",
            code="kubeconfig.missing",
        )
    return _from_files(paths, context)


def _library(name: str) -> Any:
    """A module of the official client: half a second to import, and untyped in parts."""
    return importlib.import_module(name)


def _in_cluster() -> Access:
    library = _library("kubernetes.config")
    configuration = _library("kubernetes.client").Configuration()
    try:
        library.load_incluster_config(client_configuration=configuration)
    except (library.ConfigException, OSError) as error:
        raise InvalidInput(
            f"the service account of this pod cannot be used: {clip(str(error))}",
            hint="mount it (automountServiceAccountToken) or give --kubeconfig",
            code="kubeconfig.service_account",
        ) from error
    try:
        namespace = (_SERVICE_ACCOUNT / "namespace").read_text().strip()
    except OSError:
        namespace = ""
    return Access(_tuned(configuration), namespace or "default", "the service account of this pod")


def _from_files(paths: str, context: str | None) -> Access:
    import yaml

    library = _library("kubernetes.config.kube_config")
    configuration = _library("kubernetes.client").Configuration()
    try:
        merger = library.KubeConfigMerger(paths)
        chosen = _chosen_context(merger.config, paths, context)
        loader = _loader(merger, chosen)
        loader.load_and_set(configuration)
    except (DependencyError, InvalidInput):
        raise
    except (library.ConfigException, OSError, yaml.YAMLError, ValueError, TypeError, AttributeError) as error:
        raise _broken(paths, error) from error
    except KeyError as error:
        raise _broken(paths, f"it has an entry without {error}") from error
    if not configuration.host or not hasattr(loader, "host"):
        raise _broken(paths, f"the cluster of context {chosen} names no server")
    namespace = loader.current_context["context"].get("namespace") or "default"
    return Access(_tuned(configuration), str(namespace), f"context {chosen} of {paths}")


def _broken(paths: str, error: Exception | str) -> InvalidInput:
    # The text of a YAML error quotes the file, which holds keys; its place is enough.
    if mark := getattr(error, "problem_mark", None):
        error = f"line {mark.line + 1} is not YAML"
    return InvalidInput(f"kubeconfig {paths} cannot be used: {clip(str(error))}", code="kubeconfig.broken")


def _chosen_context(merged: Any, paths: str, context: str | None) -> str:
    """The name of the context to use, proven to be there."""
    value = getattr(merged, "value", None)
    if not isinstance(value, dict):
        raise _broken(paths, "it is not a mapping")
    known = sorted(str(entry["name"]) for entry in value.get("contexts") or [] if "name" in entry)
    chosen = context or value.get("current-context")
    if not chosen:
        raise InvalidInput(
            f"kubeconfig {paths} has no current context",
            hint=f"give --context; there are: {', '.join(known) or 'none'}",
            code="kubeconfig.context",
        )
    if chosen not in known:
        raise InvalidInput(
            f"kubeconfig {paths} has no context {chosen}",
            hint=f"there are: {', '.join(known) or 'none'}",
            code="kubeconfig.context",
        )
    return str(chosen)


def _loader(merger: Any, context: str) -> Any:
    """The library's loader, with a failing exec plugin made an error, now and at every refresh."""
    base: Any = _library("kubernetes.config.kube_config").KubeConfigLoader

    class Loader(base):  # type: ignore[misc]  # untyped
        """Reads one context."""

        def _load_from_exec_plugin(self) -> Any:
            if "exec" not in self._user:
                return None
            with _root_logger_heard() as heard:
                loaded = super()._load_from_exec_plugin()
            if not loaded:
                raise _plugin_failed(str(self._user["exec"].safe_get("command")), heard)
            return loaded

        def load_and_set(self, client_configuration: Any) -> None:
            super().load_and_set(client_configuration)
            # Should a release rename the method above, this still stops us from going on as a stranger.
            credentials = vars(self).get("token") or vars(self).get("cert_file")
            if self._user and "exec" in self._user and not credentials:
                raise _plugin_failed(str(self._user["exec"].safe_get("command")), [])

    # OIDC servers rotate refresh tokens: one that is not written back logs the user out of kubectl, too.
    return Loader(
        config_dict=merger.config,
        active_context=context,
        config_persister=merger.save_changes,
        config_base_path=None,
    )


def _plugin_failed(command: str, heard: list[str]) -> DependencyError:
    why = clip(" ".join(heard)) or "it gave no credentials"
    return DependencyError(
        f"the credential plugin {Path(command).name} of the kubeconfig failed: {why}",
        hint="run it by hand, or log in again",
        code="kubeconfig.exec_plugin",
    )


@contextmanager
def _root_logger_heard() -> Iterator[list[str]]:
    """Collect what the library says to the root logger, and keep it from being printed."""
    heard: list[str] = []

    def listen(record: logging.LogRecord) -> bool:
        if record.module != "kube_config":
            return True
        heard.append(record.getMessage().removeprefix("exec: "))
        return False

    root = logging.getLogger()
    root.addFilter(listen)
    # Without a handler, logging.error() would set one up for the whole program.
    silence = logging.NullHandler()
    root.addHandler(silence)
    try:
        yield heard
    finally:
        root.removeHandler(silence)
        root.removeFilter(listen)


def _tuned(configuration: Any) -> Any:
    """Our own choices on top of what was loaded."""
    configuration.keep_alive = True
    if not configuration.verify_ssl:
        import urllib3

        # The kubeconfig asked for it; a warning per request helps nobody.
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
    return configuration
