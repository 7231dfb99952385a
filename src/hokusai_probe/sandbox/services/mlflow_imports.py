"""What MLflow's server imports, and what of it can wait: a fifth of its start, which is nearly all imports.

Nothing here changes an answer: what is put off is done when somebody asks for it.
"""

import functools
import importlib.metadata
import importlib.util
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

_LEFT_OUT = ("scipy", "pygments")
_NAMED = frozenset({"DataFrame", "Series"})


class _Pandas(ModuleType):
    """Stands in for pandas until something of it is used.

    MLflow's modules name its classes in annotations while they are imported; there, any class will do.
    """

    def __init__(self) -> None:
        super().__init__("pandas")
        self.__spec__ = importlib.util.find_spec("pandas")
        self.__file__ = self.__spec__.origin if self.__spec__ else None
        self.is_named_only = True

    def __getattr__(self, name: str) -> Any:
        if self.is_named_only and name in _NAMED:
            return type(name, (), {})
        if name.startswith("__") and name != "__path__":  # whoever walks over all modules asks for these
            raise AttributeError(name)
        return getattr(self._pandas(), name)

    def _pandas(self) -> ModuleType:
        if sys.modules.get("pandas") is self:
            del sys.modules["pandas"]
        return importlib.import_module("pandas")


def import_less() -> None:
    """Have what MLflow's server does without imported and read later, or not at all. Once for each process.

    pandas comes with MLflow, and its server never has a table in hand. Where MLflow's client has scipy and
    pygments too, pandas and Mako would import them; the server's own requirements lack both. A router
    compiles for each of MLflow's thousand routes how to make its URL, which nobody asks for. And what
    packages offer as plug-ins is read once, not again for each of MLflow's ten kinds.
    """
    if "pandas" in sys.modules:
        return
    sys.modules["pandas"] = _Pandas()
    for name in _LEFT_OUT:
        sys.modules.setdefault(name, None)  # type: ignore[arg-type]  # documented: the import fails
    importlib.metadata.entry_points = _read_once(importlib.metadata.entry_points)
    _compile_routes_later()


def is_imported() -> None:
    """Say that MLflow's modules are there: from now on, who asks for a class of pandas gets that class."""
    stand_in = sys.modules.get("pandas")
    if isinstance(stand_in, _Pandas):
        stand_in.is_named_only = False


def _read_once(entry_points: Callable[..., Any]) -> Callable[..., Any]:
    """Another `importlib.metadata.entry_points`, for a process in which nothing is installed any more."""
    found = functools.cache(entry_points)
    return lambda **wanted: found().select(**wanted)


def _compile_routes_later() -> None:
    from werkzeug.routing import Rule

    compiled = Rule._compile_builder  # noqa: SLF001 - werkzeug has no setting for it

    def compile_later(rule: Rule, append_unknown: bool = True) -> Any:  # noqa: FBT001, FBT002 - werkzeug's
        @functools.cache
        def builder() -> Any:
            return compiled(rule, append_unknown)

        return lambda this, /, **values: builder()(this, **values)

    Rule._compile_builder = compile_later  # type: ignore[assignment, method-assign]  # noqa: SLF001
