"""Takes pictures of a report through Chromium's devtools protocol; standard library only.

Called by report-pictures. Exit status 1 on console errors or a page wider than its window.
"""

import base64
import json
import os
import pathlib
import subprocess
import sys
import tempfile

VIEWS = [(1280, 800, "desktop"), (390, 844, "phone")]
SCHEMES = ["light", "dark"]


class Browser:
    """Chromium over --remote-debugging-pipe: JSON messages that end with a zero byte."""

    def __init__(self, profile):
        to_child_read, self.write_end = os.pipe()
        self.read_end, from_child_write = os.pipe()

        def plumb():
            # Chromium reads descriptor 3 and writes 4; move both out of the way first.
            read, write = os.dup(to_child_read), os.dup(from_child_write)
            os.dup2(read, 3)
            os.dup2(write, 4)

        self.process = subprocess.Popen(
            [
                "chromium",
                "--headless=new",
                "--remote-debugging-pipe",
                "--no-sandbox",
                "--disable-gpu",
                "--hide-scrollbars",
                f"--user-data-dir={profile}",
                "about:blank",
            ],
            preexec_fn=plumb,
            close_fds=False,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_child_read)
        os.close(from_child_write)
        self.buffer = b""
        self.next_id = 0
        self.events = []
        self.session = None

    def message(self):
        while b"\0" not in self.buffer:
            piece = os.read(self.read_end, 1 << 20)
            if not piece:
                sys.exit("chromium ended unexpectedly")
            self.buffer += piece
        message, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(message)

    def call(self, method, **parameters):
        self.next_id += 1
        request = {"id": self.next_id, "method": method, "params": parameters}
        if self.session:
            request["sessionId"] = self.session
        os.write(self.write_end, json.dumps(request).encode() + b"\0")
        while True:
            message = self.message()
            if message.get("id") == self.next_id:
                if "error" in message:
                    sys.exit(f"{method}: {message['error']}")
                return message["result"]
            self.events.append(message)

    def wait_for(self, method):
        while not any(event.get("method") == method for event in self.events):
            self.events.append(self.message())
        self.events = [event for event in self.events if event.get("method") != method]

    def evaluate(self, expression):
        answer = self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        return answer["result"].get("value")

    def open_tab(self):
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self.session = attached["sessionId"]
        for domain in ["Page", "Runtime", "Log"]:
            self.call(f"{domain}.enable")

    def errors(self):
        """Console errors, exceptions and failed loads since the last call."""
        found = []
        for event in self.events:
            parameters = event.get("params", {})
            match event.get("method"):
                case "Runtime.exceptionThrown":
                    details = parameters["exceptionDetails"]
                    found.append(details.get("exception", {}).get("description", details["text"]))
                case "Runtime.consoleAPICalled" if parameters["type"] in ("error", "assert"):
                    found.append(str([a.get("value") for a in parameters["args"]]))
                case "Log.entryAdded" if parameters["entry"]["level"] == "error":
                    found.append(parameters["entry"]["text"])
        self.events = []
        return found


def show(browser, url, width, height, scheme):
    """Loads the page in a window."""
    browser.call(
        "Emulation.setDeviceMetricsOverride",
        width=width,
        height=height,
        deviceScaleFactor=1,
        mobile=width < 600,
    )
    browser.call(
        "Emulation.setEmulatedMedia",
        features=[{"name": "prefers-color-scheme", "value": scheme}],
    )
    browser.call("Page.navigate", url=url)
    browser.wait_for("Page.loadEventFired")
    browser.evaluate("new Promise(done => setTimeout(done, 300))")


def picture(browser, url, folder, width, height, name, scheme):
    """Takes one picture of the whole page; returns what is wrong with it."""
    show(browser, url, width, height, scheme)
    faults = browser.errors()
    full_width, full_height = browser.evaluate(
        "[document.documentElement.scrollWidth, document.documentElement.scrollHeight]"
    )
    if full_width > width:
        faults.append(f"the page is {full_width} px wide")
    shot = browser.call(
        "Page.captureScreenshot",
        captureBeyondViewport=True,
        clip={"x": 0, "y": 0, "width": width, "height": full_height, "scale": 1},
    )
    path = folder / f"{name}-{scheme}.png"
    path.write_bytes(base64.b64decode(shot["data"]))
    print(f"{path} {width}x{full_height}")
    return [f"{path.name}: {fault}" for fault in faults]


def main():
    report, folder = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2])
    faults = []
    with tempfile.TemporaryDirectory() as profile:
        browser = Browser(profile)
        try:
            browser.open_tab()
            for width, height, name in VIEWS:
                for scheme in SCHEMES:
                    faults += picture(
                        browser, report.as_uri(), folder, width, height, name, scheme
                    )
            show(browser, report.as_uri(), *VIEWS[0][:2], "dark")
            printed = browser.call("Page.printToPDF", printBackground=True)
            (folder / "print.pdf").write_bytes(base64.b64decode(printed["data"]))
            faults += [f"print.pdf: {fault}" for fault in browser.errors()]
        finally:
            browser.process.terminate()
            browser.process.wait()
    for fault in faults:
        print(fault, file=sys.stderr)
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
