# SPDX-License-Identifier: GPL-2.0-only
"""Policies in tests: written from Python, applied, and what is in force."""
import json
import subprocess


def write(lab, services=(), name="policy.yaml", **more):
    """A policy file. services: (name, listen, more of it); `more`: defaults, sources, ..."""
    entries = [{"name": n, "listen": [listen] if isinstance(listen, str) else listen, **rest}
               for n, listen, rest in services]
    policy = {"version": 1, **({"services": entries} if entries else {}), **more}
    path = lab.tmp / name
    path.write_text(json.dumps(policy, indent=1))  # which is YAML too
    return path


def apply(lab, *args, check=True, **kw):
    """Write a policy and apply it."""
    return lab.synstile("policy", "apply", write(lab, *args, **kw), check=check)


def show(lab):
    return json.loads(lab.synstile("policy", "show", "-j").stdout)


def generation(lab):
    return show(lab)["generation"]


def names(lab):
    """The services of the policy in force."""
    return [s["name"]["value"] for s in show(lab)["policy"].get("services", [])]


def service(lab, name):
    """The entry of status for a service, or None."""
    return next((s for s in lab.status()["services"] if s["service"] == name), None)


def put(lab, body, query=""):
    """PUT /v1/policy, past the command: (HTTP status, answer)."""
    done = subprocess.run(
        ["curl", "-s", "-w", "%{http_code}", "-X", "PUT", "--data-binary", "@-", "--unix-socket",
         f"/run/synstile/ns-{lab.server.name}.sock", f"http://x/v1/policy{query}"],
        input=body, capture_output=True, text=True, timeout=30)
    return int(done.stdout[-3:]), json.loads(done.stdout[:-3])
