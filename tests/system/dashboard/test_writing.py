"""What a person changes on the pages of an admin, and in the form of a configuration."""

import json

from conftest import until

CANARY = "canary-of-a-secret"


def test_the_form_checks_saves_and_never_shows_a_secret(registry, visit):
    from pathlib import Path
    schema = json.loads(Path(__file__).with_name("schema.json").read_text())
    registry.register("tesseract", "ocr", config_schema=schema)
    registry.send("PUT", "/plugins/ocr_tesseract/config", {"language": "deu", "dpi": 300, "api_key": CANARY, "beyond": {"kept": True}})
    page = visit(registry, "/plugins/ocr_tesseract?tab=configuration")
    page.watched.expected = ["422"]
    dpi = page.get_by_label("Dots per inch", exact=True)
    dpi.wait_for()
    assert dpi.input_value() == "300"
    # Out of its bounds: the server says so, at the field.
    dpi.fill("12")
    wrong = page.locator(".field.wrong", has=dpi)
    wrong.wait_for()
    assert dpi.get_attribute("aria-invalid") == "true"
    dpi.fill("600")
    page.get_by_text("It fits the schema.").wait_for()
    page.get_by_label("eng").check()
    page.get_by_label("Output: which").select_option(label="PDF")
    page.get_by_role("spinbutton", name="pages").fill("3")
    page.get_by_role("button", name="Add to Words").click()
    page.get_by_label("Words 1", exact=False).first.fill("the")
    page.get_by_text("It fits the schema.").wait_for()
    assert CANARY not in page.content()
    page.get_by_role("link", name="JSON", exact=True).last.click()
    page.get_by_label("Configuration, as JSON").wait_for()
    assert CANARY not in page.content() and CANARY not in page.get_by_label("Configuration, as JSON").input_value()
    page.get_by_role("link", name="Form").click()
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_text("Saved the configuration of ocr_tesseract").wait_for()
    saved = registry.send("GET", "/plugins/ocr_tesseract/config")
    assert saved == {"language": "eng", "dpi": 600, "api_key": CANARY, "beyond": {"kept": True}, "output": {"kind": "pdf", "pages": 3}, "words": ["the"]}


def test_a_secret_can_be_replaced(registry, visit):
    registry.register("chat", config_schema={"type": "object", "properties": {"key": {"type": "string", "writeOnly": True}}})
    registry.send("PUT", "/plugins/demo_chat/config", {"key": CANARY})
    page = visit(registry, "/plugins/demo_chat?tab=configuration")
    page.get_by_role("button", name="Replace").click()
    page.locator("main input[type=password]").fill("another")
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_text("Saved the configuration of demo_chat").wait_for()
    assert registry.send("GET", "/plugins/demo_chat/config") == {"key": "another"}


def test_a_configuration_that_another_saved_meanwhile_is_not_overwritten(registry, visit):
    registry.register("chat", config_schema={"type": "object", "properties": {"name": {"type": "string"}}})
    registry.send("PUT", "/plugins/demo_chat/config", {"name": "before"})
    page = visit(registry, "/plugins/demo_chat?tab=configuration")
    page.locator(".live.ok").wait_for()
    page.get_by_label("name", exact=True).fill("mine")
    registry.send("PUT", "/plugins/demo_chat/config", {"name": "theirs"})
    page.get_by_text("It was saved by another client meanwhile.").wait_for()
    page.get_by_role("button", name="Go on with yours").click()
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_text("Saved the configuration of demo_chat").wait_for()
    assert registry.send("GET", "/plugins/demo_chat/config") == {"name": "mine"}


def test_an_admin_makes_a_budget_a_webhook_and_a_token(registry, visit):
    page = visit(registry, "/admin")
    page.watched.expected = ["401"]
    page.get_by_role("button", name="New budget").click()
    page.get_by_label("Name").fill("text, monthly")
    page.get_by_label("Plugins").fill("label.team=text")
    page.get_by_label("Limit, in USD").fill("500")
    page.get_by_role("button", name="Create budget").click()
    page.get_by_text("Created the budget text, monthly").wait_for()
    (budget,) = registry.send("GET", "/budgets")["items"]
    assert budget["filters"] == {"label.team": "text"} and budget["threshold_percent"] == [50, 80, 100], budget
    page.get_by_role("button", name="New webhook").click()
    page.get_by_label("URL").fill("http://127.0.0.1:9/hook")
    page.get_by_role("button", name="Create webhook").click()
    page.get_by_role("heading", name="The webhook's secret").wait_for()
    page.get_by_role("button", name="I have kept it").click()
    page.get_by_role("button", name="Test").click()
    page.get_by_role("button", name="Send").click()
    page.get_by_role("heading", name="The target did not take the message").wait_for()
    page.get_by_role("button", name="Close", exact=True).last.click()
    page.get_by_role("button", name="New token").click()
    page.get_by_label("Name, which events will show").fill("root")
    page.get_by_role("button", name="Create token").click()
    page.get_by_role("heading", name="The token of root").wait_for()
    text = page.locator("dialog pre").inner_text()
    assert text.startswith("plr_"), text
    page.get_by_role("button", name="I have kept it").click()
    page.locator("dialog").wait_for(state="detached")
    assert text not in page.content()
    # Every request needs a token now: this page has it, another one is asked for it.
    other = visit(registry, "/admin")
    other.watched.expected = ["401"]
    other.locator("input[type=password]").wait_for()


def test_what_is_grouped_and_over_which_time_stays_after_a_reload(filled, visit):
    page = visit(filled, "/costs")
    page.get_by_label("Group by").select_option("label")
    page.locator("label", has_text="24 hours").locator("select").select_option("week")
    page.get_by_role("row", name="text").wait_for()
    address = page.evaluate("location.hash")
    page.reload()
    page.get_by_role("row", name="text").wait_for()
    assert page.evaluate("location.hash") == address == "#/costs?group_by=label.team&range=week"
    page.get_by_role("button", name="Show as table").click()
    page.get_by_role("columnheader", name="text").wait_for()
    with page.expect_download() as download:
        page.get_by_role("button", name="CSV").click()
    lines = open(download.value.path()).read().splitlines()
    assert lines[0].startswith("label.team,burn_usd_per_hour") and any(line.startswith("text,24.5") for line in lines), lines
    page.go_back()
    until(page, "!location.hash.includes('range=')")


def test_a_plugin_that_holds_something_is_deleted_only_by_its_typed_name(registry, visit):
    from registry import GPU
    registry.register("llama", remote_resource=GPU, execution_mode="cloud_gpu")
    page = visit(registry, "/plugins/demo_llama")
    page.watched.expected = ["409"]
    page.get_by_role("button", name="Delete…").click()
    page.get_by_role("button", name="Delete", exact=True).click()
    force = page.get_by_role("button", name="Delete by force")
    force.wait_for()
    assert force.is_disabled()
    typed = page.get_by_label("to confirm")
    typed.fill("demo_lama")
    assert force.is_disabled() and registry.send("GET", "/plugins")["items"], "another name deletes"
    typed.fill("demo_llama")
    force.click()
    page.get_by_text("Deleted demo_llama").wait_for()
    assert registry.send("GET", "/plugins")["items"] == []
    until(page, "location.hash === '#/plugins'")
