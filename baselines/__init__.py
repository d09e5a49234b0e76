"""The methods that M3LA is compared with: a file or a package each, found by its `METHODS`."""

from baselines.cs3g.estimator import CS3G
from baselines.problem_transform.binary_relevance import BinaryRelevance
from baselines.problem_transform.classifier_chain import ClassifierChain
from baselines.sequential.dmp import DMP
from baselines.sequential.mcc import MCC

__all__ = ["CS3G", "DMP", "MCC", "BinaryRelevance", "ClassifierChain"]
