#!/usr/bin/env python3
"""An agent in Python. It sends heartbeats over HTTP to the daemon, for the cell that MISSION_CELL names."""
import json, os, pathlib, sys, urllib.request

cell = pathlib.Path(os.environ["MISSION_CELL"])
address = (sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8787") + f"/missions/{cell.name}/heartbeat"

def beat(state, message):
    token = (cell / "config/heartbeat.token").read_text().strip()
    headers = {"Authorization": "Bearer " + token, "Content-Type": "application/json"}
    body = json.dumps({"state": state, "message": message}).encode()
    try:
        urllib.request.urlopen(urllib.request.Request(address, body, headers), timeout=5).close()
    except OSError as error:  # A lost heartbeat is not fatal: the next one replaces it.
        print(f"no heartbeat: {error}", file=sys.stderr)

for step in ["reading the scrolls", "raising the dead"]:
    beat("working", step)
    # the work of this step
beat("done", "she walks")
