"""Ten trainings with one fault each: the symptoms of real runs, the answers to a diagnosis, and what repairs pass."""

import pytest

from mnist_helpers.labs.broken import CASES, FAULTS, answer, check_repair, raw_digits, run_script, script, symptoms

EACH_CASE = pytest.mark.parametrize("case", CASES)
SEEDS = (10, 11)
INNER = " " * 12
LOSS, BACKWARD, STEP = "F.cross_entropy(model(batch), digits)", "loss.backward()", "optimizer.step()"
RECORD, CHOOSE = "        train_curve.append", "valid_curve.append(measure(model, test_set))"
SHUFFLED, RAW, SHARED = "labels = images[order] / 255, labels\n", "images[order].float()", "slice(750, 1500)"
SOFTMAX, DROPOUT = ", nn.Softmax(dim=1)", ", nn.Dropout(0.5)"

# What is replaced by what. Putting the wrong line right is tried for each case besides.
RIGHT = {
    "A": [(SHUFFLED, "labels = images / 255, labels\n"), (SHUFFLED, f"{SHUFFLED}    labels = labels.clone()[order]\n")],
    "B": [("lr=0.1", "lr=0.002"), (", lr=0.1)", ")")],
    "C": [
        ("lr=0.00001", "lr=2e-3"),
        ("Adam(model.parameters(), lr=0.00001", "SGD(model.parameters(), lr=0.1, momentum=0.9"),
    ],
    "D": [(SOFTMAX, ", nn.LogSoftmax(dim=1)"), (LOSS, "F.nll_loss(model(batch).log(), digits)")],
    "E": [(RAW, "images[order].float().div(256)"), (RAW, "(images[order] - 33.3) / 78.6")],
    "F": [
        (STEP, f"{STEP}\n{INNER}optimizer.zero_grad()"),
        (BACKWARD, f"for each in model.parameters():\n{INNER}    each.grad = None\n{INNER}{BACKWARD}"),
    ],
    "G": [(DROPOUT, ", nn.Dropout(0.0)"), (DROPOUT, "")],
    "H": [(SHARED, "slice(1500, 2000)"), (SHARED, "slice(-1500, -750)")],
    "I": [("measure(model, ", "measure(model.eval(), "), (RECORD, f"        model.train(False)\n{RECORD}")],
    "J": [
        (CHOOSE, "valid_curve += [measure(model, valid_set)]"),
        ("train_set, valid_set, test_set, steps", "train_set, test_set, valid_set, steps"),  # it is named as it is used
    ],
}
# ... and what the check says of it.
WRONG = {
    "A": [(SHUFFLED, "labels = images[order] / 255, labels.flip(0)\n", "labels shuffled")],
    "B": [("lr=0.1", "lr=1e-5", "learning rate too low"), ("lr=0.1", "lr=0.05", "learning rate too high")],
    "C": [("lr=0.00001", "lr=0.2", "learning rate too high"), ("lr=0.00001", "lr=0.0001", "clearly below")],
    "D": [(SOFTMAX, ", nn.Dropout(0.6)", "dropout on the logits"), (SOFTMAX, ", nn.Sigmoid()", "not yet")],
    "E": [(RAW, "images[order].float() / 2", "pixels from 0 to 255"), (RAW, "images[order]", "stops with ValueError")],
    "F": [(BACKWARD, f"{BACKWARD}\n{INNER}optimizer.zero_grad()", "not yet"), (BACKWARD, "pass", "not yet")],
    "G": [(DROPOUT, ", nn.Softmax(dim=1)", "softmax before"), (DROPOUT, ", nn.Dropout(0.4)", "dropout on the logits")],
    "H": [
        (SHARED, "slice(1490, 2250)", "10 images are there twice"),
        (SHARED, "slice(2000, 2750)", "500 images are there twice"),
    ],
    "I": [
        (RECORD, f"        model.train()\n{RECORD}", "dropout stays on"),
        (RECORD, f"\tmodel.eval()\n{RECORD}", "TabError"),
    ],
    "J": [
        (CHOOSE, "valid_curve.append(measure(model, train_set))", "not yet"),
        ("return Trained(model, ", "return (model, ", "must return Trained(...) as before, it returned tuple"),
    ],
}


@pytest.fixture(scope="module")
def digits(sample):
    return raw_digits(sample)


@pytest.fixture(scope="module")
def healthy(digits):
    return [symptoms(run_script(script(""), digits, seed)) for seed in range(4)]


@pytest.fixture(scope="module")
def runs(digits):
    return {case: [symptoms(run_script(script(case), digits, seed)) for seed in SEEDS] for case in CASES}


def replaced(case, old, new):
    text = script(case)
    assert text.count(old) >= 1, f"{old!r} is not in the script of case {case}"
    return text.replace(old, new)


def test_each_fault_is_one_line_and_is_a_case_once():
    lines = script("").splitlines()
    assert sorted(CASES.values()) == sorted(FAULTS) and len(FAULTS) == 10
    for case in CASES:
        other = script(case).splitlines()
        assert len(set(lines) - set(other)) == 1 and len(set(other) - set(lines)) <= 1
    with pytest.raises(ValueError, match="case must be one of A, B, .*, J, got 'K'"):
        script("K")


def test_healthy_runs_show_no_fault(healthy):
    assert [key for key, fault in FAULTS.items() for run in healthy if fault.seen(run)] == []


def test_measured_twice_differs_where_dropout_is_left_on_and_nowhere_else(healthy, runs):
    assert [CASES[case] for case in CASES for run in runs[case] if run["again"] != run["once_more"]] == ["eval"] * 2
    assert all(run["recorded"] == pytest.approx(run["again"]) == run["once_more"] for run in healthy)


def test_the_highest_step_is_that_of_the_first_epoch(digits):
    run = run_script(script(""), digits)
    run.steps[-1] = 9.0
    assert symptoms(run)["highest_step"] == max(run.steps[: len(run.steps) // 10]) < 9


@EACH_CASE
def test_a_case_shows_its_own_fault_and_no_other_with_each_seed(case, runs):
    assert [[key for key, fault in FAULTS.items() if fault.seen(run)] for run in runs[case]] == [[CASES[case]]] * 2


@EACH_CASE
def test_each_diagnosis_is_answered_with_a_reason(case, runs):
    answers = {key: answer(case, key, runs[case][0]) for key in FAULTS}
    assert [key for key, text in answers.items() if text.startswith("Yes: ")] == [CASES[case]]
    for key, text in answers.items():
        assert FAULTS[key].shows in text and len(text) > 150 and "{" not in text


@EACH_CASE
def test_right_repairs_are_accepted(case, digits, healthy):
    fault = FAULTS[CASES[case]]
    texts = [replaced(case, *change) for change in RIGHT[case]]
    texts += [replaced(case, fault.faulty, fault.healthy)] if fault.faulty else []
    for text in texts:
        assert check_repair(case, text, digits, healthy, seeds=[3]).startswith(f"{case}: repaired."), text


@EACH_CASE
def test_wrong_repairs_are_refused_and_what_is_wrong_is_named(case, digits, healthy):
    for old, new, told in WRONG[case]:
        said = check_repair(case, replaced(case, old, new), digits, healthy, seeds=[3])
        assert "repaired." not in said and told in said, said


def test_what_is_not_changed_is_not_trained(digits, healthy):
    assert check_repair("A", script("A"), None, healthy) == "A: nothing is changed yet."


def test_a_function_is_taken_too_and_a_text_has_to_define_train(digits, healthy):
    names = {}
    exec("from mnist_helpers.labs.broken import *\nimport copy, torch\n" + script(""), names)
    assert check_repair("A", names["train"], digits, healthy, seeds=[3]).startswith("A: repaired.")
    assert check_repair("A", "def trian(): pass", digits, healthy) == "A: the script stops with KeyError: 'train'"


def test_too_few_images_are_refused(small):
    with pytest.raises(ValueError, match="takes 3,000 training images, here are only"):
        raw_digits(small)
