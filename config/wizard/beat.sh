#!/bin/sh
# A wizard in shell. It runs anywhere in its cell, or MISSION_CELL says which one it works for; it beats at each step.
set -eu
for step in "reading the scrolls" "raising the dead"; do
    lazarus-pit beat --state working --message "$step"
    : # the work of this step
done
lazarus-pit beat --state "done" --message "she walks"
