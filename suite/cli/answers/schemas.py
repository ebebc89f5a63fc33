"""The JSON Schema of each answer. `python -m suite.cli.answers.schemas` writes the files of `suite/cli/schemas`."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import BaseModel

from suite.cli.answers.answer import ErrorAnswer
from suite.cli.answers.check import CheckAnswer
from suite.cli.answers.cost import CostAnswer
from suite.cli.answers.doctor import DoctorAnswer
from suite.cli.answers.plan import PlanAnswer
from suite.cli.answers.run import RunAnswer
from suite.cli.answers.status import StatusAnswer
from suite.cli.answers.tables import TablesAnswer
from suite.cli.answers.trying import TryAnswer
from suite.cli.answers.verify import StaticVerdictsAnswer, VerdictsAnswer

FOLDER = Path(__file__).parents[1] / "schemas"
ANSWERS: dict[str, type[BaseModel]] = {
    "check": CheckAnswer,
    "cost": CostAnswer,
    "doctor": DoctorAnswer,
    "error": ErrorAnswer,
    "plan": PlanAnswer,
    "run": RunAnswer,
    "status": StatusAnswer,
    "tables": TablesAnswer,
    "try": TryAnswer,
    "verify": VerdictsAnswer,
    "verify-static": StaticVerdictsAnswer,
}


def schema_file(name: str) -> Path:
    """The file of an answer's schema."""
    return FOLDER / f"{name}.schema.json"


def schema_text(name: str) -> str:
    """The JSON Schema of an answer, as its file has it."""
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **ANSWERS[name].model_json_schema(mode="serialization"),
    }
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    for _name in ANSWERS:
        schema_file(_name).write_text(schema_text(_name), encoding="utf-8")
