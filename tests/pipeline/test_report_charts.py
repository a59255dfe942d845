"""The charts of the report: ticks that people read, marks at the right places, and nothing unescaped."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from sagehound.pipeline.report.charts.curves import MOST_MARKS, Curve, draw_curves, values_range
from sagehound.pipeline.report.charts.heatmap import draw_confusion, least_drawn
from sagehound.pipeline.report.charts.reliability import draw_reliability
from sagehound.pipeline.report.charts.scales import Bands, Linear, Logarithmic, nice_step, short
from sagehound.pipeline.report.charts.search import (
    Mark,
    Objective,
    best_so_far,
    draw_best_so_far,
    draw_scatter,
    hyperparameter_scale,
)
from sagehound.pipeline.report.charts.svg import element
from sagehound.pipeline.report.documents import Bin

HOSTILE = '<script>alert("1")</script>\' & </svg>'


def titles(svg: str) -> list[str]:
    return [title.text or "" for title in ElementTree.fromstring(svg).iter("title")]


@pytest.mark.parametrize(
    ("low", "high", "wanted", "words"),
    [
        (0.0, 1.0, 5, ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
        (0.31, 0.37, 4, ["0.32", "0.34", "0.36"]),
        (0, 5000, 5, ["0", "1,000", "2,000", "3,000", "4,000", "5,000"]),
        (-0.5, 0.5, 4, ["-0.50", "-0.25", "0.00", "0.25", "0.50"]),
        (4.78, 4.89, 4, ["4.800", "4.825", "4.850", "4.875"]),
    ],
)
def test_ticks_are_round_numbers_within_the_axis(low: float, high: float, wanted: int, words: list[str]) -> None:
    assert [told for _, told in Linear(low, high, 0, 100, wanted=wanted).ticks()] == words


def test_whole_axes_have_no_mark_between_two_epochs() -> None:
    assert [told for _, told in Linear(1, 3, 0, 100, wanted=6, whole=True).ticks()] == ["1", "2", "3"]
    assert all("." not in told for _, told in Linear(1, 20, 0, 100, wanted=8, whole=True).ticks())


def test_shares_are_told_in_per_cent() -> None:
    assert [told for _, told in Linear(0.9, 1.0, 0, 1, wanted=4, percent=True).ticks()] == [
        "90.0 %",
        "92.5 %",
        "95.0 %",
        "97.5 %",
        "100.0 %",
    ]


def test_places_are_linear_and_held_within_the_axis() -> None:
    scale = Linear(0, 10, 100, 200)
    assert [scale.place(value) for value in (0, 5, 10, -3, 99)] == [100, 150, 200, 100, 200]


def test_logarithmic_places_have_equal_factors_apart() -> None:
    scale = Logarithmic(0.001, 0.1, 0, 100)
    assert scale.place(0.01) == pytest.approx(50)
    assert [told for _, told in scale.ticks()] == ["0.001", "0.002", "0.005", "0.01", "0.02", "0.05", "0.1"]
    assert next(told for _, told in Logarithmic(1e-6, 1, 0, 100).ticks()) == "1e-6"
    assert len(Logarithmic(1e-9, 1e9, 0, 100).ticks()) <= 8
    assert len(Logarithmic(0.5, 0.9, 0, 100).ticks()) >= 3


def test_steps_are_of_1_2_5_times_a_power_of_ten() -> None:
    assert [nice_step(span, 5) for span in (1, 12, 0.003, 26)] == pytest.approx([0.2, 2.5, 0.0005, 5])


def test_numbers_are_short() -> None:
    assert [short(value) for value in (0, 64, 0.001, 1e-5, 0.00330147511916, 12345.6)] == [
        "0",
        "64",
        "0.001",
        "1e-5",
        "0.003301",
        "12,346",
    ]


def test_many_categories_are_not_all_named() -> None:
    assert len(Bands(tuple(str(number) for number in range(100)), 0, 100).ticks()) <= 12


def test_text_of_others_is_escaped_in_elements_and_attributes() -> None:
    written = str(element("text", {"data-name": HOSTILE}, HOSTILE))
    assert ElementTree.fromstring(written).text == HOSTILE
    assert ElementTree.fromstring(written).get("data-name") == HOSTILE


def test_curves_share_a_scale_and_leave_out_what_is_no_number() -> None:
    curves = [
        Curve("train", "train", ((1.0, 2.0), (2.0, float("nan")), (3.0, 1.0))),
        Curve(HOSTILE, "other", ((1.0, float("inf")),)),
    ]
    svg = draw_curves("loss", curves, "epoch", (0.0, 4.0), chance=3.0)
    assert titles(svg) == ["train, epoch 1: 2.000", "train, epoch 3: 1.000"]
    assert "chance 3.000" in svg
    assert draw_curves("loss", curves[1:], "epoch") == ""
    # The highest of the scale lies at the top, so 2.0 of 4.0 lies in the middle of the plot.
    first, last = (float(place) for place in re.findall(r'cy="([\d.]+)" r="2.6"', svg))
    assert first < last


def test_a_curve_of_one_point_or_of_equal_values_can_be_drawn() -> None:
    for points in (((1.0, 0.5),), ((1.0, 0.0), (2.0, 0.0))):
        svg = draw_curves("accuracy", [Curve("x", "test", points)], "epoch", percent=True)
        assert len(titles(svg)) == len(points)


def test_an_accuracy_axis_ends_at_one() -> None:
    low, high = values_range([0.2, 1.0], percent=True)
    assert low < 0.2
    assert high == 1.0
    assert values_range([0.01, 2.0], percent=False)[0] == 0.0


MARKS = [
    Mark(0.001, 2.0, "trial 1"),
    Mark(0.01, None, "trial 2 failed"),
    Mark(0.02, 0.5, "trial 3", best=True),
    Mark(0.1, 0.9, "trial 4", stopped=True),
]


def test_the_best_so_far_passes_over_trials_without_a_value() -> None:
    assert best_so_far(MARKS, minimize=True) == [(0.001, 2.0), (0.02, 0.5), (0.1, 0.5)]
    assert best_so_far(MARKS, minimize=False) == [(0.001, 2.0), (0.02, 2.0), (0.1, 2.0)]
    assert best_so_far([MARKS[1]], minimize=True) == []


def test_a_scatter_rings_the_best_and_crosses_the_failed() -> None:
    axis = hyperparameter_scale([], (0.001, 0.1), logarithmic=True)
    assert isinstance(axis, Logarithmic)
    objective = Objective.of("validation:loss", [2.0, 0.5, 0.9], 4.89)
    svg = draw_scatter(objective, axis, "learning_rate", MARKS)
    tree = ElementTree.fromstring(svg)
    groups = {group.find("title").text: group for group in tree.iter("g")}  # type: ignore[union-attr]
    assert set(groups) == {mark.tip for mark in MARKS}
    kinds = {tip: [part.get("class") for part in group if part.get("class")] for tip, group in groups.items()}
    assert kinds["trial 2 failed"] == ["cross", "felt"]
    assert "ring" in kinds["trial 3"]
    assert "trial stopped" in kinds["trial 4"]
    assert "no value" in svg
    assert "↑ chance 4.89" in svg
    assert "without a value; best: trial 3" in (tree.get("aria-label") or "")


def test_the_chance_level_is_a_line_where_trials_come_near_it() -> None:
    near = Objective.of("validation:loss", [4.7, 4.9], 4.89)
    assert 'class="chance"' in draw_best_so_far(near, [Mark(1, 4.7, "a"), Mark(2, 4.9, "b")], minimize=True)
    far = Objective.of("validation:loss", [0.4, 0.6], 4.89)
    assert 'class="chance"' not in draw_best_so_far(far, [Mark(1, 0.4, "a"), Mark(2, 0.6, "b")], minimize=True)


def test_one_trial_that_exploded_does_not_flatten_the_others() -> None:
    assert Objective.of("loss", [0.5, 0.6, 0.7, 900.0], None).logarithmic
    assert not Objective.of("loss", [0.5, 0.6, 0.7, 0.9], None).logarithmic
    assert not Objective.of("loss", [-1.0, 0.6, 0.7, 900.0], None).logarithmic


def test_a_search_without_any_value_can_be_drawn() -> None:
    svg = draw_best_so_far(Objective.of("loss", [], None), [Mark(1, None, "failed")], minimize=True)
    assert titles(svg) == ["failed"]


def test_the_confusion_matrix_tells_each_cell_that_is_not_empty() -> None:
    svg = draw_confusion([[3, 1], [0, 4]], ["a", "b"], ["1.a", HOSTILE])
    cells = [told for told in titles(svg) if ":" in told]
    assert cells == ["1.a: 3 of 4 (75 %)", f"1.a taken for {HOSTILE}: 1 of 4 (25 %)", f"{HOSTILE}: 4 of 4 (100 %)"]


def test_a_matrix_of_many_classes_has_numbers_in_place_of_names() -> None:
    classes = 133
    counts = [[7 if true == taken else 0 for taken in range(classes)] for true in range(classes)]
    svg = draw_confusion(counts, [f"breed {n}" for n in range(classes)], [f"{n}.breed" for n in range(classes)])
    words = [part.text for part in ElementTree.fromstring(svg).iter("text")]
    assert "breed 5" not in words
    assert "130" in words
    assert len(titles(svg)) == classes


def test_the_reliability_diagram_shows_overconfidence_and_caution() -> None:
    bins = [Bin(0.0, 0.5, 0, 0.0, 0.0), Bin(0.5, 0.75, 10, 0.6, 0.9), Bin(0.75, 1.0, 5, 0.95, 0.4)]
    svg = draw_reliability(bins, 0.3)
    assert len(titles(svg)) == 2
    assert svg.count('class="missing"') == svg.count('class="more"') == 1
    assert "expected calibration error 0.300" in svg


def test_a_long_curve_is_drawn_whole_with_fewer_marks() -> None:
    points = tuple((float(number), 1.0 / number) for number in range(1, 1001))
    svg = draw_curves("loss", [Curve("train", "train", points)], "seconds")
    drawn = ElementTree.fromstring(svg).find(".//polyline")
    assert drawn is not None
    assert len((drawn.get("points") or "").split()) == 1000
    assert len(titles(svg)) <= MOST_MARKS


def test_of_too_many_mistakes_the_rare_ones_are_left_out() -> None:
    counts = [[9, 1, 1], [2, 0, 3], [0, 1, 9]]
    assert least_drawn(counts, most_cells=9) == 1
    assert least_drawn(counts, most_cells=2) == 2
    assert least_drawn(counts, most_cells=1) == 3
    cells = [told for told in titles(draw_confusion(counts, ["a"] * 3, ["a", "b", "c"], 2)) if ":" in told]
    assert len(cells) == 4  # two right ones, and the mistakes that happened twice and three times
