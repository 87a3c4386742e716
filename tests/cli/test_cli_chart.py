"""The strip chart of `cachannel monitor --plot`."""

import math

from cachannel.cli.live import Chart

LEFT_TOP, LEFT_BOTTOM = 0x01, 0x40


def chart(points: list[tuple[float, float]], *, height: int = 2, span: float = 10.0) -> Chart:
    made = Chart(span)
    made.height, made.end = height, 10.0
    for moment, value in points:
        made.add("pv", moment, value)
    return made


def test_values_go_from_the_bottom_to_the_top() -> None:
    made = chart([(0.0, 1.0), (5.0, 3.0)])
    assert made.limits() == (1.0, 3.0)
    top, bottom = made.dots(10)
    assert bottom[0][0] & LEFT_BOTTOM
    assert top[9][0] & LEFT_TOP
    assert not top[0][0]
    assert not bottom[9][0]


def test_a_step_is_a_stroke_from_one_value_to_the_next() -> None:
    top, bottom = chart([(0.0, 0.0), (5.0, 1.0)]).dots(10)
    both = [index for index in range(10) if top[index][0] and bottom[index][0]]
    assert both in ([4], [5])


def test_what_is_no_number_makes_a_gap() -> None:
    made = chart([(0.0, 1.0), (3.0, math.nan), (6.0, 1.0)])
    assert made.limits() == (0.9, 1.1)
    shown = [any(cell[0] for cell in column) for column in zip(*made.dots(10), strict=True)]
    assert shown[1]
    assert not shown[4]
    assert shown[8]


def test_the_value_from_before_the_left_edge_still_holds() -> None:
    made = Chart(10.0)
    made.height, made.end = 2, 100.0
    made.add("pv", 1.0, 5.0)
    made.add("pv", 50.0, 7.0)
    made.add("pv", 99.0, 7.5)
    assert made.limits() == (7.0, 7.5)
    assert any(row[0][0] for row in made.dots(10))


def test_nothing_to_show_is_an_empty_chart() -> None:
    made = Chart(10.0)
    assert made.limits() == (0.0, 1.0)
    assert not any(cell[0] for row in made.dots(10) for cell in row)
