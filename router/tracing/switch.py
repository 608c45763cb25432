"""Whether the standard variables of OpenTelemetry ask for traces, and can be served."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.util import find_spec

EXPORTER = "OTEL_TRACES_EXPORTER"
ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
#: What the extra `otel` installs.
LIBRARIES = ("opentelemetry.sdk.trace", "opentelemetry.exporter.otlp.proto.http")


def is_asked(environment: Mapping[str, str]) -> bool:
    """Whether these variables ask for traces: they name an exporter or an endpoint."""
    if _word(environment, "OTEL_SDK_DISABLED") == "true":
        return False
    exporter = _word(environment, EXPORTER)
    has_endpoint = any(_word(environment, name) for name in ENDPOINTS)
    return exporter != "none" and (bool(exporter) or has_endpoint)


def is_installed() -> bool:
    """Whether the libraries of the extra `otel` are here."""
    try:
        return all(find_spec(library) is not None for library in LIBRARIES)
    except ModuleNotFoundError:
        # Nor is the package that it would be in.
        return False


def unserved(environment: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    """What the router's exporter can't do: a variable, its value, and what it can."""
    exporter = _word(environment, EXPORTER)
    if exporter not in ("", "otlp"):
        yield EXPORTER, exporter, "otlp"
    # The first that is set counts.
    for name in PROTOCOLS:
        if protocol := _word(environment, name):
            if protocol != "http/protobuf":
                yield name, protocol, "http/protobuf"
            return


def _word(environment: Mapping[str, str], name: str) -> str:
    return environment.get(name, "").strip().lower()
