"""A client of Server-Sent Events, by its name. Prints each message as a line of JSON, and reconnects for ever.

    client.py NAME URL [FOLDER]     FOLDER has the npm packages that the clients of the browser come from
"""

import json
import subprocess
import sys
import time

# How long a client waits before it has been told how long, in seconds.
FIRST_DELAY = 1


def report(event, id, data, client=None):
    message = {"event": event, "id": id, "data": data}
    print(json.dumps(message | ({"client": client} if client else {})), flush=True)


def httpx_sse(url):
    """As its README does: with the last id in every request, which is empty in the first one."""
    import httpx
    from httpx_sse import connect_sse

    last, delay = "", FIRST_DELAY
    while True:
        try:
            headers = {"Last-Event-ID": last}
            with httpx.Client(timeout=None) as client, connect_sse(client, "GET", url, headers=headers) as source:
                for message in source.iter_sse():
                    report(message.event, message.id, message.data)
                    last = message.id
                    if message.retry is not None:
                        delay = message.retry / 1000
        except httpx.HTTPError:
            pass
        time.sleep(delay)


def sseclient_py(url):
    import requests
    import sseclient

    last, delay = None, FIRST_DELAY
    while True:
        try:
            headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": last} if last else {})
            response = requests.get(url, stream=True, headers=headers)
            response.raise_for_status()
            for message in sseclient.SSEClient(response).events():
                report(message.event, message.id, message.data)
                last = message.id or last
                if message.retry is not None:
                    delay = int(message.retry) / 1000
        except requests.RequestException:
            pass
        time.sleep(delay)


def curl(url):
    """What curl receives, divided by the standard. Unlike the standard, it reports blocks without data, too."""
    last, delay = None, FIRST_DELAY
    while True:
        headers = ["-H", "Accept: text/event-stream"] + (["-H", f"Last-Event-ID: {last}"] if last else [])
        with subprocess.Popen(["curl", "-sN", *headers, url], stdout=subprocess.PIPE, text=True) as process:
            event, data, id = "message", [], last
            for line in process.stdout:
                field, _, value = line.rstrip("\n").partition(": ")
                if line == "\n":
                    report(event, id, "\n".join(data))
                    last, event, data = id, "message", []
                elif field == "event":
                    event = value
                elif field == "data":
                    data.append(value)
                elif field == "id":
                    id = value
                elif field == "retry":
                    delay = int(value) / 1000
                elif not line.startswith(":"):
                    sys.exit(f"an unknown line: {line!r}")
        time.sleep(delay)


# Three clients in one page. Each pushes its messages to `window.received`.
PAGE = """
async (url) => {
    window.received = [];
    const names = ["message", "hello", "change", "removal", "bookmark", "cut_off"];
    const listen = (client, source) => {
        for (const name of names) {
            source.addEventListener(name, ({ type, lastEventId, data }) => {
                window.received.push({ client, event: type, id: lastEventId, data });
            });
        }
    };
    listen("EventSource of Chromium", new EventSource(url));
    listen("event-source-polyfill", new window.EventSourcePolyfill(url));
    const { fetchEventSource } = await import("/fetch-event-source/index.js");
    fetchEventSource(url, {
        openWhenHidden: true,
        onmessage({ event, id, data }) {
            // As its users do: an empty message makes this throw, and the client reconnect for ever.
            JSON.parse(data);
            window.received.push({ client: "fetch-event-source", event, id, data });
        },
        // It reconnects after an error alone, and a stopping server ends the stream in order.
        onclose() { throw new Error("the stream ended"); },
    });
}
"""


def chromium(url, folder):
    from pathlib import Path

    from playwright.sync_api import sync_playwright

    packages = Path(folder) / "node_modules"
    modules = packages / "@microsoft/fetch-event-source/lib/esm"

    def module(route):
        # Its modules import one another without the `.js` that a browser needs.
        name = route.request.url.rsplit("/", 1)[1].removesuffix(".js")
        route.fulfill(content_type="text/javascript", body=(modules / f"{name}.js").read_text())

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page()
        page.on("pageerror", lambda error: print(f"chromium: {error}", file=sys.stderr, flush=True))
        page.route("**/fetch-event-source/*", module)
        # A page of the registry's own origin.
        page.goto(url.split("/events")[0] + "/healthz")
        page.add_script_tag(path=packages / "event-source-polyfill/src/eventsource.min.js")
        page.evaluate(PAGE, url)
        while True:
            for message in page.evaluate("window.received.splice(0)"):
                report(message["event"], message["id"], message["data"], message["client"])
            page.wait_for_timeout(100)


CLIENTS = {"httpx-sse": httpx_sse, "sseclient-py": sseclient_py, "curl": curl, "chromium": chromium}
CLIENTS[sys.argv[1]](*sys.argv[2:])
