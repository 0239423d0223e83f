"""Questions of a person who has never seen the dashboard, answered by keyboard alone."""

import pytest

from registry import example

def keys(page, *presses):
    for press in presses:
        page.keyboard.press(press)


def find(page, text):
    """Goes to what a text names."""
    page.keyboard.press("Control+k")
    page.locator("dialog [role=combobox]").wait_for()
    page.keyboard.type(text)
    page.locator("dialog [role=option] strong, dialog [role=option]", has_text=text).first.wait_for()


@pytest.fixture
def page(registry, visit):
    example(registry)
    registry.register("gone", title="Gone")
    registry.send("DELETE", "/plugins/demo_gone", Registry_Reason="no longer needed")
    page = visit(registry)
    page.locator(".findings .f").first.wait_for()
    return page


def test_four_questions_by_keyboard(page):
    # 1. Which GPU is forgotten, and since when?
    first = page.locator(".findings .f").first.inner_text()
    assert "8 × A100" in first and "Orphan" in first and "since" in first, first

    # 2. Which host is not looked at?
    keys(page, "g", "h")
    page.locator(".tile").first.get_by_text("looks at it").wait_for()

    # 3. Who removed a plugin, and why?
    keys(page, "g", "e")
    page.get_by_role("heading", name="Events").wait_for()
    page.locator("[data-filter]").wait_for()
    keys(page, "/")
    page.keyboard.type("demo_gone")
    keys(page, "Enter")
    removed = page.locator("main tbody tr", has_text="no longer needed")
    removed.wait_for()
    assert "removed" in removed.inner_text(), removed.inner_text()

    # 4. Whose is a process id?
    find(page, "4711")
    assert "ocr_tesseract" in page.locator("dialog [role=option]").first.inner_text()
    keys(page, "Enter")
    page.get_by_role("heading", name="Tesseract OCR").wait_for()
