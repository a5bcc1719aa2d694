"""The page of a map: what is in it, and what a real browser makes of it (where Chromium is installed)."""

import base64
import fcntl
import json
import os
import re
import shutil
import subprocess
import time
import zlib
from html.parser import HTMLParser

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from gcseg_ros.errors import UserError
from gcseg_ros.instances.instances import InstanceMap, ObjectInstance
from gcseg_ros.viewer.colours import instance_colours
from gcseg_ros.viewer.page import page, write_page

EVIL = "</script><script>document.title = 'taken'</script><img src=x onerror=alert(1)> @CLOUD@ & \"'"
BACKGROUND = (232, 235, 239)


def cloud(points, ids, colours=None, objects=()):
    n = len(points)
    colours = np.full((n, 3), 90, np.uint8) if colours is None else colours
    points = np.asarray(points, np.float32).reshape(-1, 3)
    return InstanceMap(points, colours, np.asarray(ids, np.int32), np.full(n, 0.5, np.float32), list(objects))


def described(id, first_seen="000003"):
    box = np.zeros(3), np.eye(3), np.array([0.5, 0.25, 1])
    return ObjectInstance(id, 1234, np.zeros(3), (np.zeros(3), np.ones(3)), box, 0.625, first_seen, "000009", "active")


class Scripts(HTMLParser):
    """The elements that a browser would find, and the text in them."""

    def __init__(self, text):
        super().__init__()
        self.scripts, self.elements, self.title, self.policy, self._in = [], [], "", "", None
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        self._in = tag
        if tag == "script":
            self.scripts.append("")
        if dict(attributes).get("http-equiv") == "Content-Security-Policy":
            self.policy = dict(attributes)["content"]

    def handle_endtag(self, tag):
        self._in = None

    def handle_data(self, data):
        if self._in == "script":
            self.scripts[-1] += data
        if self._in == "title":
            self.title += data


def unpacked(text):
    """points (N, 3), ids (N,), colours (N, 3) and the header of a page, as its script reads them."""
    header, packed, _ = Scripts(text).scripts
    header = json.loads(header)
    planes = np.frombuffer(zlib.decompress(base64.b64decode(packed)), np.uint8).reshape(11, header["points"])
    columns = [
        np.cumsum(low + 256 * high.astype(int)) & 65535 for low, high in planes[:8].astype(int).reshape(4, 2, -1)
    ]
    points = np.array(header["low"]) + np.array(header["step"]) * np.stack(columns[:3], 1)
    ids = np.array([o.get("id", 0) for o in header["objects"]])[columns[3]]
    return points, ids, planes[8:].T, header


def sorted_rows(*columns):
    rows = np.column_stack(columns)
    return rows[np.lexsort(rows.T)]


@settings(max_examples=25)
@given(st.data())
def test_every_point_is_in_the_page(data):
    n = data.draw(st.integers(0, 60))
    metres = st.floats(-50, 50, width=32)
    points = data.draw(npst.arrays(np.float32, (n, 3), elements=metres))
    ids = data.draw(npst.arrays(np.int32, n, elements=st.sampled_from([-1, 0, 1, 2, 7, 2**31 - 1])))
    colours = data.draw(npst.arrays(np.uint8, (n, 3)))
    found, found_ids, found_colours, header = unpacked(page(cloud(points, ids, colours), "a"))
    assert len(found) == n
    step = np.array(header["step"])
    assert (step >= 0.001 - 1e-12).all()
    # colours and ids tell which point is which; coordinates are to half a step
    key, found_key = sorted_rows(colours, np.maximum(ids, 0)), sorted_rows(found_colours, found_ids)
    np.testing.assert_array_equal(key, found_key)
    for axis in range(3):
        np.testing.assert_allclose(np.sort(found[:, axis]), np.sort(points[:, axis]), atol=step[axis] * 0.51 + 1e-5)
    assert [o.get("id", 0) for o in header["objects"]] == [0, *sorted({int(i) for i in ids if i > 0})]


def test_what_is_said_of_objects():
    told = unpacked(page(cloud(np.eye(3), [4, 4, 9], objects=[described(4), described(5)]), "a"))[3]
    assert told["told"] == "2 objects, 3 points"
    none, known, unknown = told["objects"]
    assert known["told"] == "0.50 x 0.25 x 1.00 m, 1,234 points, confidence 0.62, seen in 000003 to 000009, active"
    assert known["colour"] == instance_colours(np.array(4)).tolist()
    assert unknown["told"] == "1 points"
    assert "id" not in none


def test_nothing_in_it_is_taken_for_html():
    text = page(cloud(np.eye(3), [4, 4, 9], objects=[described(4, EVIL)]), EVIL)
    found = Scripts(text)
    assert found.title == EVIL
    assert len(found.scripts) == 3
    assert not [tag for tag, _ in found.elements if tag == "img"]
    assert EVIL in json.loads(found.scripts[0])["objects"][1]["told"]
    assert unpacked(text)[0].shape == (3, 3)


def test_it_needs_nothing_from_anywhere():
    text = page(cloud(np.eye(3), [1, 1, 2]), "a")
    found = Scripts(text)
    assert found.policy.startswith("default-src 'none'; ")
    assert not any({"src", "href", "action", "data"} & attributes.keys() for _, attributes in found.elements)
    assert not re.search(r"https?:|url\(|@import|fetch\(|XMLHttpRequest|innerHTML|document\.write|eval\(", text)


def test_large_clouds_are_thinned_and_small():
    rng = np.random.default_rng(0)
    points = rng.uniform(0, [7.99, 6, 0.01], (60_000, 3)).round(2)
    ids = (points[:, 0] // 1).astype(int) + 1
    colours = (100 + 10 * ids[:, None] + rng.integers(0, 4, (len(ids), 3))).astype(np.uint8)
    text = page(cloud(points, ids, colours), "a", most_points=50_000)
    found, _, _, header = unpacked(text)
    assert len(found) == 50_000
    assert header["told"] == "8 objects, 50,000 of 60,000 points"
    np.testing.assert_allclose(np.ptp(found, axis=0), np.ptp(points, axis=0), atol=0.05)
    assert len(text) < 50_000 * 6 + 40_000, "bytes a point, of 11 before packing and 14.7 in base64"


def test_points_that_repeat_others_are_drawn_as_large():
    points = box((0, 0, 0), (1, 1, 0))
    spacings = [
        unpacked(page(cloud(np.tile(points, (times, 1)), np.ones(times * len(points))), "a"))[3]["spacing"]
        for times in (1, 3)
    ]
    assert spacings == pytest.approx([0.04, 0.04])


def test_too_many_objects():
    ids = np.arange(1, 70_000)
    with pytest.raises(UserError, match="69999 objects; a page can show 65534"):
        page(cloud(np.zeros((len(ids), 3)), ids), "a")


class Chromium:
    """A page in headless Chromium, driven through the DevTools protocol over a pipe."""

    def __init__(self, program, file, profile, size):
        to_browser, from_browser = os.pipe(), os.pipe()
        # away from the numbers that it expects its ends at
        ours = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in (to_browser[0], from_browser[1])]
        options = [
            "--headless=new",
            "--no-sandbox",
            "--remote-debugging-pipe",
            "--disable-extensions",
            "--no-first-run",
        ]
        options += ["--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--hide-scrollbars"]
        options += [f"--user-data-dir={profile}", f"--window-size={size[0]},{size[1]}", f"file://{file}"]
        joined = f'exec "$@" 3<&{ours[0]} 4>&{ours[1]}'
        self.process = subprocess.Popen(
            ["bash", "-c", joined, "bash", program, *options], pass_fds=ours, stderr=subprocess.DEVNULL
        )
        for end in (*ours, to_browser[0], from_browser[1]):
            os.close(end)
        self.out, self.into = os.fdopen(to_browser[1], "wb", 0), os.fdopen(from_browser[0], "rb")
        self.errors, self.sent, self.session, self.left = [], 0, None, b""
        targets = self.until(lambda: [t for t in self.call("Target.getTargets")["targetInfos"] if t["type"] == "page"])
        attached = self.call("Target.attachToTarget", targetId=targets[0]["targetId"], flatten=True)
        self.session = attached["sessionId"]
        self.call("Runtime.enable")
        self.call("Log.enable")

    def call(self, method, **parameters):
        self.sent += 1
        message = {"id": self.sent, "method": method, "params": parameters}
        self.out.write(json.dumps(message | ({"sessionId": self.session} if self.session else {})).encode() + b"\0")
        while True:
            answer = self.read()
            if answer.get("id") == self.sent:
                assert "error" not in answer, answer
                return answer["result"]
            if answer["method"] in ("Runtime.exceptionThrown", "Log.entryAdded"):
                self.errors.append(answer["params"])

    def read(self):
        while b"\0" not in self.left:
            more = os.read(self.into.fileno(), 1 << 20)
            assert more, "Chromium has ended"
            self.left += more
        message, self.left = self.left.split(b"\0", 1)
        return json.loads(message)

    def until(self, condition, timeout_s=90):
        deadline = time.monotonic() + timeout_s
        while not (value := condition()):
            assert time.monotonic() < deadline, self.errors
            time.sleep(0.05)
        return value

    def evaluate(self, script):
        return self.call("Runtime.evaluate", expression=script, returnByValue=True)["result"].get("value")

    def picture(self):
        """(H, W, 3) RGB of the window, once what was asked for is drawn."""
        self.call("Runtime.evaluate", expression="new Promise(f => requestAnimationFrame(() => requestAnimationFrame(f)))", awaitPromise=True)  # fmt: skip
        png = base64.b64decode(self.call("Page.captureScreenshot")["data"])
        return cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]

    def mouse(self, kind, x, y, **more):
        self.call("Input.dispatchMouseEvent", type=f"mouse{kind}", x=x, y=y, **more)

    def where(self, *point):
        """Where in the window a point of the world is, in pixels."""
        rows = "[0, 1, 3].map(i => m[i] * p[0] + m[4 + i] * p[1] + m[8 + i] * p[2] + m[12 + i])"
        script = f"((m, p) => {rows})(viewing().matrix, {list(point)}).concat(canvas.clientWidth, canvas.clientHeight)"
        x, y, w, width, height = self.evaluate(script)
        return round((x / w + 1) / 2 * width), round((1 - y / w) / 2 * height)

    def click(self, x, y):
        for kind in ("Pressed", "Released"):
            self.mouse(kind, x, y, button="left", clickCount=1)

    def close(self):
        self.process.terminate()
        self.process.wait()
        self.out.close()
        self.into.close()


def box(low, high, step=0.04):
    axes = [np.arange(a, b + 1e-9, step) for a, b in zip(low, high)]
    return np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """A floor (1), and on it a red cube (2) and a blue one (3), the blue one in the cloud's middle; true colours are grey."""
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if program is None:
        pytest.skip("Chromium is not installed")
    folder = tmp_path_factory.mktemp("page")
    parts = [
        box((-2, -2, 0), (2, 2, 0)),
        box((-1.6, -1.6, 0.04), (-0.8, -0.8, 0.8)),
        box((-0.4, -0.4, 0.04), (0.4, 0.4, 0.8)),
    ]
    ids = np.repeat([1, 2, 3], [len(part) for part in parts])
    write_page(cloud(np.concatenate(parts), ids, objects=[described(3, EVIL)]), folder / "page.html", EVIL)
    opened = Chromium(program, folder / "page.html", folder / "profile", (1000, 700))
    opened.until(lambda: opened.evaluate("document.documentElement.dataset.state"))
    yield opened
    opened.close()


def share_of(picture, colour):
    """Of the window's middle: pixels of this hue, lit or shaded."""
    pixels = picture[:, 330:720].reshape(-1, 3).astype(float)
    direction = np.array(colour) / np.linalg.norm(colour)
    return (pixels @ direction > 0.998 * np.maximum(np.linalg.norm(pixels, axis=1), 1)).mean()


def test_the_browser_shows_the_objects(browser):
    assert browser.evaluate("document.documentElement.dataset.state") == "drawn"
    picture = browser.picture()
    colours = instance_colours(np.arange(4))
    assert share_of(picture, colours[1]) > 0.1
    assert share_of(picture, colours[3]) > 0.02
    assert 0.02 < share_of(picture, BACKGROUND) < 0.9
    browser.evaluate("document.getElementById('by-colour').click()")
    grey = browser.picture()
    assert share_of(grey, colours[3]) < 0.001
    browser.evaluate("document.getElementById('by-instance').click()")
    assert not browser.errors


def test_hover_and_click_say_which_object_it_is(browser):
    middle = browser.where(0, 0, 0.8)
    browser.mouse("Moved", *middle)
    told = browser.until(lambda: browser.evaluate("document.getElementById('told').textContent"))
    assert told.startswith("Object 3 0.50 x 0.25 x 1.00 m, 1,234 points, confidence 0.62, seen in </script>")
    assert browser.evaluate("document.title") == EVIL
    floor = instance_colours(np.array(1))
    before = share_of(browser.picture(), floor)
    browser.click(*middle)
    assert browser.evaluate("document.querySelector('#objects .chosen').dataset.number") == "3"
    assert share_of(browser.picture(), floor) < before / 10, "the others fade"
    browser.click(*middle)
    assert browser.evaluate("document.querySelector('#objects .chosen')") is None
    browser.mouse("Moved", 340, 5)
    assert browser.evaluate("document.getElementById('told').style.display") == "none"


def test_it_turns_moves_and_zooms(browser):
    def camera():
        return browser.evaluate("camera")

    start = camera()
    for kind, button, key, what in (("left", 1, 0, "azimuth"), ("right", 2, 0, "target"), ("left", 1, 8, "target")):
        browser.mouse("Pressed", 500, 300, button=kind, buttons=button, modifiers=key)
        browser.mouse("Moved", 560, 320, button=kind, buttons=button, modifiers=key)
        browser.mouse("Released", 560, 320, button=kind, buttons=0, modifiers=key)
        now = camera()
        assert now[what] != start[what]
        assert now["distance"] == start["distance"]
        start = now
    browser.mouse("Wheel", 500, 300, deltaX=0, deltaY=-300)
    assert camera()["distance"] < start["distance"]
    browser.call("Input.dispatchKeyEvent", type="keyDown", key="r")
    assert camera()["distance"] == pytest.approx(start["distance"])
    x, y = browser.where(0, 0, 0.4)
    assert browser.evaluate(f"cutAt(0.5), draw(), objectAt({x}, {y})") == 3
    assert browser.evaluate(f"cutAt(0.01), draw(), objectAt({x}, {y})") == 1
    assert browser.evaluate(f"cutAt(-1), draw(), objectAt({x}, {y})") == 0
    assert not browser.errors
