"""What the lessons say of cells that train or draw random numbers: one function for each such cell.

A cell with the tag `holds:NAME` is not compared digit by digit: another processor rounds differently, and after
thousands of steps that makes another run. Its words and settings must be as stored, and what the text claims must hold:
NAME is a function below that takes the text of the outputs and fails where the claim does not. It is applied to what is
stored and to what every run of the notebooks prints (stored_outputs.py).
"""

import math
import re
from functools import lru_cache
from statistics import fmean, stdev

from scipy.stats import binom, t

from lessons import NUMBER, numbers
from mnist_helpers.labs.ledger import load_ledger, select


def near_share(share: float, expected: float, draws: int) -> bool:
    """Whether a share of independent draws lies within four standard errors of what is expected."""
    return abs(share - expected) < 4 * math.sqrt(expected * (1 - expected) / draws)


# ---------------------------------------------------------------- lesson 2


def dropout_doubles_or_drops(text):
    train, kept = (re.findall(r"[\d.]+", line) for line in re.findall(r"\[(.*)\]", text))
    assert set(train) == {"0.", "2."} and set(kept) == {"1."} and len(train) == len(kept) == 12


def dropout_drops_its_share(text):
    for rate, share, survivors, mean in numbers(text, r"p = #: # dropped, survivors #, mean #"):
        assert near_share(share, rate, 100_000)
        assert abs(survivors - 1 / (1 - rate)) < 0.006 and abs(mean - (1 - share) * survivors) < 0.003


def most_draws_are_right(text):
    assert _right_of_200_draws(text, 0.2) > 100


def it_depends_on_the_draw(text):
    assert 0 < _right_of_200_draws(text, 0.8) < 200


def _right_of_200_draws(text, rate):
    ((shown, first, second, right),) = numbers(
        text, r"dropout rate #, train\(\): # of 128 and # of 64 .*Of 200 draws # answer 0"
    )
    assert shown == rate and near_share(first / 128, rate, 128) and near_share(second / 64, rate, 64)
    return right


def switching_on_is_not_training(text):
    rows = numbers(text, r"dropout rate #: trained with it # ± # %, switched on # ± # %")
    assert [rate for rate, *_ in rows] == [0.0, 0.2, 0.5, 0.8]
    *_, (_, trained, _, switched_on, _) = rows
    assert trained - switched_on > 20, "far better"
    assert rows[1][1] > rows[1][3], "trained at 0.2 and answering without dropout is better than with it"


# ---------------------------------------------------------------- lesson 3a


def batches_agree_at_the_start_only(text):
    rows = {place: numbers(text, rf"{place} +mean #, standard deviation #")[0] for place in ("start", "lowest point")}
    (start, start_spread), (lowest, spread) = rows.values()
    assert start < -4 * start_spread, "nearly all batches point the same way"
    assert abs(lowest) < spread / 4, "four standard errors of the mean of 500 batches are less"


def small_steps_rest_lower(text):
    ((large, above_large), (small, above_small)) = numbers(text, "learning rate #: # above the lowest loss")
    assert (large, small) == (0.7, 0.07) and 0 < above_small < above_large / 3


def sigmoid_layers_shrink_it_more(text):
    (relu, _), (sigmoid, _) = numbers(text, r"(?:ReLU|sigmoid) +# ± #")
    assert abs(relu - math.sqrt(1 / 6)) < 0.1 and abs(sigmoid - math.sqrt(1 / 3) / 4) < 0.03, "as worked out"


def depth_and_optimizer_decide(text):
    """Percent of right answers with 2 hidden layers and with 6, each with SGD and with Adam."""
    rows = numbers(text, r"(?:ReLU|sigmoid) +# +#")
    means = [(relu, sigmoid) for (relu, _), (sigmoid, _) in zip(rows[::2], rows[1::2], strict=True)]
    shallow_sgd, shallow_adam, deep_sgd, deep_adam = means
    for relu, sigmoid in (shallow_sgd, shallow_adam):
        assert 75 < sigmoid < relu, "both learn, the sigmoid ends behind"
    assert deep_sgd[1] < 20 and deep_sgd[0] > 50, "near chance; and learnt"
    assert 25 < deep_adam[1] < deep_adam[0] - 3 and deep_adam[0] > 80, "it learns, and is still behind"


# ---------------------------------------------------------------- lesson 3


def a_linear_layer_reads_nine_of_ten(text):
    first, last = [accuracy for _, accuracy in numbers(text, r"epoch #: validation accuracy #%")]
    assert 88 < first < 93 and 90 < last < 93


def hidden_layers_halve_the_mistakes(text):
    """About: the linear layer leaves 7 to 10 % wrong, see above."""
    first, last = [accuracy for _, accuracy in numbers(text, r"epoch #: validation accuracy #%")]
    assert 93 < first < last and 100 - 0.6 * 7 < last < 100 - 0.25 * 10


def a_loop_from_a_blank_cell(text):
    ((accuracy,),) = numbers(text, r"validation accuracy #%")
    assert 89 < accuracy < 96


def one_step_lowers_the_loss(text):
    ((before, after),) = numbers(text, r"before #, after #")
    assert 0.9 * before < after < before, "it fell, by a little"


def running_is_the_lowest(text):
    (running, train, valid) = numbers(text, r"\w+: +loss #, accuracy #%")
    assert running[1] < min(train[1], valid[1]) and running[0] > max(train[0], valid[0])
    assert valid[1] > 50, "most digits are read correctly"
    assert abs(train[1] - valid[1]) < min(train[1], valid[1]) - running[1], "these two lie close together"


def both_checks_pass(text):
    ((first, last),) = numbers(text, r"before the first step #, after 100 steps #")
    assert abs(first - math.log(10)) < 0.1 and last < 0.03


def some_are_wrong_after_10_steps(text):
    ((loss, right),) = numbers(text, r"Step 10 of 100: loss #, # of 32 answers right")
    assert loss < math.log(10) and 3 < right < 32


def right_before_the_loss_is_0(text):
    ((step, loss, right),) = numbers(text, r"Step # of 100: loss #, # of 32 answers right")
    assert 0 < step < 100 and right == 32 and loss > 0.05, "all right, and still far from 0"


def each_check_finds_its_fault(text):
    losses = {
        name: (float(first), float(last))
        for name, first, last in re.findall(rf"(?m)^(.+?) +first loss +{NUMBER}, after 100 steps {NUMBER}", text)
    }
    (good, learnt), (far, also_learnt), (near, stuck) = losses.values()
    assert list(losses) == ["no fault", "pixels up to 255", "softmax before the loss"]
    assert abs(good - math.log(10)) < 0.1 and max(learnt, also_learnt) < 0.03
    assert far > 2 * math.log(10) and abs(near - math.log(10)) < 0.1
    assert math.log(math.e + 9) - 1 <= round(stuck, 3) + 0.001 < 1.9, "not below the bound that the text names"


def shuffled_labels_pass_both_checks(text):
    both_checks_pass(text)
    ((accuracy,),) = numbers(text, r"validation: loss \d+\.\d+, accuracy #%")
    assert 3 < accuracy < 20, "chance"


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
    first, fifth, last = (rows[epoch - 1][4] for epoch in (1, 5, 10))
    assert first > 0.9 and fifth - first > last - fifth, "most in the first epoch, little in the last five"


def a_run_takes_440_kilobytes(text):
    ((size,),) = numbers(text, r"# kB")
    assert abs(size - 440) <= 5


# ---------------------------------------------------------------- lesson 3c


def seeds_differ(text):
    rows = numbers(text, r"seed (\d): validation accuracy # %")
    accuracies = [accuracy for _, accuracy in rows]
    assert len(rows) == 5 and max(accuracies) - min(accuracies) > 0.1, "by more than a tenth of a point"
    assert min(accuracies) > 80 and max(accuracies) < 95


def the_range_is_wider_than_the_deviation(text):
    ((mean, deviation, width),) = numbers(text, r"# %, sd # points, from lowest to highest # points")
    assert 80 < mean < 95 and 0 < deviation < width and width > 0.1


def the_gap_stays(text):
    means = {name: [] for name in ("both", "dropout alone", "weight decay alone", "neither")}
    for name, values in re.findall(r"(?m)^([a-z]+(?: [a-z]+)*) +((?:\d.\d+ \(\d.\d+\) *)+)$", text):
        means[name] += [float(value) for value in re.findall(r"(\d.\d+) \(", values)]  # a wide table has two parts
    for last_loss, best_loss, *_, last_gap, best_gap in means.values():
        assert best_loss < last_loss and best_gap < last_gap, "it grows until the last epoch"
        assert best_gap > means["neither"][4] / 2, "it stays large"
    grown = {name: values[4] - values[5] for name, values in means.items()}
    assert max(grown["both"], grown["dropout alone"]) < grown["neither"], "with dropout by less"
    assert means["neither"][3] <= means["neither"][2], "its accuracy is no better at the best epoch"
    assert means["neither"][0] - means["neither"][1] > 0.03, "the loss rises clearly"
    assert max(means["both"][0], means["dropout alone"][0]) < means["neither"][0]


def part_of_the_effect_is_when_we_stop(text):
    pattern = rf"(\w+), (last|best) epoch, (.+) − neither: {NUMBER} ± {NUMBER}"
    found = {tuple(key): (float(mean), float(half)) for *key, mean, half in re.findall(pattern, text)}
    for setting in ("both", "dropout alone"):
        (last, half), (best, _) = found["loss", "last", setting], found["loss", "best", setting]
        assert last + half < 0, "clearly lower after the last epoch"
        assert last / 2 < best < 0, "still lower at the best epoch, most of the effect is gone"
        for moment in ("last", "best"):
            accuracy, wide = found["accuracy", moment, setting]
            assert -wide < accuracy < 0.01, "less than one percentage point, as far as can be told more"
    decay, dropout = found["loss", "last", "weight decay alone"], found["loss", "last", "dropout alone"]
    assert abs(decay[0]) < abs(dropout[0]) / 2, "much closer to neither"


def pairs_scatter_less(text):
    rows = numbers(text, r"− neither: sd in pairs #, with other seeds #")
    assert len(rows) == 3 and sum(paired for paired, _ in rows) < sum(unpaired for _, unpaired in rows)


def a_middle_rate_is_best(text):
    rows = numbers(text, r"learning rate #: validation accuracy # %, sd # points")
    assert [rate for rate, *_ in rows] == [1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1.0]
    lowest, low, middle, high, *too_high = [accuracy for _, accuracy, _ in rows]
    assert lowest < low < min(middle, high) and abs(middle - high) < 3, "the best two differ little"
    assert max(lowest, *too_high) < 60


def a_huge_rate_diverges(text):
    ((epoch, step),) = numbers(text, r"epoch #: the loss became \w+ at step #:")
    assert epoch == 1 and step <= 10


def a_schedule_suits_a_larger_rate(text):
    pattern = r"starting at #, valid_{}: constant #, cosine #, difference # ± #"
    (small, *_, worse, _), (large, *_, better, _) = numbers(text, pattern.format("loss"))
    assert (small, large) == (0.001, 0.003) and better < 0 < worse, "the loss is lower only from the larger rate"
    (*_, loses, _), (*_, wins, _) = numbers(text, pattern.format("accuracy"))
    assert loses < 0 and loses < wins


def sgd_needs_a_larger_rate(text):
    accuracies = {
        rate: mean for rate, mean, _ in numbers(text, r"SGD, learning rate #: validation accuracy # %, sd # points")
    }
    assert max(accuracies, key=accuracies.get) == 0.1 and accuracies[0.001] < 50


def noise_falls_with_the_root(text):
    ((length,),) = numbers(text, r"gradient of all images: #")
    rows = {size: values for size, *values in numbers(text, r"batch size +#: distance #, distance × √size = #")}
    assert list(rows) == [8, 32, 128, 512] and rows[8][0] > length, "with the smallest larger than the gradient itself"
    products = [product for _, product in rows.values()]
    assert max(products) < 1.3 * min(products)
    for size, (distance, product) in rows.items():
        assert abs(distance * size**0.5 - product) < 0.02 * product


def epochs_or_steps(text):
    pattern = r"batch size +#, .* an epoch; after {}: # %, sd # points"
    epochs, steps = [
        {size: mean for size, mean, _ in numbers(text, pattern.format(words))} for words in ("4 epochs", "256 steps")
    ]
    assert min(epochs[8], epochs[32]) > epochs[128] > epochs[512], "small batches lead by epochs"
    assert steps[8] < steps[32] < min(steps[128], steps[512]), "large ones by steps"


def a_large_batch_bears_a_larger_rate(text):
    first, *larger = [
        mean for _, mean, _ in numbers(text, r"512, learning rate #: validation accuracy # %, sd # points")
    ]
    assert len(larger) == 2 and max(larger) > first + 5


def the_cnn_is_ahead(text):
    means = [mean for mean, _ in numbers(text, r"validation accuracy # %, sd # points, \d+\.\d+ s an epoch")]
    (linear, plain, cnn) = means
    assert 80 < linear < plain < cnn < 99


def nearest_mean_is_last(text):
    """A linear classifier removes more than half of its mistakes."""
    ((mean, deviation),) = numbers(text, r"nearest mean, validation # %, sd # points")
    linear = select(load_ledger(), network="linear").query("epoch == epochs")["valid_accuracy"].mean()
    assert 100 * (1 - linear) < (100 - mean) / 2 < 15 and deviation < 1


def standardized_ends_ahead(text):
    """In the mean over the seeds."""
    rows = numbers(text, r"seed \d: scaled #%, standardized #%")
    assert len(rows) == 5 and sum(scaled for scaled, _ in rows) < sum(standardized for _, standardized in rows)


def standardized_leads_most_in_the_first_epoch(text):
    (first, _), (last, _) = numbers(text, r"epoch +\d+: (?:scaled − standardized )?# ± #")
    assert first < last < 0


def a_live_run_is_finished(text):
    ((train, valid),) = numbers(text, r"dropout 0\.5, .*finished at epoch 10 of 10.*accuracy #%.*accuracy #%")
    assert valid < train


# ---------------------------------------------------------------- lesson 4


def the_untrained_network_guesses(text):
    ((loss, accuracy),) = numbers(text, r"untrained: loss #, accuracy #%")
    assert abs(loss - math.log(10)) < 0.1 and abs(accuracy - 10) <= 6


def most_of_it_is_the_handicap(text):
    ((off, on),) = numbers(text, r"dropout off #%, on #%")
    ((running,),) = numbers(text, r"dropout on: #%")
    assert off - on > abs(on - running), "most of the difference"


def the_loss_turns_and_rises(text):
    """The loss gets clearly worse, while the mistakes hardly change in number: less than half as much."""
    (best, *_, lowest, then), (last, train_loss, train_accuracy, loss, accuracy) = numbers(text, r"\n(\d+)" + " +#" * 4)
    assert best < last == 40 and train_loss < 0.01 and train_accuracy > 0.999
    assert loss / lowest - 1 > 2 * abs(accuracy - then) / (1 - then)


def the_same_answers_more_confident(text):
    """More sure of the very same wrong images."""
    ((same,),) = numbers(text, r"same answer on #%")
    ((before, after),) = numbers(text, r"wrong at both: #, then (\d\.\d+)")
    assert same > 90 and after > before


def units_die_at_the_start(text):
    before, early, late = (count for (count,) in numbers(text, r" # of 128 units are never active"))
    assert before <= 1 < late < 32 and abs(late - early) <= 0.5 * late, "most of them in the first epoch"


def dead_units_hardly_move(text):
    ((dead, others),) = numbers(text, r"dead units #, the others #")
    assert 0 < dead < 0.3 * others


def first_epoch_of_forty(text):
    assert _weights_of_forty(text, 1) < 1.5 * START


def last_epoch_of_forty(text):
    assert _weights_of_forty(text, 40) > 1.5 * START, "they go on growing"


START = 0.5 / math.sqrt(784)  # the mean size of the first layer's weights before training: uniform up to 1/√784


def _weights_of_forty(text, shown):
    ((epoch, best, size),) = numbers(text, r"Epoch # of 40: .*?lowest in epoch #\).*?first layer's weights: (0\.\d+)")
    assert epoch == shown and best < 20, "validation stopped improving long ago"
    return size


def held_back_too_much(text):
    pattern = rf"(?m)^(.+?) +training loss {NUMBER} \({NUMBER}% in the last two epochs\), validation loss {NUMBER}"
    rows = {name: tuple(map(float, values)) for name, *values in re.findall(pattern, text)}
    assert list(rows) == ["3 epochs", "2 hidden units", "dropout 0.9"]
    for train, _, valid in rows.values():
        assert train > 0.6 and 1 < valid / train < 1.25, "a high loss and a small gap"
    (few_epochs, *others) = [change for _, change, _ in rows.values()]
    assert few_epochs < -30 and min(others) > -12 and few_epochs < 3 * min(others), "only one falls steeply"


def stopped_five_epochs_after_the_best(text):
    """The weights of the best epoch are back, and with them its loss."""
    (stopped, last), (best, lowest) = numbers(text, r"epoch #, validation loss #")
    assert stopped - best == 5 and stopped < 40 and lowest < last


def the_minimum_is_flat(text):
    """The best epoch moves more, as a share of itself, than the loss there."""
    (epochs,) = re.findall(r"best epochs: \[(.*)\]", text)
    best = [int(epoch) for epoch in epochs.split(",")]
    ((mean, deviation, share),) = numbers(text, r"lowest validation loss: # ± # .*sd / mean #%")
    assert len(best) == 5 and deviation * fmean(best) < mean * stdev(best)
    assert share < 6, "nearly the same"


# ---------------------------------------------------------------- lesson 6


def images_are_luck_too(text):
    ((of_seeds, of_images, both),) = numbers(text, r"luck of the seeds ± #, luck of the images ± #, both ± #")
    assert 0.1 < of_images < 0.4, "of a size that matters"
    assert abs(both - math.hypot(of_seeds, of_images)) < 0.015


def weight_decay_takes_dead_units(text):
    """Some units are dead in both networks; only weight decay takes their weights away."""
    rows = numbers(text, r"weight decay #: # of 128 units are dead, mean norm of their weights #; of the others #")
    (without, dead, kept, alive), (decay, more, gone, smaller) = rows
    assert without == 0 < decay and min(dead, more) >= 1, "in both"
    assert abs(kept - math.sqrt(1 / 3)) < 0.1 and gone < 0.1 < smaller < alive, "the random weights of the start"


# ---------------------------------------------------------------- lesson 7


def a_wide_one_is_misread(text):
    ((plain, said, times),) = numbers(text, r"1, wide\. Plain softmax: (\d) with .*\d for (\d); answers: # times")
    assert plain != 1 != said and times < 100, "and the passes do not all agree"


def the_passes_agree_about_a_letter(text):
    ((sure, times),) = numbers(text, r"R, a letter\. Plain softmax: \d with probability #\. .*answers: # times")
    assert sure > 0.9 and times >= binom.ppf(1e-4, 100, AGREEING)


AGREEING = 0.998  # the share of 20,000 passes of the run in the package that agree about the R


def the_passes_of_noise_mostly_agree(text):
    ((times,),) = numbers(text, r"noise\. Plain softmax: .*answers: # times")
    assert 50 < times <= 100


def passes_lower_some_confidence(text):
    rows = re.findall(
        r"(?m)^(.+?) +plain +(\d+)% +100 passes +(\d+)% +\(mean of the passes: ([\d.]+) to ([\d.]+)", text
    )
    right, wrong, drawn, letters, noise = (tuple(map(float, values)) for _, *values in rows)
    lost = [1 - passes / plain for plain, passes, *_ in (right, drawn, wrong, letters, noise)]
    assert min(lost[:2]) >= 0 and max(lost[:2]) < min(lost[2:]), "wrong answers, letters and noise lose most"
    assert 100 - right[1] > 1.3 * (100 - right[0]), "clearly more right answers are refused"
    assert letters[0] > 0, "with some letters it is almost sure"
    assert letters[3] > drawn[2], "no threshold keeps all digits and refuses all letters"


def a_repair_is_finished(text):
    ((epoch, plain, shifted),) = numbers(text, r"epoch # of 10\. Accuracy: validation #%, .*by up to 4 #%")
    assert epoch == 10 and min(plain, shifted) > 50


def shifts_repair_and_cost(text):
    rows = {
        name: (float(gain), float(half), higher)
        for name, gain, half, higher in re.findall(
            rf"(?m)^(.+?) +[\d.]+ % \(.+?\) → +[\d.]+ % \(.+?\) +{NUMBER} ± {NUMBER} points, higher in (\d) of 3 seeds",
            text,
        )
    }
    (plain, *_), (shifted, half, _), (drawn, wide, _), (*_, higher) = rows.values()
    assert plain < 0, "it loses"
    assert shifted - half > 0 and shifted > -plain, "a great deal"
    assert drawn - wide < 0, "nothing is gained"
    assert higher == "3" and list(rows)[3] == "drawings, not centred"


def the_direction_matters(text):
    steps = {size: shares for size, *shares in numbers(text, r"at most #: accuracy +#%, with random signs +#%")}
    assert list(steps) == [0.0, 0.05, 0.1, 0.15, 0.2]
    assert steps[0.1][0] < 50 < steps[0.1][1] < steps[0.0][0], "most flip within ten steps, at random few"
    along = [share for share, _ in steps.values()]
    assert along == sorted(along, reverse=True)


def the_network_is_too_sure(text):
    ((temperature, images),) = numbers(text, r"temperature #; # test images")
    assert 1 < temperature < 2 and images == 10_000


def confidences_compared(text):
    rows = {
        name: tuple(map(float, values))
        for name, *values in re.findall(rf"(?m)^ *(\w[\w ]*?) +{' +'.join(6 * [NUMBER])}$", text)
    }
    assert list(rows) == ["plain", "temperature", "100 passes", "ten networks"]
    wrong, ece, too_sure, area, *_ = zip(*rows.values())
    assert wrong[0] == wrong[1] and wrong[3] < min(wrong[:3]), "the ten make fewer mistakes"
    assert too_sure[0] > 0.2 > abs(too_sure[1]) and too_sure[2] < -0.5, "too sure, mended, not sure enough"
    assert ece[1] < ece[0] and min(area) > 0.9
    for *_, low, high in rows.values():
        assert low <= 0 <= high, "no difference to plain softmax is seen"


def the_steps_transfer(text):
    (own, half), (others, wide), (random, _) = numbers(text, r"# ± # % right")
    assert own + half < others - wide < others + wide < random - 20
    assert others - own > 10 and others < 80


def training_with_steps_helps_and_costs(text):
    plain, near, far = numbers(text, r"at most #: # % → # % right, # ± # points")
    assert plain[3] + plain[4] < 0, "it loses"
    assert near[3] - near[4] > 20 and far[2] < 50, "far more; most are still wrong"


# ---------------------------------------------------------------- lesson 9


def one_process_learns(text):
    losses = [loss for _, loss in numbers(text, r"process 0 \(id \d+\): epoch #, running loss #")]
    assert len(losses) == 3 and 2.4 > losses[0] > losses[1] > losses[2] > 0.5


def two_processes_learn(text):
    lines = numbers(text, r"process # \(id \d+\): epoch #, running loss #, \d+\.\d+ s")
    assert sorted((rank, epoch) for rank, epoch, _ in lines) == [
        (rank, epoch) for rank in (0, 1) for epoch in (1, 2, 3)
    ]
    assert all(first > 1.8 for _, epoch, first in lines if epoch == 1)
    assert all(0.5 < last < 1.8 for _, epoch, last in lines if epoch == 3)


def one_and_two_processes_agree(text):
    ((moved,), (apart,)) = numbers(text, r"at most +#")
    assert moved > 0.01 and apart < moved / 1000


def the_cnn_computes_longest_and_sends_least(text):
    rows = numbers(text, r"(?:MNISTNet|wide|cnn) +# s \+ +# millionths of a second for each image, +# bytes")
    mnistnet, wide, cnn = [row[1:] for row in rows]
    assert cnn[0] > 3 * mnistnet[0] and wide[0] > mnistnet[0] and cnn[1] < mnistnet[1] < wide[1]


def more_bytes_take_longer(text):
    rows = numbers(text, r"# bytes: # s")
    assert [size for size, _ in rows] == [4, 437_544, 40_000_000]
    assert 0 < min(rows[0][1], rows[1][1]) < max(rows[0][1], rows[1][1]) < rows[2][1]


def the_cnn_is_predicted_to_gain_more(text):
    ratios = numbers(text, r"ratios # and #")
    (mnistnet, measured), (cnn, measured_too) = ratios
    assert 0.2 < cnn < 0.9 * mnistnet and min(measured, measured_too) > 0.2


def latency_eats_a_small_network(text):
    rows = numbers(text, r"(?:MNISTNet|cnn) +# +# +# +#")
    mnistnet, cnn = rows[:4], rows[4:]
    assert [workers for workers, *_ in mnistnet] == [workers for workers, *_ in cnn] == [2, 8, 64, 1000]
    assert mnistnet[-1][2] > mnistnet[-1][1] and cnn[2][1] > cnn[2][2]
    assert all(large[3] > small[3] for small, large in zip(mnistnet, cnn))


def mnistnet_is_far_from_ideal(text):
    assert 0 < _speed_up_of_1000(text) < 200


def the_cnn_is_near_the_ideal(text):
    assert 400 < _speed_up_of_1000(text) <= 1000


def _speed_up_of_1000(words):
    ((gain,),) = numbers(words, r"# times with 1,000 workers")
    return gain


def killed_and_undisturbed_are_equal(text):
    epochs = numbers(text, r"process [01]: goes on after epoch #")
    assert "killed: True" in text and epochs in ([(1.0,)] * 2, [(2.0,)] * 2)
    assert numbers(text, r"difference from the undisturbed run: #") == [(0.0,)]


def a_student_needs_about_a_gigabyte(text):
    ((sample, full, seconds),) = numbers(text, r"memory # GB, with full MNIST about # GB; processor # s")
    assert 0.5 < sample < full < 1.6 and 2 < seconds < 200


def memory_is_what_a_class_needs(text):
    (few, many) = numbers(text, r"\n\d +# +# +# +#")
    assert (few[0], many[0]) == (30, 3000) and few[1] > 15 and few[2] < 1 and few[3] > few[2]


# ---------------------------------------------------------------- lesson 8


def healthy_runs(text):
    rows = [numbers(text, rf"{name} +from # to #")[0] for name in ("first_step", "valid_accuracy", "test_accuracy")]
    assert all(abs(limit - math.log(10)) < 0.05 for limit in rows[0]), "near ln 10"
    assert all(0.015 < high - low < 0.08 for low, high in rows[1:]), "several points"


def case_a(text):
    _unusual(text, "A", ["lowest step", "training accuracy", "validation accuracy"])
    ((training, validation),) = numbers(text, "training accuracy #%, validation accuracy #%")
    assert validation < 20 and validation + 10 < training < 50, "far below the usual, and apart"


def case_d(text):
    _unusual(text, "D", ["lowest step", "training loss"])
    ((lowest,),) = numbers(text, "lowest step #")
    assert 1.46 < lowest < 1.6 and "validation accuracy" not in text.partition(". The")[0]


def case_h(text):
    _unusual(text, "H", ["validation accuracy"])
    ((recorded, again, once_more, test),) = numbers(
        text, "kept epoch #, measured again #, once more #, test loss of the kept epoch #"
    )
    assert recorded == again == once_more < test / 2


def _unusual(text, case, names):
    told = text.partition("Unusual: ")[2].partition(". The validation loss")[0]
    assert f"Case {case}." in text and all(name in told for name in names)


def case_a_is_repaired(text):
    _repaired(text, "A")


def case_f_is_repaired(text):
    _repaired(text, "F")


def case_i_is_repaired(text):
    _repaired(text, "I")


def _repaired(words, case):
    ((mean, low, high),) = numbers(words, rf"{case}: repaired. Mean test accuracy #%; healthy runs have #% to #%")
    assert 85 < low < high < 95 and low - 1 < mean < high + 1


def choosing_on_test_gains_little(text):
    ((gain, half, seeds),) = numbers(text, "J minus healthy: # ± # points, # seeds")
    assert seeds == 10 and abs(gain) < 1 and half < 1


def each_sign_is_its_faults_own(text):
    rows = {
        row[0]: [float(number) for number in re.findall(r"[+-]?\d+(?:\.\d+)?", row[1:])]
        for row in re.findall(r"(?m)^[A-J] +[+-]\d.*$", text)
    }
    assert list(rows) == list("ABCDEFGHIJ") and all(row[4:] == [5, 0] for row in rows.values())
    holds_zero = {case for case, (_, _, valid, half, *_) in rows.items() if abs(valid) <= half}
    assert {"G", "J"} <= holds_zero and not holds_zero & set("ABCFH") and rows["H"][2] > 0
