"""A job that survives every crash, and one that does not, for commands."""

from fake_resources.zoo import MUTANTS, backup

sound = backup()
unsound = MUTANTS["creates_again"].subject
