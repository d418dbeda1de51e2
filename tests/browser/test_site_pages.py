"""The site for reading in the browser, as wide as a projector and as narrow as a phone."""

import pytest

from test_site import build_site

SIZES = pytest.mark.parametrize("width, height", [(1280, 720), (390, 844)])
SHOWN = """() => [document.documentElement.scrollWidth, [...document.querySelectorAll('article img')].map(image => {
    image.closest('details')?.setAttribute('open', '');
    const column = image.closest('.cell_output, p');
    return [image.getBoundingClientRect().width, Math.min(column.clientWidth, image.naturalWidth)] })]"""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    return build_site(tmp_path_factory.mktemp("site"))


@pytest.fixture
def console():
    """No lesson is opened in JupyterLab here."""


@SIZES
def test_no_page_scrolls_sideways_and_each_figure_has_its_width_or_that_of_the_column(site, new_page, width, height):
    page, figures, errors = new_page(), 0, []
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.set_viewport_size({"width": width, "height": height})
    for file in sorted(site.glob("*.html")):
        page.goto(file.as_uri())
        needed, images = page.evaluate(SHOWN)
        assert needed <= width, file.name
        assert [widths for widths in images if abs(widths[0] - widths[1]) > 1] == [], file.name
        figures += len(images)
    assert figures > 50 and errors == []


@SIZES
def test_search_launch_buttons_and_solutions_work(site, new_page, width, height):
    page = new_page()
    page.set_viewport_size({"width": width, "height": height})
    page.goto(f"{(site / 'search.html').as_uri()}?q=dropout")
    page.locator("#search-results a[href*='02_architecture.html']").first.click()
    page.get_by_label("Launch interactive content").click()
    for name in ("Binder", "Colab"):
        assert page.get_by_role("link", name=name).is_visible()
    solution = page.locator("article details").last
    assert not solution.locator("pre").first.is_visible()
    solution.locator("summary").click()
    assert solution.locator("pre").first.is_visible()
