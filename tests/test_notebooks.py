"""The rules that every notebook keeps, read from the stored files; and that what the texts say is so."""

import ast
import importlib
import math
import re
from pathlib import Path

import pandas as pd
import pytest
import torch

import lesson_seconds
from benchmarks.lesson_minutes import class_minutes, reading_minutes
from lessons import (
    PATHS,
    START,
    code_cells,
    exercise_cells,
    markdown_cells,
    mirrors,
    read,
    solutions,
    stored_numbers,
    text_outputs,
)
from mnist_helpers.labs.ledger import (
    SETTINGS,
    best_epochs,
    holm,
    last_epochs,
    load_ledger,
    mean_interval,
    p_value,
    paired_differences,
    select,
)
from mnist_helpers.runs import SHIPPED, load_run
from mnist_helpers.widgets.network import dropout_draws

CHECKS = r"checked\(|names_batch_size$"  # decorators that stay out of the lessons


def bare(definition):
    """The definition's code without docstrings, type hints and the checks in front, in one fixed form."""
    for node in ast.walk(definition):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and ast.get_docstring(node):
            node.body = node.body[1:]
        if isinstance(node, ast.FunctionDef):
            node.returns = None
            shown = [each for each in node.decorator_list if not re.match(CHECKS, ast.unparse(each))]
            node.decorator_list = shown
        if isinstance(node, ast.arg):
            node.annotation = None
    return ast.unparse(definition)


def definition(source, name):
    found = [node for node in ast.parse(source).body if getattr(node, "name", None) == name]
    assert len(found) == 1, f"{len(found)} definitions of {name}"
    return bare(found[0])


LESSONS = [
    "01_data_loading",
    "02_architecture",
    "03a_gradients",
    "03b_training",
    "03c_comparing_runs",
    "04_curves",
    "05_predictions",
    "06_regularization_lab",
    "07_your_own_digits",
    "08_debugging_clinic",
    "09_scaling_out",
]


def test_the_lessons_are_there():
    assert [path.stem for path in PATHS][: len(LESSONS)] == LESSONS


@pytest.mark.parametrize(("notebook", "source", "dotted"), list(mirrors()))
def test_a_shown_definition_is_the_package_s(notebook, source, dotted):
    module_name, name = dotted.rsplit(".", 1)
    module = Path(importlib.import_module(module_name).__file__)
    constants = {"SPLIT_SEED": "0"}  # the notebook shows the number itself
    in_package = definition(module.read_text(encoding="utf-8"), name)
    for constant, value in constants.items():
        in_package = in_package.replace(constant, value)
    assert definition(source, name) == in_package


def test_what_the_lessons_are_about_is_shown_once():
    shown = [dotted for _, _, dotted in mirrors()]
    assert len(shown) == len(set(shown))
    needed = [
        "model.MNISTNet",
        "widgets.descent.descend",
        "training.train_step",
        "training.train_epoch",
        "training.evaluate",
        "runs.train_run",
        "data.split_train_valid",
        "data.make_loader",
        "labs.ledger.paired_differences",
        "labs.ledger.mean_interval",
        "labs.ledger.p_value",
        "labs.ledger.holm",
        "labs.own_digits.preprocessing_stages",
        "labs.own_digits.scale_to_fit",
        "labs.own_digits.center_by_mass",
        "labs.clinic.mc_dropout",
        "labs.clinic.Shifted",
        "labs.broken.train",
        "labs.data_parallel.shared_batches",
        "labs.data_parallel.train_together",
        "labs.scaling.all_reduce_seconds",
        "labs.scaling.speed_up",
    ]
    assert {f"mnist_helpers.{name}" for name in needed} <= set(shown)


@pytest.mark.parametrize("path", [START, *PATHS], ids=lambda path: path.stem)
def test_stored_executed_in_order_and_without_errors(path):
    cells = code_cells(read(path))
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert not [output for cell in cells for output in cell.outputs if output.output_type == "error"]


@pytest.mark.parametrize("path", [START, *PATHS], ids=lambda path: path.stem)
def test_stored_clean(path):
    metadata = read(path).metadata
    assert metadata.kernelspec.name == "python3"
    assert "widgets" not in metadata
    assert path.stat().st_size < 500_000
    text = path.read_text(encoding="utf-8")
    assert "widget-view+json" not in text, "without a kernel this is shown as an error"
    assert not re.search(r"/(home|root|work|tmp|Users)/|[A-Z]:\\\\", text), "a path of somebody's machine"
    assert '"stderr"' not in text, "a warning is stored"


@pytest.mark.parametrize("path", [START, *PATHS], ids=lambda path: path.stem)
def test_stored_with_the_results_of_full_mnist(path):
    assert "Full MNIST: 48,000 training, 12,000 validation and 10,000 test images" in text_outputs(read(path))


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_told_as_a_lesson(path):
    text = [cell.source for cell in markdown_cells(read(path))]
    headings = re.findall(r"^#+ .*", re.sub(r"```.*?```", "", "\n".join(text), flags=re.S), re.M)
    assert [line for line in headings if line.startswith("# ")] == headings[:1]
    levels = [len(line.partition(" ")[0]) for line in headings]
    assert all(below - above <= 1 for above, below in zip(levels, levels[1:])), "a level of headings is left out"
    assert "**Time:**" in text[0] and "you can" in text[0]
    assert headings[-2:] == ["## What we saw", "## Try it"]
    exercises = "\n".join(text).rpartition("## Try it")[2]
    folded = exercises.count("<details><summary>Solution</summary>")
    assert 3 <= folded <= 6 and exercises.count("**1.**") == exercises.count(f"**{folded}.**") == 1
    assert folded == exercises.count("<details>") == exercises.count("</details>") == len(solutions(read(path)))


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_no_phrase_is_said_twice_in_a_row(path):
    for cell in markdown_cells(read(path)):
        assert not (found := re.search(r"(\b\w[^\n]{15,})\s*\1", cell.source)), found


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_cells_are_short(path):
    notebook = read(path)
    lines = sorted(
        sum(1 for line in cell.source.splitlines() if line.strip() and not line.strip().startswith("#"))
        for cell in code_cells(notebook)
    )
    assert lines[len(lines) // 2] <= 4
    assert lines[int(0.95 * len(lines))] <= 12
    assert lines[-1] <= 25
    assert max(len(line) for cell in code_cells(notebook) for line in cell.source.splitlines()) <= 120
    kinds = "".join(cell.cell_type[0] for cell in notebook.cells)
    assert "ccc" not in kinds, "three code cells in a row"


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_a_lesson_imports_from_the_package_itself_its_panels_and_its_labs(path):
    notebook = read(path)
    sources = [cell.source for cell in code_cells(notebook)] + solutions(notebook)
    modules = re.findall(r"(?m)^ *from (mnist_helpers\S*) import", "\n".join(sources))
    offered = r"mnist_helpers|mnist_helpers\.exercises|mnist_helpers\.widgets(\.\w+)?|mnist_helpers\.labs\.\w+"
    assert modules and not [module for module in modules if not re.fullmatch(offered, module)]


def slide_type(cell):
    return cell.metadata.get("slideshow", {}).get("slide_type")


@pytest.mark.parametrize("path", [START, *PATHS], ids=lambda path: path.stem)
def test_every_cell_has_its_place_in_the_slides(path):
    notebook = read(path)
    assert {slide_type(cell) for cell in notebook.cells} <= {"slide", "subslide", "fragment", "notes", "skip", "-"}
    hidden = [cell for cell in code_cells(notebook) if slide_type(cell) in ("skip", "notes")]
    assert hidden == exercise_cells(notebook), "in the slides every other code cell must be there to be run"
    sections = [cell for cell in markdown_cells(notebook) if re.match("##? ", cell.source)]
    assert [slide_type(cell) for cell in sections[:-1]] == ["slide"] * (len(sections) - 1)
    assert slide_type(sections[-1]) == "skip", "the exercises are for the desk"
    assert (notebook.metadata.rise.width, notebook.metadata.rise.height) == (1280, 720)


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_each_section_has_a_teaching_note(path):
    parts = re.split("(?m)^## ", "\n".join(cell.source for cell in markdown_cells(read(path))))
    for part in parts[1:-2]:  # neither the lesson's head nor "What we saw" nor "Try it"
        assert part.count("<details><summary>Teaching note</summary>") == 1, part[:60]
        for label in ("Minutes", "Ask before running", "Expected answer", "Short of time"):
            assert f"**{label}:**" in " ".join(part.split()), (part[:60], label)
    assert "<details><summary>Teaching note</summary>" in parts[0] and "**Minutes:**" in parts[0]


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_the_minutes_of_a_lesson_add_up(path):
    """In class those of its sections; at the desk what `benchmarks/lesson_minutes.py` estimates, within a fifth."""
    notebook = read(path)
    whole, sections = class_minutes(notebook)
    (stated,) = re.findall(r"\*\*Time:\*\* about (\d+) minutes", notebook.cells[0].source)
    assert whole == sections and abs(int(stated) - reading_minutes(notebook)) <= reading_minutes(notebook) / 5


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_the_cells_of_a_lesson_take_as_long_as_it_says(path):
    """As measured when it was executed last, not now."""
    assert lesson_seconds.holds(lesson_seconds.kept()[path.stem], read(path).cells[0].source)


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_after_the_sliders_stands_a_picture(path):
    cells = code_cells(read(path))
    for number, cell in enumerate(cells):
        if "(Sliders: " in str(cell.outputs):
            assert "image/png" in cells[number + 1].outputs[0].get("data", {}), cell.source
    assert "(Sliders: " in text_outputs(read(path))


def test_lesson_1_says_what_the_pixels_show(sample):
    pixels = (sample.train.tensors[0] * 255).round()
    steps = torch.cat([pixels.diff(dim=dim).abs().flatten() for dim in (2, 3)])
    edges = steps[steps > 0]
    assert 0 < (edges == 255).float().mean() < 0.02, "0 and 255 are neighbours in few places"
    at_once = [(pixels.diff(dim=dim).abs() == 255).flatten(1).any(dim=1) for dim in (2, 3)]
    assert 0.4 < (at_once[0] | at_once[1]).float().mean() < 0.6, "in about half of the images at least one"


def test_lesson_2_says_that_more_draws_go_wrong_at_a_higher_rate(sample):
    image = sample.valid.tensors[0][sample.valid.tensors[1] == 0][:1]
    model = load_run(SHIPPED, None, "cpu").model
    answers = [dropout_draws(model, image, rate, True, seed=0)[1].argmax(dim=1) for rate in (0.2, 0.4, 0.6, 0.8)]
    right = [int((each == 0).sum()) for each in answers]
    assert right == sorted(right, reverse=True) and right[0] > 190 and 0 < right[-1] < 150


def test_lesson_3c_says_what_the_ledger_shows(runs):
    networks = [select(runs, network=name).query("seed < 5") for name in ("linear", "MNISTNet", "cnn")]
    assert [len(each) for each in networks] == [5, 5, 5]
    for column in ("valid_accuracy", "test_accuracy"):
        wrong = [1 - each[column].mean() for each in networks]
        assert wrong[1] < wrong[0] / 2 and wrong[2] < wrong[1] / 2, "more than half of the mistakes are gone"
    mean, half = mean_interval(paired_differences(runs, "valid_accuracy", {"network": "cnn"}, {}))
    assert mean > 5 * half, "far above zero"
    seconds = [each["seconds"].mean() for each in networks]
    assert seconds[0] < seconds[1] < seconds[2] / 3, "the CNN needs much more time"
    pixels = {"pixels": "standardized"}
    loss, half = mean_interval(paired_differences(runs, "valid_loss", {}, pixels))
    accuracy, wide = mean_interval(paired_differences(runs, "valid_accuracy", {}, pixels))
    assert loss < -half and abs(accuracy) < wide, "a lower loss with scaled pixels, nothing to tell in accuracy"


def of_lesson_5(pattern):
    return stored_numbers("05_predictions", pattern)


def test_lesson_5_says_what_its_stills_show():
    ((accuracy,),) = of_lesson_5(r"validation accuracy ([\d.]+)%")
    ((answered, _, share), (fewer, still_wrong, last_share)) = of_lesson_5(
        r"images answered \(([\d.]+)%\), (\d+) of them wrong \(([\d.]+)% of"
    )
    assert share < (100 - accuracy) / 2 and answered > 95, "less than half are wrong, and few are refused"
    assert fewer < 50 and still_wrong >= 1 and last_share > 0, "most are refused, and some wrong answers are left"


def test_lesson_5_says_what_its_chosen_threshold_is_worth():
    ((valid,),) = of_lesson_5(r"chosen: threshold [\d.]+; validation: ([\d.]+)% of the answers wrong")
    ((test, low, high),) = of_lesson_5(r"([\d.]+)% of the answers wrong, 95 % interval ([\d.]+)% to ([\d.]+)%")
    assert 0.45 < valid <= 0.5, "just below the bound"
    assert test != valid and low < test < 0.5 < high, "it could have been on the other side"


def test_lesson_5_says_what_precision_and_recall_show():
    by_hand = of_lesson_5(r"precision ([\d.]+), recall ([\d.]+), F1 ([\d.]+)")
    lines = of_lesson_5(r"\n +(\d) +(0\.\d+) +(0\.\d+) +(0\.\d+) +\d+")
    assert [digit for digit, *_ in lines] == list(range(10)) and [tuple(lines[7][1:])] == by_hand
    precision, recall = [{int(line[0]): line[column] for line in lines} for column in (1, 2)]
    assert min(precision, key=precision.get) == 8 and recall[8] > precision[8]
    assert min(recall, key=recall.get) == 2 and precision[2] > sorted(precision.values())[-3], "one of the two highest"
    steps = of_lesson_5(r"threshold (0\.\d+): precision ([\d.]+), recall ([\d.]+)")
    assert [step for step, _, _ in steps] == [0.5, 0.9, 0.99]
    for (_, precise, found), (_, more_precise, fewer) in zip(steps, steps[1:]):
        assert precise < more_precise and found > fewer


def test_lesson_5_says_where_confidence_and_accuracy_agree():
    text = text_outputs(next(read(path) for path in PATHS if path.stem == "05_predictions"))
    rows = re.findall(r"(?m)^ *\d+ +([\d.]+) +([\d.]+) +[\d.]+ +[\d.]+ +(True|False)$", text)
    assert [agrees for *_, agrees in rows] == ["True", *3 * ["False"], *2 * ["True"]]
    assert all(float(confidence) > float(accuracy) for confidence, accuracy, agrees in rows if agrees == "False")


def test_lesson_5_says_how_digits_and_images_differ():
    assert of_lesson_5(r"(\d) of the seven and (\d+) of all")[0][0] == 0, "none of the seven"
    assert 1 < len(of_lesson_5(r"digit (\d): the whole interval lies (?:above|below)")) < 6
    ((most, _, _),) = of_lesson_5(r"most frequent wrong answer: (\d), in (\d+) of (\d+) mistakes")
    assert most == 8, "the digit that the text names"


def test_lesson_5_reaches_what_the_text_names():
    ((valid, valid_low, valid_high),) = of_lesson_5(
        r"validation accuracy ([\d.]+)%, 95 % interval ([\d.]+)% to ([\d.]+)%"
    )
    ((accuracy, low, high),) = of_lesson_5(r"\ntest accuracy ([\d.]+)%, 95 % interval ([\d.]+)% to ([\d.]+)%")
    assert 97 <= accuracy <= 98 and low < accuracy < high
    assert accuracy > valid and low < valid and valid_high > accuracy, "a bit above; they overlap widely"


NEITHER = {"dropout": 0.0, "weight_decay": 0.0}
DROPOUT_ALONE, DECAY_ALONE, BOTH = {"weight_decay": 0.0}, {"dropout": 0.0}, {}


@pytest.fixture(scope="module")
def runs():
    """The ledger's runs after their last epoch."""
    return last_epochs(load_ledger())


@pytest.fixture(scope="module")
def best():
    """The ledger's runs at their best epoch."""
    return best_epochs(load_ledger())


SIZES = (500, 2_000, 10_000, 48_000)
OVERLAP = 12 / 48


def pairs_of(runs, column, size, change, other=NEITHER):
    return paired_differences(runs, column, {**change, "train_size": size}, {**other, "train_size": size})


def sign(pairs, **options):
    """Where the interval of the differences lies: -1 below zero, 1 above, 0 around it."""
    mean, half = mean_interval(pairs, **options)
    return 0 if abs(mean) <= half else 1 if mean > 0 else -1


def test_lesson_6_says_what_the_ledger_shows_at_full_size(runs, best):
    for change in (DROPOUT_ALONE, DECAY_ALONE, BOTH):
        last_loss, best_loss = [pairs_of(moment, "valid_loss", 48_000, change) for moment in (runs, best)]
        assert sign(last_loss) == sign(best_loss) == -1
        assert 0.6 * last_loss.mean() < best_loss.mean(), "at the best epoch about half as large or smaller"
        last_gain, best_gain = [pairs_of(moment, "valid_accuracy", 48_000, change) for moment in (runs, best)]
        assert sign(last_gain) == 0 and sign(best_gain) == 1
        assert 0.0015 < best_gain.mean() < 0.0035, "two or three tenths of a point"
    questions = {
        (column, when, name): p_value(pairs_of(moment, column, 48_000, change), overlap=OVERLAP)
        for column in ("valid_loss", "valid_accuracy")
        for when, moment in (("last", runs), ("best", best))
        for name, change in (("dropout", DROPOUT_ALONE), ("decay", DECAY_ALONE), ("both", BOTH))
    }
    left = holm(pd.Series(questions))
    standing = {("valid_loss", when, name) for when in ("last", "best") for name in ("dropout", "both")}
    assert len(left) == 12 and set(left[left < 0.05].index) == standing
    gain = pairs_of(best, "valid_accuracy", 48_000, BOTH)
    assert sign(gain, overlap=OVERLAP) == 1, "asked alone it would be settled"
    for column in ("gap", "test_calibration_error"):
        assert sign(pairs_of(runs, column, 48_000, BOTH), overlap=OVERLAP) == -1
    for moment in (runs, best):
        loss, accuracy = [
            pairs_of(moment, f"valid_{name}", 48_000, BOTH, DROPOUT_ALONE) for name in ("loss", "accuracy")
        ]
        assert sign(loss) == -1 and sign(loss, overlap=OVERLAP) == sign(accuracy) == 0, "a little beside dropout"
    losses = [select(runs, train_size=48_000, **change).set_index("seed")["valid_loss"] for change in (BOTH, NEITHER)]
    assert (losses[0] < losses[1]).all() and losses[0].corr(losses[1]) > 0.3, "all dots lie below the line"


def test_lesson_6_says_what_the_ledger_shows_with_fewer_images(runs, best):
    for size in SIZES:
        late, early = [pairs_of(moment, "valid_loss", size, BOTH).mean() for moment in (runs, best)]
        assert late < 2 * early < 0, "less than half of it at the best epoch"
    assert [sign(pairs_of(moment, "valid_accuracy", 500, BOTH)) for moment in (runs, best)] == [0, 1]
    assert [sign(pairs_of(runs, "valid_loss", 500, change)) for change in (DROPOUT_ALONE, DECAY_ALONE)] == [0, -1]
    assert (
        sign(pairs_of(best, "valid_loss", 500, DROPOUT_ALONE))
        == -1
        != sign(pairs_of(best, "valid_loss", 500, DECAY_ALONE))
    )
    gains = {size: pairs_of(runs, "valid_accuracy", size, BOTH).mean() for size in SIZES}
    assert max(gains, key=gains.get) == 2_000
    assert sign(pairs_of(runs, "valid_accuracy", 2_000, DECAY_ALONE)) == 0
    late, early = [pairs_of(moment, "valid_accuracy", 10_000, BOTH) for moment in (runs, best)]
    assert early.mean() > 2 * late.mean(), "far more at the best epoch"
    assert sign(early - late) == 1 and (early - late).mean() > early.mean() / 2, "most of it: neither pays more"
    for size in (500, 2_000, 10_000):
        assert (
            min(select(runs, **change, train_size=size)["train_accuracy"].mean() for change in (BOTH, NEITHER)) > 0.995
        )


def kept_by_early_stopping(patience):
    """The rows of the epochs that it keeps, one a run."""
    rows = load_ledger()
    runs = rows.groupby(SETTINGS)["valid_loss"]
    better = rows["valid_loss"] < runs.cummin().groupby([rows[name] for name in SETTINGS]).shift(fill_value=math.inf)
    latest = rows["epoch"].where(better).groupby([rows[name] for name in SETTINGS]).ffill()
    stopped = (rows["epoch"] - latest >= patience).groupby([rows[name] for name in SETTINGS]).cummax()
    return rows[better & ~stopped].drop_duplicates(SETTINGS, keep="last")


def test_lesson_6_says_what_early_stopping_keeps(best):
    kept = kept_by_early_stopping(patience=5)
    for size in SIZES:
        for moment in (best, kept):
            assert sign(pairs_of(moment, "test_loss", size, BOTH)) == -1
            assert sign(pairs_of(moment, "test_accuracy", size, BOTH)) == 1, "a gain at every size"
        early, late = [select(kept, **change, train_size=size)["epoch"].mean() for change in (NEITHER, BOTH)]
        assert early < late, "an earlier epoch of neither is kept"
        for change in (BOTH, NEITHER):
            epochs = [select(moment, **change, train_size=size).set_index("seed")["epoch"] for moment in (kept, best)]
            assert (epochs[0] == epochs[1]).sum() >= 9, "in nearly all runs the best epoch itself"
    assert sign(pairs_of(kept, "test_accuracy", 48_000, BOTH), overlap=OVERLAP) == 0, "it could be luck"


def test_lesson_6_says_that_early_stopping_does_not_replace_regularization(runs):
    kept = kept_by_early_stopping(patience=5)
    ways = {"stopped": (kept, NEITHER), "recipe": (runs, BOTH), "both": (kept, BOTH)}

    def values(name, column, size):
        moment, change = ways[name]
        return select(moment, **change, train_size=size).set_index("seed")[column]

    for size in SIZES:
        losses = {name: values(name, "test_loss", size).mean() for name in ways}
        assert min(losses, key=losses.get) == "both"
    for size, times in ((500, 5), (2_000, 1.4)):
        assert sign(values("stopped", "test_loss", size) - values("recipe", "test_loss", size)) == -1
        before = select(runs, **NEITHER, train_size=size)["test_loss"].mean()
        drops = [before - values(name, "test_loss", size).mean() for name in ("stopped", "recipe")]
        assert drops[0] > times * drops[1], "far more with 500 images, clearly more with 2,000"
    more = [values("stopped", "test_loss", size) - values("recipe", "test_loss", size) for size in (10_000, 48_000)]
    assert [sign(pairs) for pairs in more] == [0, 1]
    plain = {size: select(runs, **NEITHER, train_size=size).set_index("seed")["test_accuracy"] for size in SIZES}
    costs = [sign(values("stopped", "test_accuracy", size) - plain[size]) for size in SIZES]
    assert costs == [0, -1, -1, 0]


def test_lesson_6_says_what_the_patience_changes(best):
    hasty, patient = kept_by_early_stopping(patience=1), kept_by_early_stopping(patience=10)
    for size in SIZES:
        luck = [mean_interval(pairs_of(moment, "test_loss", size, BOTH)).half for moment in (hasty, best)]
        assert luck[0] > 1.5 * luck[1], "the intervals are wider"
        epochs = [select(moment, train_size=size)["epoch"].mean() for moment in (hasty, best)]
        assert epochs[0] < 0.75 * epochs[1], "earlier epochs"
    assert [sign(pairs_of(hasty, "test_loss", size, BOTH)) for size in SIZES] == [0, -1, -1, 0]
    for size in SIZES:
        for change in (BOTH, NEITHER):
            kept, lowest = [select(rows, **change, train_size=size)["epoch"].tolist() for rows in (patient, best)]
            assert kept == lowest and len(kept) == 10, "of each of these runs"


def test_lesson_6_says_how_many_images_the_recipe_is_worth():
    pattern = r"epoch: 'neither' needs about (\d+)% more images"
    shares = [share for (share,) in stored_numbers("06_regularization_lab", pattern)]
    assert len(shares) == 2 and all(18 <= share <= 32 for share in shares), "about a quarter"


def test_lesson_6_says_what_too_much_does(runs, best):
    def step(moment, column, size):
        return sign(pairs_of(moment, column, size, {"dropout": 0.7}, {}))

    assert [step(moment, "valid_loss", 500) for moment in (runs, best)] == [-1, 1], "the sign depends on the moment"
    for moment, direction in ((runs, -1), (best, 1)):
        pairs = pairs_of(moment, "valid_loss", 500, {"dropout": 0.7}, {})
        assert len(pairs) == 10 and (direction * pairs > 0).all(), "all ten pairs agree"
        for size in (2_000, 10_000, 48_000):
            assert step(moment, "valid_loss", size) == 1 and step(moment, "valid_accuracy", size) == -1
        for size in (10_000, 48_000):
            assert sign(pairs_of(moment, "train_loss", size, {"dropout": 0.7}, {})) == 1, "underfitting"
        accuracy = pairs_of(moment, "valid_accuracy", 48_000, {"dropout": 0.7}, {})
        assert sign(accuracy, overlap=OVERLAP) == -1
    smallest = runs.groupby(["train_size", "dropout", "weight_decay"])[["gap", "valid_loss"]].mean()
    assert smallest.loc[smallest["gap"].idxmin(), "valid_loss"] > 2 * smallest["valid_loss"].min(), "not the best"
    low, high = [select(runs, dropout=rate)["gap"].mean() for rate in (0.2, 0.7)]
    assert high < low, "a smaller gap, though both curves are worse"


def test_lesson_6_says_what_weight_decay_does(runs):
    def norm(**settings):
        return select(runs, **settings)["weight_norm_1"].mean()

    assert 0.5 < norm(weight_decay=1e-4) / norm(weight_decay=0.0) < 0.6, "little more than half"
    assert norm(weight_decay=1e-3) / norm(weight_decay=0.0) < 1 / 3
    assert norm(optimizer="AdamW") == pytest.approx(norm(weight_decay=0.0), rel=0.01)
    assert norm(optimizer="AdamW", weight_decay=0.1) == pytest.approx(norm(), rel=0.05)


def test_lesson_6_says_what_its_solutions_print(runs, best):
    pixels = {
        (column, when): paired_differences(moment, column, {"pixels": "standardized"}, {})
        for column in ("valid_loss", "valid_accuracy")
        for when, moment in (("last", runs), ("best", best))
    }
    assert [sign(pairs, overlap=OVERLAP) for pairs in pixels.values()] == [1, 1, 0, 0]
    left = holm(pd.Series({question: p_value(pairs, overlap=OVERLAP) for question, pairs in pixels.items()}))
    assert left.min() > 0.05, "with four questions counted it could be luck"
    pairs = paired_differences(runs, "valid_loss", {}, NEITHER)
    halves = [mean_interval(pairs.iloc[:number])[1] for number in range(2, len(pairs) + 1)]
    assert 0.8 * pairs[:2].mean() > -halves[0] > pairs[:2].mean(), "two are just enough"
    assert max(halves[3:]) < 1.5 * min(halves[3:]) < halves[0] / 1.5, "it settles from five on"


def test_lesson_6_says_what_width_does(runs, best):
    mnist_net, kept = {"weight_decay": 0.0}, kept_by_early_stopping(patience=5)
    dropped = {"network": "wide_drops_pixels", "dropout": 0.5, "weight_decay": 0.0}
    plain = {"network": "wide", "dropout": 0.0, "weight_decay": 0.0}
    for moment in (runs, best):
        pairs = paired_differences(
            moment, "valid_accuracy", {**mnist_net, "dropout": 0.5}, {**mnist_net, "dropout": 0.0}
        )
        assert sign(pairs) == -1, "it costs MNISTNet accuracy"
    gains = [paired_differences(moment, "test_accuracy", dropped, plain) for moment in (runs, best, kept)]
    assert [len(pairs) for pairs in gains] == [10] * 3 and [sign(pairs) for pairs in gains] == [0, 1, 1]
    for moment in (runs, best, kept):
        assert sign(paired_differences(moment, "test_loss", dropped, plain)) == -1
    late, early = [select(moment, **plain).set_index("seed")["test_accuracy"] for moment in (runs, best)]
    assert sign(early - late) == -1, "stopping costs accuracy"
    assert sign(select(best, **dropped).set_index("seed")["test_accuracy"] - late) == 0, "across the moments"
    epochs = [select(best, **settings)["epoch"].mean() for settings in (plain, dropped)]
    assert epochs[0] < 5 < 10 < epochs[1], "it can go on learning"


def test_lesson_6_says_what_else_regularizes(runs, best):
    plain, smoothed, shifted = {"dropout": 0.0}, {"label_smoothing": 0.1}, {"network": "shifted"}
    methods = {
        "dropout": {},
        "smooth": plain | smoothed,
        "norm": plain | {"network": "batch_norm"},
        "shift": plain | shifted,
    }
    gains = {
        (size, moment, name): pairs_of(table, "valid_accuracy", size, method, plain)
        for size in (2_000, 48_000)
        for moment, table in (("last", runs), ("best", best))
        for name, method in methods.items()
    }
    assert {len(pairs) for pairs in gains.values()} == {10}
    overlap = {2_000: 0.0, 48_000: OVERLAP}
    p_values = holm(pd.Series({question: p_value(pairs, overlap[question[0]]) for question, pairs in gains.items()}))
    standing = {question for question in gains if p_values[question] < 0.05}
    assert standing == {(2_000, *rest) for rest in LEFT_OF_OTHERS}
    for moment in ("last", "best"):
        means = {name: gains[2_000, moment, name].mean() for name in methods}
        assert max(means, key=means.get) == "shift"
        assert (
            sign(gains[48_000, moment, "dropout"], overlap=OVERLAP)
            == 0
            == sign(gains[48_000, moment, "shift"], overlap=OVERLAP)
        )
        assert (
            sign(gains[48_000, moment, "smooth"], overlap=OVERLAP)
            == 1
            == sign(gains[48_000, moment, "norm"], overlap=OVERLAP)
        )
    for size in (2_000, 48_000):
        errors = {
            name: pairs_of(runs, "test_calibration_error", size, method, plain) for name, method in methods.items()
        }
        signs = {"dropout": 0 if size == 2_000 else -1, "smooth": 1, "norm": -1, "shift": -1}
        assert {name: sign(pairs) for name, pairs in errors.items()} == signs
        if size == 2_000:
            others = [errors[name] for name in ("dropout", "norm")]
            assert all(sign(errors["shift"] - other) == -1 for other in others), "by far the most"
    assert sign(pairs_of(runs, "valid_loss", 48_000, methods["smooth"], plain)) == 1


LEFT_OF_OTHERS = [(moment, name) for moment in ("last", "best") for name in ("dropout", "smooth", "shift")]
LEFT_OF_OTHERS += [("best", "norm")]


def rows_of_lesson_7(pattern):
    """{first group: the other groups as numbers} of all matches in the stored outputs."""
    text = text_outputs(next(read(path) for path in PATHS if path.stem == "07_your_own_digits"))
    return {name: tuple(float(number) for number in numbers) for name, *numbers in re.findall(pattern, text)}


def test_lesson_7_says_what_preprocessing_does():
    ((difference,),) = stored_numbers("07_your_own_digits", r"mean difference of a pixel: ([\d.]+)")
    ((same,),) = stored_numbers("07_your_own_digits", r"same answer: ([\d.]+)%")
    ((shifted,),) = stored_numbers("07_your_own_digits", r"after a shift by one pixel: ([\d.]+)")
    assert difference < shifted and same > 97, "less than after a shift, nearly always the same answer"
    rows = rows_of_lesson_7(r"\n +([\w, ]+?) +(\d\.\d+) +(\d\.\d+)(?=\n)")
    small, drawn = rows["nothing"]
    assert max(rows["invert"]) < 0.3, "dark ink left dark is hopeless"
    assert small - rows["crop"][0] < 0.02 and drawn - rows["crop"][1] > 0.2, "cropping matters for the drawings"
    for step in ("scale", "center"):
        assert rows[step][0] < small - 0.1 and rows[step][1] < drawn - 0.1, "matters for both"
    assert rows["clean"] == (small, drawn), "changes nothing here"
    assert small < 0.9, "fewer than of MNIST's"


def test_lesson_7_says_how_ten_networks_read_other_hands():
    rows = rows_of_lesson_7(
        r"([\w, ×]+?) +ten networks ([\d.]+) ± ([\d.]+) %, from ([\d.]+) to ([\d.]+) %; ours ([\d.]+)%"
    )
    assert list(rows) == ["MNIST", "MNIST, 8 × 8", "other hands, 8 × 8", "drawings"]
    mnist, shrunk, others, _ = [mean for mean, *_ in rows.values()]
    assert mnist - shrunk > 2 and shrunk - others > mnist - shrunk, "the other hands cost more"
    spread = {name: highest - lowest for name, (_, _, lowest, highest, _) in rows.items()}
    assert max(list(spread)[:3], key=spread.get) == "other hands, 8 × 8" and spread["MNIST"] < 2, "nearly equal there"
    ((ours,),) = stored_numbers("07_your_own_digits", r"\n +nothing +([\d.]+)")
    _, _, lowest, _, again = rows["other hands, 8 × 8"]
    assert 100 * ours == pytest.approx(lowest, abs=0.06) and again == lowest, "ours is the worst"


def test_lesson_7_says_what_ten_networks_miss():
    ((one, all_ten),) = stored_numbers("07_your_own_digits", r"by one: (\d+)   by all: (\d+) images")
    assert 24 < all_ten < 120 and one > 100, "dozens are missed by all"
    luck = 10_000 * 0.025**10
    assert luck < 1e-9, "pure luck leaves none"
    ((share,),) = stored_numbers("07_your_own_digits", r"by at least eight (\d+)%")
    assert 35 < share < 50, "more than a third of all mistakes"
    doubts = stored_numbers("07_your_own_digits", r"(\d+): label \d.* missed by +(\d+) of 10 networks, most say (\d)")
    ((listed, hard),) = stored_numbers("07_your_own_digits", r"(\d+) of the (\d+) images that all ten miss are on this")
    assert len(doubts) == 15 and listed == sum(missed == 10 for _, missed, _ in doubts) and hard == all_ten > 3 * listed
    assert {row: answer for row, _, answer in doubts}[6651] != 6, "most networks say something else than people"
    pairs = rows_of_lesson_7(r"\n(\d read as \d) +([\d.]+) +([\d.]+) +(\d+) +(\d+)")
    eight, others = list(pairs.values())[:8], list(pairs)[8:]
    assert others == ["1 read as 8", "2 read as 3"] and all(fewest >= 1 for *_, fewest, _ in eight), "each makes each"
    frequent = {
        f"{true:g} read as {answer:g}" for true, answer in of_lesson_5(r"mistake: a (\d) read as (\d), \d+ times")
    }
    assert frequent == set(others) and max(pairs[name][0] for name in others) < min(mean for mean, *_ in eight)


def test_lesson_7_says_what_changes_do():
    ((shifted, whole), (turned, _)) = stored_numbers(
        "07_your_own_digits", r"images changed by .*accuracy ([\d.]+)%, unchanged ([\d.]+)%"
    )
    assert 0.4 * whole < shifted < 50 < turned < whole - 20, "a shift by 4 leaves less than half"


def test_lesson_7_says_how_little_it_takes():
    ((before,), (after,)) = stored_numbers("07_your_own_digits", r"Digit 0 after \d+ steps: .* Answer (\d)")
    assert before == 0 != after


def test_lesson_9_says_what_the_ledger_costs_and_that_two_processes_are_slower():
    hours = dict(stored_numbers("09_scaling_out", r"# workers: at least # hours".replace("#", r"([\d.,]+)")))
    assert hours[1.0] > 7 * hours[8.0] and hours[64.0] == hours[1000.0] > hours[1.0] / 64
    lines = stored_numbers("09_scaling_out", r"process (\d) \(id (\d+)\): epoch \d, running loss [\d.]+, ([\d.]+) s")
    alone, *_ = ids = list(dict.fromkeys(each for _, each, _ in lines))
    assert len(ids) == 3 and min(s for _, each, s in lines if each != alone) > min(
        s for _, each, s in lines if each == alone
    )
