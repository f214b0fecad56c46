"""The seven lessons of the Learn page: texts, settings, measurements, and questions with explained answers."""

# One file per lesson. The order of these imports is the order of the lessons.
from camlab.lessons import cam  # isort: skip
from camlab.lessons import methods  # isort: skip
from camlab.lessons import noise  # isort: skip
from camlab.lessons import measure  # isort: skip
from camlab.lessons import attack  # isort: skip
from camlab.lessons import sanity  # isort: skip
from camlab.lessons import quiz  # isort: skip
from camlab.lessons.base import LESSONS, Lesson, LessonRun, Question, Setting, Sheet, finish
from camlab.lessons.settings import LessonState, parse_link, to_link

__all__ = [
    "LESSONS",
    "Lesson",
    "LessonRun",
    "LessonState",
    "Question",
    "Setting",
    "Sheet",
    "attack",
    "cam",
    "finish",
    "measure",
    "methods",
    "noise",
    "parse_link",
    "quiz",
    "sanity",
    "to_link",
]
