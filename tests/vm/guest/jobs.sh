#!/bin/sh
# The jobs that vm.jobs= names; their checks go to the second serial line, line by line.
export PYTHONPATH=/project/site LANG=C.UTF-8
jobs=$(sed -n 's/.*vm\.jobs=\([^ ]*\).*/\1/p' /proc/cmdline | tr , ' ')
exec python3 /project/tests/vm/guest/main.py $jobs > /dev/ttyS1
