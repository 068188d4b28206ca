"""The OpenAPI description holds: schemathesis makes requests of it and looks at every answer."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

pytest.importorskip("schemathesis", reason="needs schemathesis")
pytest.importorskip("fastapi", reason="needs the extra serve")

import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.specs.openapi.checks import positive_data_acceptance

from detector.serve.app import create_app
from detector.serve.settings import Settings
from tests.standin import StandIn

TOKEN = "a-token-of-some-length"
# Removed when the interpreter ends; schemathesis wants the application while it collects.
FOLDER = tempfile.TemporaryDirectory()
TOKENS = Path(FOLDER.name) / "tokens"
TOKENS.write_text(TOKEN + "\n")
APP = create_app(Settings(workers=0, threads=1, linger=0.0, token_file=TOKENS), StandIn())
SCHEMA = schemathesis.openapi.from_asgi("/openapi.json", APP)


@SCHEMA.parametrize()
@settings(
    max_examples=10,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_every_answer_is_as_described(case: schemathesis.Case) -> None:
    # No schema can say that bytes are an image, or that an address is on a list of hosts: what
    # fits the schema may still be refused.
    case.call_and_validate(
        headers={"Authorization": f"Bearer {TOKEN}"}, excluded_checks=[positive_data_acceptance]
    )


def test_the_description_is_openapi_3_1_and_names_every_route() -> None:
    described = APP.openapi()
    assert described["openapi"].startswith("3.1")
    assert {"/v1/score", "/v1/models", "/healthz", "/readyz", "/metrics"} <= set(described["paths"])
