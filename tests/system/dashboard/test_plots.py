"""Plots say in words what they draw."""


def test_a_sparkline_says_what_it_shows(filled, visit):
    page = visit(filled, "/costs")
    row = page.get_by_role("row", name="lambda_labs")
    row.locator(".spark path").wait_for(state="attached")
    assert "steps; most from" in row.locator(".spark .vh").inner_text()
