#!/usr/bin/env bash
#
# Twisted 26.10.0, trial: a test module that imports contextlib's suppress has all its tests fail.
#
# trial reads the module's own attribute "suppress" as its list of warnings to suppress. After "from contextlib import
# suppress" it finds a class there, and each test of the module ends with an error that names neither the import nor the
# setting: "TypeError: 'ABCMeta' object is not iterable". Under unittest its plain test cases pass.
#
# Why it matters: whoever tests a storage provider of a registry on Twisted meets it with the first cleanup that ignores
# an error. Import contextlib, and write contextlib.suppress.
#
# Seen:
#     unittest: OK
#     trial: FAILED (errors=1), TypeError: 'ABCMeta' object is not iterable

set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install twisted==26.10.0
cd "$folder"
cat > test_cleanup.py <<'PYTHON'
from contextlib import suppress
from unittest import TestCase as Plain

from twisted.trial.unittest import SynchronousTestCase


class PlainTests(Plain):
    def test_nothing(self):
        with suppress(FileNotFoundError):
            raise FileNotFoundError


class TrialTests(SynchronousTestCase):
    test_nothing = PlainTests.test_nothing
PYTHON
venv/bin/python -m unittest --quiet test_cleanup.PlainTests 2> plain.log || { cat plain.log; exit 1; }
echo "unittest: $(tail -n 1 plain.log)"
if PYTHONPATH=. venv/bin/trial test_cleanup.TrialTests > trial.log 2>&1; then
    echo "trial: passed, and was seen to fail" >&2
    exit 1
fi
grep -q "TypeError: 'ABCMeta' object is not iterable" trial.log || { cat trial.log; exit 1; }
echo "trial: $(tail -n 1 trial.log), TypeError: 'ABCMeta' object is not iterable"
