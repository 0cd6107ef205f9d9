"""Requests made up from the OpenAPI schema: no fault of the server's, every answer as promised."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from partimento.runtime.model_folder import ModelFolder

from support.serving import Served, served

with warnings.catch_warnings():  # its own dependencies warn where they are imported
    warnings.simplefilter("ignore")
    schemathesis = pytest.importorskip("schemathesis")


@pytest.fixture
def server(hum: ModelFolder, tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path, queue=1000) as server:
        yield server


def test_no_answer_breaks_the_schema(server: Served) -> None:
    schema = schemathesis.openapi.from_url(f"{server.address}/openapi.json")
    broken: list[str] = []
    asked: set[str] = set()
    for found in schema.get_all_operations():
        operation = found.ok()
        if operation.path.endswith("/events"):
            continue

        @hypothesis.settings(
            max_examples=12,
            derandomize=True,
            database=None,
            deadline=None,
            suppress_health_check=list(hypothesis.HealthCheck),
        )
        @hypothesis.given(case=operation.as_strategy())
        def check(case: schemathesis.Case) -> None:
            case.query = {**(case.query or {})}
            if "wait" in case.query:
                case.query["wait"] = 0.2
            answer = case.call(timeout=30)
            asked.add(f"{case.method} {case.path}")
            problem = f"{case.method} {case.formatted_path}: {answer.status_code}"
            if answer.status_code >= 500 and answer.status_code not in (501, 507):
                broken.append(f"{problem} {answer.text}")
            try:
                case.validate_response(
                    answer,
                    checks=[
                        schemathesis.checks.not_a_server_error,
                        schemathesis.checks.response_schema_conformance,
                        schemathesis.checks.status_code_conformance,
                        schemathesis.checks.content_type_conformance,
                    ],
                )
            except Exception as error:
                broken.append(f"{problem}: {error}")

        check()
    assert len(asked) > 15
    assert not broken, "\n".join(broken[:20])
