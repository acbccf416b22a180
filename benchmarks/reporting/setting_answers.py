"""The name under which scripts may import `benchmarks.reporting.answers.setting_answers`."""

from benchmarks.reporting.answers.setting_answers import (
    Exceptional,
    Limit,
    SettingAnswer,
    answers_frame,
    setting_answers,
)

__all__ = ["Exceptional", "Limit", "SettingAnswer", "answers_frame", "setting_answers"]
