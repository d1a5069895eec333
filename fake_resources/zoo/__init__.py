"""Defects, each as a wrapper or a subclass: what an explorer must be able to find.

Those of the two reference systems, of users' steps, and of ours that were mended.

>>> from fake_resources import zoo
>>> mutant = zoo.MUTANTS["creates_again"]
>>> mutant.said
'Not idempotent: each attempt creates one more.'
>>> report = mutant.explore(faults=["CrashAt"])
>>> print(report.failures[0].plan.partition(", restart")[0])
- CrashAt: {site: "orders/1-Backup/MakeVolume#1 step.completed", when: before
"""

from fake_resources.zoo.grounds import Cloud, backup, service
from fake_resources.zoo.mutants import MUTANTS, Mutant

__all__ = ["MUTANTS", "Cloud", "Mutant", "backup", "service"]
