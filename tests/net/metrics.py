# SPDX-License-Identifier: GPL-2.0-only
"""What the agent answers over its socket, and Prometheus' text format."""
import json
import re
import subprocess

from netns import LabError, sh

SAMPLE = re.compile(r'([a-z_]+)(?:\{(.*)\})? ([0-9.]+)')
LABEL = re.compile(r'([a-z_]+)="((?:[^"\\]|\\.)*)"')


def ask(lab, path, *options):
    """The body of an answer; of curl, what it writes."""
    return sh("curl", "-sS", *options, "--unix-socket",
              f"/run/synstile/ns-{lab.server.name}.sock", f"http://synstile{path}").stdout


def history(lab, query=""):
    """The answer, with rows as dicts."""
    answer = json.loads(ask(lab, f"/v1/history{query}"))
    if "rows" not in answer:
        raise LabError(answer["error"])
    answer["rows"] = [dict(zip(answer["columns"], row)) for row in answer["rows"]]
    return answer


class Metrics:
    """One answer of /metrics. samples: {(name, frozenset(labels)): value}."""

    def __init__(self, lab):
        self.text = ask(lab, "/metrics")
        self.samples, self.types = {}, {}
        for line in self.text.splitlines():
            if line.startswith("# TYPE"):
                _, _, name, kind = line.split(" ", 3)
                assert name not in self.types, f"{name} twice"
                self.types[name] = kind
            elif not line.startswith("#"):
                name, labels, value = SAMPLE.fullmatch(line).groups()
                key = name, frozenset(LABEL.findall(labels or ""))
                assert key not in self.samples, f"{line} twice"
                self.samples[key] = float(value)

    def get(self, name, **labels):
        """The value; with a label left out, the sum. None if there is no such sample."""
        found = [v for (n, has), v in self.samples.items()
                 if n == name and has >= frozenset(labels.items())]
        return sum(found) if found else None

    def buckets(self, name, **labels):
        """{bound: how many in this bucket alone}"""
        found = {dict(has)["le"]: v for (n, has), v in self.samples.items()
                 if n == f"{name}_bucket" and has >= frozenset(labels.items())}
        counts, below = {}, 0
        for bound in sorted(found, key=float):
            assert found[bound] >= below
            counts[bound], below = found[bound] - below, found[bound]
        return counts

    def check(self):
        """As promtool finds it."""
        done = subprocess.run(["promtool", "check", "metrics"], input=self.text, text=True,
                              capture_output=True)
        assert not done.returncode and not done.stdout + done.stderr, done.stdout + done.stderr
