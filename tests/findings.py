"""What the lessons say of cells that train or draw random numbers: one function for each such cell.

A cell with the tag `holds:NAME` is not compared digit by digit: another processor rounds differently, and after
thousands of steps that makes another run. Its words and settings must be as stored, and what the text claims must hold:
NAME is a function below that takes the text of the outputs and fails where the claim does not. It is applied to what is
stored and to what every run of the notebooks prints (stored_outputs.py).
"""

import math
import re
from functools import lru_cache

from scipy.stats import t

from mnist_helpers.labs.ledger import load_ledger, select

NUMBER = r"([+-]?\d+(?:,\d{3})*(?:\.\d+)?)"


def numbers(text: str, pattern: str) -> list[tuple[float, ...]]:
    """All matches of `pattern` (with groups) in `text`, as tuples of numbers; there must be one at least."""
    found = [match.groups() for match in re.finditer(pattern.replace("#", NUMBER), text)]
    assert found, f"nothing in the output matches {pattern}:\n{text}"
    return [tuple(float(number.replace(",", "")) for number in groups) for groups in found]


def near_share(share: float, expected: float, draws: int) -> bool:
    """Whether a share of independent draws lies within four standard errors of what is expected."""
    return abs(share - expected) < 4 * math.sqrt(expected * (1 - expected) / draws)


# ---------------------------------------------------------------- lesson 1


def standardized_ends_ahead(text):
    """Each of the five seeds ends higher with standardized pixels."""
    rows = numbers(text, r"seed \d: scaled #%, standardized #%")
    assert len(rows) == 5 and all(70 < scaled < standardized < 97 for scaled, standardized in rows)


def standardized_leads_most_in_the_first_epoch(text):
    (first, first_sd), (last, last_sd) = numbers(text, r"epoch +\d+: # ± #")
    assert first < last < 0 and abs(first) > 2 * first_sd


# ---------------------------------------------------------------- lesson 2


def dropout_doubles_or_drops(text):
    train, kept = (re.findall(r"[\d.]+", line) for line in re.findall(r"\[(.*)\]", text))
    assert set(train) == {"0.", "2."} and set(kept) == {"1."} and len(train) == len(kept) == 12


def dropout_drops_its_share(text):
    for rate, share, survivors, mean in numbers(text, r"p = #: # dropped, survivors #, mean #"):
        assert near_share(share, rate, 100_000)
        assert abs(survivors - 1 / (1 - rate)) < 0.006 and abs(mean - (1 - share) * survivors) < 0.003


def most_draws_are_right(text):
    _microscope(text, 0.2, lambda right: right > 150)


def it_depends_on_the_draw(text):
    _microscope(text, 0.8, lambda right: 5 < right < 150)


def _microscope(text, rate, enough):
    ((shown, first, second, right),) = numbers(
        text, r"dropout rate #, train\(\): # of 128 and # of 64 .*Of 200 draws # answer 0"
    )
    assert shown == rate and near_share(first / 128, rate, 128) and near_share(second / 64, rate, 64) and enough(right)


# ---------------------------------------------------------------- lesson 3


def one_step_lowers_the_loss(text):
    ((before, after),) = numbers(text, r"before #, after #")
    assert abs(before - math.log(10)) < 0.15 and before - 0.2 < after < before


def running_is_the_lowest(text):
    (running, train, valid) = numbers(text, r"\w+: +loss #, accuracy #%")
    assert running[1] < min(train[1], valid[1]) and running[0] > max(train[0], valid[0])
    assert 80 < valid[1] < 95 and abs(train[1] - valid[1]) < 4


@lru_cache
def recipe_epochs():
    """The ledger's rows of the recipe with all images, by epoch: ten seeds each."""
    return select(load_ledger()).groupby("epoch")


def ten_epochs_of_the_recipe(text):
    """Each number lies where 99.9 % of new runs lie, by the ledger's ten seeds of this run; both parts improve."""
    columns = ["train_loss", "train_accuracy", "valid_loss", "valid_accuracy", "running_loss", "running_accuracy"]
    rows = numbers(text, r"\n(\d+)" + " +#" * 7)
    assert [row[0] for row in rows] == list(range(1, 11))
    for epoch, *values in rows:
        for column, value in zip(columns, values):
            seeds = recipe_epochs().get_group(epoch)[column]
            half = t.ppf(0.9995, len(seeds) - 1) * seeds.std() * math.sqrt(1 + 1 / len(seeds))
            assert len(seeds) == 10 and abs(value - seeds.mean()) < half, (epoch, column, value)
    for quantity, sign in ((1, -1), (2, 1)):  # the loss falls, the accuracy rises
        train, valid = (sign * (rows[-1][column] - rows[0][column]) for column in (quantity, quantity + 2))
        assert train > valid > 0, "both improve, training by more"


def every_setting_overfits(text):
    rows = re.findall(r"\n([a-z ]+?)" + f" +{NUMBER}" * 6, text)
    means = {name: tuple(map(float, values)) for name, *values in rows}
    assert set(means) == {"both", "dropout alone", "weight decay alone", "neither"}
    assert all(0.07 < gap < 0.16 and 0.85 < accuracy < 0.92 for _, _, accuracy, _, gap, _ in means.values())
    assert max(means["both"][0], means["dropout alone"][0]) < min(means["weight decay alone"][0], means["neither"][0])


def dropout_lowers_the_loss(text):
    for setting in ("both", "dropout alone"):
        ((mean, half),) = numbers(text, f"valid loss, {setting} − neither: # ± #")
        assert mean + half < 0
        ((mean, half),) = numbers(text, f"valid accuracy, {setting} − neither: # ± #")
        assert -half < mean < 0.01, "less than one percentage point, and not lower as far as can be told"
    ((mean, half),) = numbers(text, "valid loss, weight decay alone − neither: # ± #")
    ((dropout, _),) = numbers(text, "valid loss, dropout alone − neither: # ± #")
    assert abs(mean) < abs(dropout) / 2, "far less than dropout"
    ((mean, half),) = numbers(text, "valid accuracy, weight decay alone − neither: # ± #")
    assert abs(mean) < 0.01


def a_live_run_is_finished(text):
    ((train, valid),) = numbers(text, r"dropout 0\.5, .*finished at epoch 10\.0 of 10.*accuracy #%.*accuracy #%")
    assert 80 < valid < train < 100


def a_run_takes_440_kilobytes(text):
    ((size,),) = numbers(text, r"# kB")
    assert abs(size - 440) <= 5


# ---------------------------------------------------------------- lesson 4


def most_of_it_is_the_handicap(text):
    ((off, on),) = numbers(text, r"dropout off #%, on #%")
    ((running,),) = numbers(text, r"dropout on: #%")
    assert abs(running - on) < abs(off - on) / 2 and on < off


def the_loss_turns_and_rises(text):
    (best, *then), (last, train_loss, train_accuracy, loss, accuracy) = numbers(text, r"\n(\d+)" + " +#" * 4)
    assert best < 20 and last == 40 and train_loss < 0.01 and train_accuracy > 0.999
    assert loss > 1.2 * then[2] and abs(accuracy - then[3]) < 0.015


def the_same_answers_more_confident(text):
    ((same,),) = numbers(text, r"same answer on #%")
    ((before, after),) = numbers(text, r"confidence of the mistakes: #, then (\d\.\d+)")
    assert same > 90 and after > before + 0.05


def first_epoch_of_forty(text):
    _epoch_of_forty(text, 1, lambda size: 0.015 < size < 0.022)


def last_epoch_of_forty(text):
    _epoch_of_forty(text, 40, lambda size: size > 0.03)


def _epoch_of_forty(text, shown, right_size):
    ((epoch, best, size),) = numbers(text, r"Epoch # of 40: .*?lowest in epoch #\).*?first layer's weights: (0\.\d+)")
    assert epoch == shown and best < 20 and right_size(size)


def held_back_too_much(text):
    rows = dict(re.findall(rf"(4 hidden units|dropout 0.9|recipe) +training loss {NUMBER}", text))
    losses = {name: float(loss) for name, loss in rows.items()}
    assert losses["recipe"] < 0.2 < 0.4 < min(losses["4 hidden units"], losses["dropout 0.9"])
    for name in ("4 hidden units", "dropout 0.9"):
        ((train, valid),) = numbers(text, f"{name} +training loss #, validation loss #")
        assert valid < 1.3 * train, "a small gap, and no good sign"


def stopped_five_epochs_after_the_best(text):
    ((best, stopped),) = numbers(text, r"best epoch #, stopped after epoch #")
    assert stopped - best == 5 and 4 < best < 20


def the_minimum_is_flat(text):
    (epochs,) = re.findall(r"best epochs: \[(.*)\]", text)
    best = [int(epoch) for epoch in epochs.split(",")]
    ((mean, deviation),) = numbers(text, r"lowest validation loss: # ± #")
    assert len(best) == 5 and 1 < max(best) - min(best) < 15 and deviation < 0.1 * mean


# ---------------------------------------------------------------- lesson 7


def a_wide_one_is_misread(text):
    ((plain, said, times),) = numbers(text, r"1, wide\. Plain softmax: (\d) with .*\d for (\d); answers: # times")
    assert plain == said != 1 and times < 95, "and the passes do not all agree"


def the_passes_agree_about_a_letter(text):
    ((sure, times),) = numbers(text, r"R, a letter\. Plain softmax: \d with probability #\. .*answers: # times")
    assert sure > 0.8 and times > 80


def the_passes_of_noise_mostly_agree(text):
    ((plain, said, times),) = numbers(text, r"noise\. Plain softmax: (\d) with .*\d for (\d); answers: # times")
    assert plain == said and times > 60


def passes_lower_some_confidence(text):
    rows = {
        name.strip(): values
        for name, *values in re.findall(
            rf"(?m)^([a-z, ]+?) +plain +(\d+)% +100 passes +(\d+)% +\(mean of the passes: {NUMBER} to {NUMBER}", text
        )
    }
    rows = {name: tuple(map(float, values)) for name, values in rows.items()}
    right, wrong, drawn, letters, noise = rows.values()
    for plain, passes, _, _ in (wrong, letters, noise):
        assert passes < 0.75 * plain, "fewer of them"
    for plain, passes, _, _ in (right, drawn):
        assert plain - 12 < passes <= plain, "little or nothing"
    assert letters[0] >= 30, "with some letters it is almost sure"
    assert letters[3] > drawn[2], "no threshold keeps all digits and refuses all letters"


def a_repair_is_finished(text):
    ((epoch, plain, shifted),) = numbers(text, r"epoch # of 10\. Accuracy: validation #%, .*by up to 4 #%")
    assert epoch == 10 and shifted > 70 and plain > shifted


def shifts_repair_and_cost(text):
    rows = {
        name.strip(): tuple(map(float, values))
        for name, *values in re.findall(
            rf"([a-z3, ]+?) +[\d.]+ % → +[\d.]+ % +{NUMBER} ± [\d.]+ points, higher in (\d) of 3 seeds", text
        )
    }
    assert rows["plain"][1] == 0 and rows["shifted by 3"][1] == 3 == rows["drawings, not centred"][1]
    assert rows["shifted by 3"][0] > 20, "a great deal"
    assert rows["drawings"][0] < 2, "nothing to speak of is gained"


def the_direction_matters(text):
    steps = {size: shares for size, *shares in numbers(text, r"at most #: accuracy +#%, with random signs +#%")}
    assert list(steps) == [0.0, 0.05, 0.1, 0.15, 0.2]
    (whole, _), (after_ten, at_random) = steps[0.0], steps[0.1]
    assert 95 < whole <= 100 and after_ten < 50 < 90 < at_random < whole, "most flip within ten steps, at random few"
    assert sorted(along for along, _ in steps.values()) == [along for along, _ in steps.values()][::-1]
