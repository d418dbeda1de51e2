"""The teaching guide: its minutes are those of the lessons, and its plans add up."""

import re

import pytest

from benchmarks.lesson_minutes import class_minutes
from lessons import PATHS, START, markdown_cells, read

GUIDE = (START.parent / "teaching_guide.md").read_text(encoding="utf-8")
PLANS = re.findall(r"(?s)### (.+?): (\d+) minutes.*?\n\n\|.*?\n\|.*?\n(.+?)\n\n", GUIDE)


def head(path):
    """("3a", "From slope to step", minutes of reading, how long its cells take), as its first cell says."""
    text = read(path).cells[0].source
    cells = r"The cells (?:themselves )?(?:take|run in) (.+?)(?: on a laptop| together|[.,])"
    patterns = (r"# Lesson (\S+):", r"# Lesson \S+: (.+)", r"\*\*Time:\*\* about (\d+)", cells)
    return tuple(re.search(pattern, text)[1] for pattern in patterns)


def minutes(path):
    """The minutes in class of each section."""
    text = "\n".join(cell.source for cell in markdown_cells(read(path)))
    parts = re.split("(?m)^## ", text)[1:]
    found = {part.partition("\n")[0]: re.search(r"\*\*Minutes:\*\* (\d+)", part) for part in parts}
    return {heading: int(note[1]) for heading, note in found.items() if note}


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_each_lesson_has_its_line_with_the_minutes_it_states(path):
    number, title, reading, cells = head(path)
    assert f"| [{number} {title}]({path.name}) | {class_minutes(read(path))[0]} | {reading} | {cells} |" in GUIDE


@pytest.mark.parametrize("title, total, rows", PLANS, ids=[title for title, *_ in PLANS])
def test_the_minutes_of_a_plan_add_up(title, total, rows):
    lines = [re.fullmatch(r"\| \[\S+ .+?\]\((\S+)\) \| (.+) \| (\d+) \|", row).groups() for row in rows.split("\n")]
    for name, sections, stated in lines:
        of = minutes(START.parent / name)
        assert int(stated) == sum(of.values() if sections == "all" else [of[each] for each in sections.split("; ")])
    assert int(total) == sum(int(stated) for *_, stated in lines)


def test_there_are_plans_for_an_hour_half_a_day_and_a_week():
    totals = {title: int(total) for title, total, _ in PLANS}
    assert list(totals) == ["One hour", "Half a day", "A week"] and totals["One hour"] <= 60
    assert totals["Half a day"] <= 4 * 60 and totals["A week"] <= 5 * 6 * 60


def test_its_links_lead_somewhere():
    targets = re.findall(r"\]\(([\w./]+)\)", GUIDE)
    assert len(targets) > 20 and [target for target in targets if not (START.parent / target).is_file()] == []
