"""What CS3G's reconstruction had to guess, with the reasons; it knows no code that uses it."""

from __future__ import annotations

from benchmark.contracts import Factor

NOT_FOUND = "No text of the CS3G paper was found. "
RIDGE_GRID = (1e-1, 1e-2, 1e-3, 1e-4)
LAPLACIAN_GRID = (0.0, 1e-3, 1e-2, 1e-1)
LASSO_GRID = (0.0, 1e-3, 1e-2, 3e-2)
TOLERANCE = 1e-6
"""Measured on ML2000's training rows of seed 0, largest difference of a test probability to 1e-8, for ridge,
Laplacian, lasso = (0.01, 0, 0), 0.02 at 1e-4, 0.001 at 1e-5 and 0.0002 at 1e-6; (0.001, 0.01, 0.001), 0.004,
0.0007 and 0.0001; (0.0001, 0, 0), 0.7, 0.1 and 0.01.
"""
FACTORS = (
    Factor(
        "variant",
        ("laplacian", "learned"),
        NOT_FOUND + "M3LA's authors say that it handles types of interactions among labels. By default types "
        "are read off the training labels, so that the fit is convex; `learned` fits a sparse matrix.",
    ),
    Factor(
        "ridge_grid",
        (RIDGE_GRID, (1.0, *RIDGE_GRID, 1e-5)),
        NOT_FOUND + "Candidates for the ridge; with n rows, 1e-2 is C = 100 / n of a logistic regression.",
    ),
    Factor(
        "laplacian_grid",
        (LAPLACIAN_GRID, (0.0,), (*LAPLACIAN_GRID, 1.0, 10.0)),
        NOT_FOUND + "Candidates for the pull of related labels' predictors to (or away from) one another; "
        "0 leaves it out. The variant `learned` takes 0 alone.",
    ),
    Factor(
        "lasso_grid",
        (LASSO_GRID, (0.0,), (0.0, 1e-4, 1e-3, 1e-2, 1e-1)),
        NOT_FOUND + "Candidates for the group lasso over modalities; 0 leaves it out. The largest is just "
        "above what it takes to drop a modality of noise, 0.014 to 0.025 on the four data sets' shapes.",
    ),
    Factor(
        "relation_threshold",
        (0.0, 0.05, 0.1),
        NOT_FOUND + "Smallest |phi| of two labels that counts as a relation; with many rows the test alone "
        "would call tiny correlations relations.",
    ),
    Factor(
        "relation_significance",
        (0.01, 0.05, 1.0),
        NOT_FOUND + "Level of the test of independence of two labels, without correction for the number of "
        "pairs: a false relation is cheap, since its weight is |phi|.",
    ),
    Factor(
        "costs",
        ("one", "balanced"),
        NOT_FOUND + "Every instance and label counts the same; `balanced` gives both classes of a label half "
        "of the weight, and would over-predict rare labels as the paper's TAOBAO row does.",
    ),
    Factor(
        "scaling",
        ("standard", "none"),
        NOT_FOUND + "Standardised on the rows of each fit, as for every method here.",
    ),
    Factor(
        "interaction_penalty",
        (1e-4, 1e-3, 1e-2),
        NOT_FOUND + "Variant `learned`: weight of the sum of absolute interactions.",
    ),
    Factor("rounds", (5, 10), NOT_FOUND + "Variant `learned`: times that interactions are learned."),
    Factor(
        "n_folds",
        (1, 5),
        NOT_FOUND
        + "Variant `learned`: interactions are learned on scores of rows that the predictors did not "
        "see, as they will be applied; 1 learns them on the fit's own scores.",
    ),
)
