"""
Robustness cases: each does one kind of harm to the registry and checks what it promises.

A case (``tests.robustness.cases``) does its harm any number of times, from a seed, and counts what went wrong.
``make test-robustness`` runs the short form of each case, ``make robustness`` the long form.  The results of the long
form are in docs/explanation/reliability.md.
"""
