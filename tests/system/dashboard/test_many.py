"""Lists that are longer than one answer: nothing is missing in silence."""

from registry import GPU

PLUGINS, EACH = 350, 30


def test_holdings_beyond_one_answer_are_read_to_the_end(registry, visit):
    registry.register_many([{"category": "c", "name": f"n{n:04}", "spawned_pids": [100_000 + n * EACH + i for i in range(EACH)], "host": f"host-{n % 5}"} for n in range(PLUGINS)])
    # The last by name, and the first by price.
    registry.register("zz", category="z", remote_resource=GPU, execution_mode="cloud_gpu")
    page = visit(registry, "/resources")
    rows = PLUGINS * EACH + 1
    page.get_by_text(f"1–100 of {rows:,}").wait_for(timeout=60_000)
    assert "z_zz" in page.locator("tbody tr").first.inner_text()
    assert page.locator(".note.warn").count() == 0
    # The last page has the row of the list's very end.
    page.evaluate("location.hash = '#/resources?sort=-plugin&page=106'")
    page.get_by_text(f"10,501–{rows:,} of {rows:,}").wait_for()
    assert "c_n0000" in page.locator("tbody tr").last.inner_text()
    page.get_by_role("link", name="host-3").click()
    page.get_by_text("1–100 of 2,100").wait_for()
