"""A provider for OpenFeature's SDK: an app asks in its own process which variant a unit has.

    from openfeature import api
    from openfeature.evaluation_context import EvaluationContext
    from experiments.interop.openfeature import TouchstoneProvider

    api.set_provider(TouchstoneProvider.of("config.toml"))
    treated = api.get_client().get_boolean_value("support", False, EvaluationContext(targeting_key="user-17"))

It reads the routes from the store, as the proxies do. Where an app cannot reach the store, or is not in Python, the
admin port answers the same questions by OFREP (`router.admin.ofrep`).
"""
# ruff: noqa: ARG002, FBT001  # the signatures are the SDK's

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

try:
    from openfeature.evaluation_context import EvaluationContext
    from openfeature.event import ProviderEvent, ProviderEventDetails
    from openfeature.exception import ErrorCode, OpenFeatureError, ProviderNotReadyError
    from openfeature.flag_evaluation import FlagResolutionDetails
    from openfeature.provider import AbstractProvider, Metadata
except ModuleNotFoundError as error:
    _RULE = f"OpenFeature needs the module {error.name}: pip install 'touchstone-router[openfeature]'"
    raise ModuleNotFoundError(_RULE, name=error.name) from error

from experiments.config import load
from experiments.interop.evaluation import FORMS, FlagError, form_of
from experiments.interop.flag_source import POLL_S, FlagSource
from experiments.store import open_store

_BY_TYPE: Mapping[type, tuple[str, ...]] = {bool: ("treated",), str: ("variant", "backend"), dict: ("details",)}
"""Type that is asked for -> the forms that have it; the first is what a bare key means."""


class TouchstoneProvider(AbstractProvider):
    """Resolves `[experiments.NAME]` for the unit that is the targeting key.

    Args:
        source: Of the flags; a thread of this provider keeps it current.
        poll_s: How often the store is read, in seconds.
        close: Called when the provider is shut down.
    """

    def __init__(self, source: FlagSource, poll_s: float = POLL_S, close: Callable[[], None] = lambda: None) -> None:
        super().__init__()
        self._source = source
        self._poll_s = poll_s
        self._close = close
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="touchstone-flags", daemon=True)
        self._stale = False

    @classmethod
    def of(cls, config: str | Path, poll_s: float = POLL_S) -> Self:
        """Return a provider that answers from a configuration and its store.

        Args:
            config: The file; an experiment that is added to it later is known after a restart of the app.
            poll_s: How often the store is read, in seconds.

        Raises:
            ConfigError: The configuration has errors.
        """
        loaded = load(Path(config))
        store = open_store(loaded.router.database)
        return cls(FlagSource(loaded.experiments, store.routes, poll_s), poll_s, store.close)

    # --- the SDK's side -----------------------------------------------------------------------------------------------

    def get_metadata(self) -> Metadata:
        """Return the provider's name."""
        return Metadata(name="Touchstone")

    def initialize(self, evaluation_context: EvaluationContext) -> None:
        """Read once, and go on in a thread.

        Raises:
            ProviderNotReadyError: The store cannot be read; the thread goes on trying.
        """
        try:
            self._source.refresh()
        except Exception as error:
            raise ProviderNotReadyError(_away(error)) from error
        finally:
            self._thread.start()

    def shutdown(self) -> None:
        """Stop the thread, and close the store."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        self._close()

    def resolve_boolean_details(
        self, flag_key: str, default_value: bool, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[bool]:
        """Return whether the treatment answers this unit."""
        return self._resolve(bool, flag_key, evaluation_context)

    def resolve_string_details(
        self, flag_key: str, default_value: str, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[str]:
        """Return the variant; the backend for a key that ends in `:backend`."""
        return self._resolve(str, flag_key, evaluation_context)

    def resolve_object_details(
        self,
        flag_key: str,
        default_value: Sequence[Any] | Mapping[str, Any],
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[Sequence[Any] | Mapping[str, Any]]:
        """Return variant, backend, phase, stage, epoch and propensity."""
        return self._resolve(dict, flag_key, evaluation_context)

    def resolve_integer_details(
        self, flag_key: str, default_value: int, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[int]:
        """Refuse: no flag is a whole number."""
        return self._resolve(int, flag_key, evaluation_context)

    def resolve_float_details(
        self, flag_key: str, default_value: float, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[float]:
        """Refuse: no flag is a number."""
        return self._resolve(float, flag_key, evaluation_context)

    def _resolve(self, kind: type, key: str, context: EvaluationContext | None) -> FlagResolutionDetails[Any]:
        if self._source.flags is None:
            raise ProviderNotReadyError("the store was never read")
        try:
            name, form = form_of(key)
            found = self._source.flags.evaluate(name, context.targeting_key if context else None)
        except FlagError as error:
            raise OpenFeatureError(ErrorCode(error.code), str(error)) from error
        forms = _BY_TYPE.get(kind, ())
        if not forms or (":" in key and form not in forms):
            known = ", ".join(f"{name}:{form}" for form in FORMS)
            raise OpenFeatureError(ErrorCode.TYPE_MISMATCH, f'"{key}" is no {kind.__name__}; there are {known}')
        return FlagResolutionDetails(
            value=found.value(form if ":" in key else forms[0]),
            variant=found.variant,
            reason=found.reason,
            flag_metadata=found.metadata(),
        )

    # --- the store's side ---------------------------------------------------------------------------------------------

    def _watch(self) -> None:
        while not self._stop.wait(self._poll_s):
            self._poll()

    def _poll(self) -> None:
        """Read once; the app hears what changed, and that the last good routes hold."""
        known = self._source.flags is not None
        try:
            changed = self._source.refresh()
        except Exception as error:  # noqa: BLE001  # whatever the store does, the last good flags hold
            if known and not self._stale:
                self._emit(ProviderEvent.PROVIDER_STALE, f"{_away(error)}; the last good routes hold")
            self._stale = True
            return
        if self._stale or not known:
            self._emit(ProviderEvent.PROVIDER_READY, "the store is read")
        self._stale = False
        if changed and known:
            self._emit(ProviderEvent.PROVIDER_CONFIGURATION_CHANGED, "routes have changed")

    def _emit(self, event: ProviderEvent, message: str) -> None:
        # The SDK attaches itself before it initialises; without it nobody listens.
        emit = getattr(self, "_on_emit", None)
        if emit is not None:
            emit(self, event, ProviderEventDetails(message=message))


def _away(error: Exception) -> str:
    return f"the store cannot be read: {type(error).__name__}"
