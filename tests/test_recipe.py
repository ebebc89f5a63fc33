"""Recipes: which values go together."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from suite.canonical import resolved_values
from suite.recipe import Recipe

PLAIN = {"version": 1, "epochs": 1, "batch_size": 1, "lr": 1.0}
TEACHER = {"teacher": "regnety_160.deit_in1k", "teacher_sha256": "0a" * 32}


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"distillation": "hard"}, "needs a teacher"),
        ({"distillation": "soft", "teacher": "regnety_160"}, "needs a teacher_sha256"),
        ({"distillation": "soft", **TEACHER, "teacher_sha256": "0a"}, "should match pattern"),
        ({"distillation": "soft", **TEACHER, "teacher_sha256": "0A" * 32}, "should match pattern"),
        ({"distillation": "soft", **TEACHER, "teacher": "../regnety_160"}, "should match pattern"),
        ({"distillation": "soft", **TEACHER, "teacher": "hf-hub:regnety_160"}, "should match pattern"),
        ({"distillation": "soft", **TEACHER, "distillation_alpha": 1.5}, "less than or equal to 1"),
        ({"distillation": "soft", **TEACHER, "distillation_temperature": 0.0}, "greater than 0"),
        ({"distillation": "hard", **TEACHER, "distillation_temperature": 1.0}, "temperature has no effect"),
        ({**TEACHER}, "teacher has no effect with distillation: none"),
        ({"teacher_sha256": "0a" * 32}, "teacher_sha256 has no effect"),
        ({"distillation_alpha": 0.1}, "distillation_alpha has no effect"),
        ({"distillation_temperature": 1.0}, "distillation_temperature has no effect"),
    ],
)
def test_a_distillation_is_whole_or_not_there(values: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        Recipe.model_validate({**PLAIN, **values})


def test_a_recipe_without_a_teacher_is_what_it_was_before_there_were_any() -> None:
    assert not any("teach" in key or "distil" in key for key in resolved_values(Recipe.model_validate(PLAIN)))


def test_a_distillation_is_part_of_the_id() -> None:
    values = {"distillation": "soft", **TEACHER, "distillation_alpha": 0.1, "distillation_temperature": 1.0}
    assert resolved_values(Recipe.model_validate({**PLAIN, **values})).items() >= values.items()
