"""The Debugger's notebook in a real browser, as large as a small laptop's screen.

JupyterLab runs it in headless Chromium; every part is found by its class and read from
the page, in the light and in the dark theme.  Pictures are left in ``out/browser``, to be
looked at.  Where there is no Chromium it says so and nothing is tested::

    apt-get install -y --no-install-recommends chromium fonts-dejavu
    make browser
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

ROOT = Path(__file__).parents[2]
NOTEBOOK = "02_step_by_step.ipynb"
SCREEN = {"width": 1366, "height": 768}
MOST = 650
"""So many pixels of a notebook are seen on that screen."""

FLAGS = [
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic",
    "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--disable-dev-shm-usage",
]  # fmt: skip
QUIET = {
    "@jupyterlab/apputils-extension:notification": {
        "fetchNews": "false",
        "checkForUpdates": False,
    }
}
# To run all before the kernel's socket is up hangs for ever.
READY = """async () => {
  const widget = window.jupyterapp && window.jupyterapp.shell.currentWidget;
  const context = widget && widget.sessionContext;
  if (!context || !context.isReady || !context.session) return false;
  const kernel = context.session.kernel;
  if (!kernel || kernel.connectionStatus !== 'connected' || kernel.status !== 'idle')
    return false;
  await kernel.info;
  return true;
}"""


def main() -> int:
    """Do it all; 0 if that went well, or if there is no browser to do it in."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        print("no browser test: there is no chromium; apt-get install chromium")
        return 0
    from playwright.sync_api import sync_playwright

    pictures = ROOT / "out" / "browser"
    pictures.mkdir(parents=True, exist_ok=True)
    with lab() as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        page = browser.new_page(viewport=SCREEN)
        page.goto(url, wait_until="domcontentloaded")
        wait(page, READY)
        page.evaluate(
            "() => window.jupyterapp.commands.execute('notebook:run-all-cells')"
        )
        page.wait_for_selector(".wfsim-debugger .wf-steps", timeout=120_000)
        page.evaluate("() => window.jupyterapp.shell.collapseLeft()")
        for theme in ("JupyterLab Light", "JupyterLab Dark"):
            command = "apputils:change-theme"
            page.evaluate(
                "([c, theme]) => window.jupyterapp.commands.execute(c, {theme})",
                [command, theme],
            )
            page.wait_for_timeout(500)
            name = theme.split()[-1].lower()
            visit(page, lambda what, name=name: shoot(page, pictures, f"{name}_{what}"))
            print(f"{theme}: played, stepped back, injected, compared, found the failure")
        reopen(browser, page, url, pictures)
        print("saved and opened again: a table in place of the widget")
        read(browser, pictures)
        print("report: stepped through without a kernel")
        browser.close()
    print(f"pictures: {pictures.relative_to(ROOT)}")
    return 0


def visit(page: Any, shoot: Any) -> None:
    """Use the Debugger as a reader would, and check what the page says."""
    page.locator(".wfsim-debugger").scroll_into_view_if_needed()
    page.evaluate(
        "() => document.querySelector('.wfsim-debugger').scrollIntoView({block: 'end'})"
    )
    if page.locator(".wfsim-runs select").is_enabled():
        choose(page, ".wfsim-runs", "as it was")
    box = page.locator(".wfsim-debugger").bounding_box()
    assert box["height"] <= MOST, f"the Debugger is {box['height']:.0f} pixels high"
    assert box["width"] <= SCREEN["width"], box
    unnamed = page.evaluate(UNNAMED)
    assert unnamed == [], f"controls without a name: {unnamed}"
    shoot("begin")

    before = position(page)
    page.locator(".wfsim-step").press("Enter")  # the keyboard does
    until(lambda: position(page) == before + 1)
    page.locator(".wfsim-back").click()
    until(lambda: position(page) == before)
    page.locator(".wfsim-play button").first.click()
    until(lambda: position(page) >= before + 2)
    page.locator(".wfsim-play button").first.click()
    search(page, f"#{before - 1}")
    until(lambda: position(page) == before)
    shoot("played")

    choose(page, ".wfsim-fault", "FailStep")
    page.locator(".wfsim-inject-button").click()
    until(lambda: "FailStep" in chosen(page, ".wfsim-runs"))
    choose(page, ".wfsim-target", "failure")
    choose(page, ".wfsim-zoom", "1/4 of it")
    choose(page, ".wfsim-zoom", "whole run")
    search(page, "#2")
    until(lambda: position(page) == 3)
    page.locator(".wfsim-next").click()
    until(lambda: "step.failed" in text(page, ".wfsim-record"))
    assert "injected failure" in text(page, ".wfsim-record")
    shoot("failure")

    choose(page, ".wfsim-beside", "as it was")
    until(lambda: "only in" in text(page, ".wfsim-compared"))
    compared = text(page, ".wfsim-compared")
    assert re.search(r"\d+ same, \d+ moved", compared), compared
    assert "step.failed" in compared
    box = page.locator(".wfsim-debugger").bounding_box()
    assert box["height"] <= MOST, f"comparing it is {box['height']:.0f} pixels high"
    shoot("compared")
    choose(page, ".wfsim-beside", "beside nothing")
    for panel in ("world", "queue, leases", "lineage", "resource", "memento"):
        choose(page, ".wfsim-panel", panel)
        word = {"queue, leases": "controllers up", "lineage": "needed"}.get(panel, "")
        until(lambda word=word: word in text(page, ".wfsim-memento"))
        shoot(panel.split(",")[0])


def reopen(browser: Any, page: Any, url: str, pictures: Path) -> None:
    """Save the notebook, end its kernel and open it again: a table is left."""
    assert not page.locator("table:below(.wf-still)").first.is_visible()
    page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save')")
    page.wait_for_timeout(1500)
    page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.shutdown()")
    page.close()
    page = browser.new_page(viewport=SCREEN)
    page.goto(f"{url}?reset", wait_until="domcontentloaded")
    wait(page, READY)
    lost = page.get_by_text("model not found")
    lost.wait_for(state="attached", timeout=30_000)
    table = page.locator(".jp-OutputArea-child:has(.wf-still) table")
    table.scroll_into_view_if_needed()
    assert table.is_visible()
    assert not lost.is_visible()
    shoot(page, pictures, "saved")


def read(browser: Any, pictures: Path) -> None:
    """Step through a report, as a file that nothing serves, in light and in dark."""
    import wfsim
    from fake_resources import polardb

    faults = [wfsim.CrashAt(t=40, restart_after=10), wfsim.FailStep("CreateRwPod")]
    log = wfsim.simulate(polardb.scenario(clusters=30), seed=1, faults=faults)
    file = wfsim.export.to_html(log, pictures / "report.html")
    papers = []
    for scheme in ("light", "dark"):
        page = browser.new_page(viewport=SCREEN, color_scheme=scheme)
        wrong: list[str] = []
        page.on("pageerror", lambda error, wrong=wrong: wrong.append(str(error)))
        page.on("request", lambda request, wrong=wrong: wrong.append(request.url))
        page.goto(file.as_uri())
        assert wrong.pop(0) == file.as_uri()
        papers.append(page.evaluate("getComputedStyle(document.body).backgroundColor"))
        step_through(page, len(log))
        shoot(page, pictures, f"report_{scheme}")
        assert [each for each in wrong if not each.startswith("data:")] == []
        page.close()
    assert len(set(papers)) == 2, papers


def step_through(page: Any, records: int) -> None:
    """Use the strip and the stepping of a report by keyboard, and check what it says."""
    page.locator("#wf-stepping .wf-step").press("Enter")
    assert text(page, ".wf-readout").startswith(f"2 / {records}")
    page.locator(".wf-lanes").press("ArrowRight")
    assert text(page, ".wf-readout").startswith(f"3 / {records}")
    page.locator(".wf-lanes").press("End")
    assert text(page, ".wf-readout").startswith(f"{records} / {records}")
    page.locator(".wf-slider").press("Home")
    page.locator(".wf-target").select_option("failure")
    page.locator(".wf-next").press("Enter")
    assert "step.failed" in text(page, ".wf-record")
    page.locator(".wf-zoom").select_option("4")
    page.locator(".wf-zoom").select_option("1")
    page.locator(".wf-rows").fill("mpd-1")
    names = page.locator(".wf-names span").all_inner_texts()
    assert names == ["mpd-1", *(f"mpd-{n}" for n in range(10, 20))], names
    page.locator(".wf-rows").fill("")
    page.locator(".wf-target").select_option("any")
    page.locator(".wf-search").fill("mpd-29 step.completed")
    page.locator(".wf-search").press("Enter")
    assert "mpd-29" in text(page, ".wf-record")
    assert page.locator(".wf-strip").evaluate("strip => strip.scrollTop") > 0
    page.locator(".wf-search").fill("#2")
    page.locator(".wf-search").press("Enter")
    page.locator(".wf-speed").select_option("0")
    page.locator(".wf-play").press("Enter")
    until(lambda: int(text(page, ".wf-readout").split("/")[0]) > 80)
    page.locator(".wf-play").press("Enter")
    unnamed = page.evaluate(UNNAMED.replace(".wfsim-debugger", "#wf-stepping"))
    assert unnamed == [], f"controls without a name: {unnamed}"


UNNAMED = """() => [...document.querySelectorAll(
  '.wfsim-debugger button, .wfsim-debugger select, .wfsim-debugger input')]
  .filter(e => !e.closest('.wfsim-clicked') && e.style.display !== 'none')
  .filter(e => !(e.title || e.ariaLabel || e.placeholder || e.textContent.trim()
    || e.closest('[title]') || e.closest('.wfsim-slider')))
  .map(e => e.outerHTML.slice(0, 120))"""


def position(page: Any) -> int:
    return int(text(page, ".wfsim-readout").split("/")[0])


def text(page: Any, selector: str) -> str:
    return " ".join(page.locator(selector).inner_text().split())


def chosen(page: Any, selector: str) -> str:
    return str(
        page.locator(f"{selector} select").evaluate(
            "it => it.options[it.selectedIndex].text"
        )
    )


def choose(page: Any, selector: str, label: str) -> None:
    page.locator(f"{selector} select").select_option(label=label)


def search(page: Any, words: str) -> None:
    field = page.locator(".wfsim-search input")
    field.fill(words)
    field.press("Enter")


def until(condition: Any, seconds: float = 20.0) -> None:
    end = time.perf_counter() + seconds
    while not condition():
        assert time.perf_counter() < end, "the page did not come to say it"
        time.sleep(0.05)


def wait(page: Any, ready: str) -> None:
    until(lambda: page.evaluate(ready), 90.0)


def shoot(page: Any, folder: Path, name: str) -> None:
    page.wait_for_timeout(250)
    page.screenshot(path=folder / f"{name}.png")


@contextmanager
def lab() -> Iterator[str]:
    """Run JupyterLab over a copy of the notebooks; yield the address of one."""
    with TemporaryDirectory() as folder, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        settings = Path(folder) / "settings"
        settings.mkdir()
        (settings / "overrides.json").write_text(json.dumps(QUIET))
        notebooks = Path(folder) / "notebooks"
        shutil.copytree(ROOT / "notebooks", notebooks)
        shutil.copytree(ROOT / "flows", Path(folder) / "flows")
        command = [
            *(sys.executable, "-m", "jupyterlab", "--allow-root", "--no-browser"),
            *(f"--ServerApp.port={port}", "--ServerApp.ip=127.0.0.1"),
            *("--IdentityProvider.token=", "--LabApp.expose_app_in_browser=True"),
            "--LabApp.extension_manager=readonly",
            f"--LabApp.app_settings_dir={settings}",
            f"--ServerApp.root_dir={notebooks}",
        ]
        # The user's own settings stay out of it.
        own = {"JUPYTER_CONFIG_DIR": folder, "JUPYTERLAB_WORKSPACES_DIR": folder}
        environment = {**os.environ, "PYTHONPATH": str(ROOT), **own}
        with (Path(folder) / "lab.log").open("w") as log:
            server = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
        try:
            url = f"http://127.0.0.1:{port}"
            until(lambda: is_up(f"{url}/api"), 60.0)
            yield f"{url}/lab/tree/{NOTEBOOK}"
        finally:
            server.terminate()
            server.wait()


def is_up(url: str) -> bool:
    try:
        with urllib.request.urlopen(url):
            return True
    except OSError:
        return False


if __name__ == "__main__":
    sys.exit(main())
