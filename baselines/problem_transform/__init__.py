"""BR and CC, which make binary problems of a multi-label one, through scikit-multilearn."""

from baselines.problem_transform import binary_relevance, classifier_chain

METHODS = (*binary_relevance.METHODS, *classifier_chain.METHODS)
