#!/bin/sh
# Runs a program that must not outlive its parent. The parent holds the other end of standard input: when that closes while
# the program runs, for whatever reason (SIGKILL included), the program is killed, and the folder that VIGIL_GUARD_REMOVE
# names is removed. First line of output: the program's process id.
exec 3<&0
"$@" </dev/null 3<&- &
program=$!
echo "$program"
(
  cat >/dev/null
  kill -9 "$program" 2>/dev/null || exit
  sleep 1
  [ -z "$VIGIL_GUARD_REMOVE" ] || rm -rf "$VIGIL_GUARD_REMOVE"
) <&3 >/dev/null 2>&1 &
guard=$!
exec 3<&-
wait "$program"
code=$?
# While the parent lives it is too late for the guard: the process id may soon be somebody else's.
if [ "$code" -ne 137 ]; then kill "$guard" 2>/dev/null; fi
exit "$code"
