"""DMP and MCC, which acquire one modality after another, chosen per instance, until they stop."""

from baselines.sequential import dmp, mcc

METHODS = (*dmp.METHODS, *mcc.METHODS)
