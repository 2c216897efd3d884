#!/bin/sh
# An agent in shell. It runs anywhere in its cell, or MISSION_CELL names the cell. It sends a heartbeat at each step.
set -eu
for step in "reading the scrolls" "raising the dead"; do
    lazarus-pit beat --state working --message "$step"
    : # the work of this step
done
lazarus-pit beat --state "done" --message "she walks"
