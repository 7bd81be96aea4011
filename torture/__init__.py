"""
What the registry promises, tried for as long as one likes.

Each case (``torture.cases``) does one kind of harm any number of times, from a seed, and counts what came out wrong.
The tests run all of them in short; ``make torture`` runs them in long, and docs/explanation/reliability.md
shows what came of that.
"""
