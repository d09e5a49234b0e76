"""What the papers of DMP and MCC, and DMP's code, leave open or contradict: levels, default and the text; it
knows no network.

Defaults come from these sources, the code before the paper where DMP's two disagree and the paper is not
well defined, and from convention where all are silent; never from results.
"""

from __future__ import annotations

from baselines.sequential.modality_terms import SIGNS
from benchmark.contracts import Factor

SHARED_FACTORS = (
    Factor(
        "selection",
        ("holdout", "last"),
        "DMP's code keeps the best epoch, judged on its test set; MCC's paper reports 'the best results of "
        "the optimal parameters'. Here training rows set aside take that part; 'last': all epochs, none set "
        "aside.",
    ),
    Factor(
        "monitor",
        ("cross_entropy", "hamming"),
        "What the hold-out is judged by. DMP's code counts errors, which a few hundred rows make coarse; "
        "cross entropy per label of the final scores is what the label heads are trained on.",
    ),
    Factor(
        "scaling",
        ("zscore", "minmax", "l2", "none"),
        "Neither paper mentions scaling. Standardised on the training rows, as for every method here.",
    ),
)

DMP_FACTORS = (
    *SHARED_FACTORS,
    Factor(
        "hidden",
        (256, None),
        "The paper names no hidden size; the authors' code takes the number of features (None), 36 there. "
        "256 is M3LA's.",
    ),
    Factor(
        "peepholes",
        (False, True),
        "The paper prints an LSTM with peepholes, the authors' code has none.",
    ),
    Factor(
        "modality_head",
        ("current", "history"),
        "The paper puts the modality head on the stacked history, the code on the current hidden state.",
    ),
    Factor(
        "modality_activation",
        ("softmax", "linear"),
        "The paper prints a linear modality head, under which its loss has no minimum; the code has softmax.",
    ),
    Factor(
        "allow_repeats",
        (False, True),
        "The paper chooses among the unused modalities; the code takes the largest of all and only charges "
        "more for a repeat.",
    ),
    Factor(
        "modality_loss",
        ("neighbours", "distance", "none"),
        "The code's term compares an instance with its nearest neighbours; the paper prints the distance to "
        "the modality read last (distance). The label loss passes no gradient through a choice.",
    ),
    Factor(
        "neighbour_sign",
        SIGNS,
        "The code's comment: same label attracts, different labels repel; its comparison never holds, so "
        "every neighbour repels (always_minus). Several labels: 2 Jaccard - 1, which is +-1 for one.",
    ),
    Factor("n_neighbors", (3, 10), "3 in the code; the paper's text does not use neighbours."),
    Factor(
        "modality_weight",
        (1e-3, 1.0, 0.0),
        "0.001 in the code, for its neighbour term; the paper prints no factor (1) before its distance.",
    ),
    Factor(
        "modality_factor",
        ("none", "label_loss"),
        "The paper multiplies its distance by 1 minus the log likelihood (label_loss), the code by nothing.",
    ),
    Factor(
        "cost_term",
        ("mean", "squared"),
        "The code averages c_k pi_k, the paper squares: ||C G||^2.",
    ),
    Factor(
        "cost_weight",
        (0.1, 0.5, 0.9, 0.0),
        "0.1 in the code; the paper: lambda from 0.1 to 0.9.",
    ),
    Factor(
        "modality_cost",
        (0.1, 1.0),
        "0.1 for every modality in the code; the paper gives no costs. Under a softmax over the unread equal "
        "costs have no gradient.",
    ),
    Factor(
        "l2",
        (0.0, 0.1),
        "The paper adds lambda (||V||^2 + ||U||^2) of the heads, the code leaves it out.",
    ),
    Factor(
        "loss_form",
        ("batch_mean", "code"),
        "The paper sums over instances. 'code': the label loss is divided by one more than the active rows.",
    ),
    Factor(
        "budget",
        (None, 0.2),
        "The paper's c_thr has no value; the code's default, 50 at 0.1 per modality, never stops.",
    ),
    Factor(
        "confidence",
        (None, 0.95),
        "The paper's a_thr has no value, and the code has no such stop. Here the mean of max(p, 1 - p).",
    ),
    Factor("n_steps", (None, 2), "Given on the code's command line; None reads all modalities."),
    Factor("dropout", (0.5, 0.0), "0.5 on the label heads in the code; the paper mentions none."),
    Factor(
        "initialisation",
        ("orthogonal", "uniform"),
        "Orthogonal matrices and normal heads in the code; here orthonormal columns, as h differs from D.",
    ),
    Factor("optimiser", ("adadelta", "adam"), "AdaDelta in the code; the paper names none."),
    Factor("learning_rate", (1.0, 0.001), "AdaDelta as published has none (1); 0.001 suits Adam."),
    Factor(
        "epochs",
        (100, 300),
        "The paper stops when the objective moves by less than 1e-5, the code after 5000 epochs at most; its "
        "early stopping ends well before.",
    ),
    Factor(
        "patience",
        (15, 30),
        "15 validations, one every 100 updates, in the code: about one per epoch there.",
    ),
)

MCC_FACTORS = (
    *SHARED_FACTORS,
    Factor("hidden", (64, 128, 256), "Not given; 64 per label, since there are q networks."),
    Factor(
        "first_modality",
        ("first", "labels"),
        "The paper starts from S^1 without saying which modality that is. 'first': modality 0, as in DMP's "
        "code; 'labels': the earlier labels, the cheapest; the first label has none and starts with 0.",
    ),
    Factor(
        "modality_loss",
        ("hinge", "none"),
        "Eq. (6) adds a hinge loss 'measured by distances to K nearest neighbours' without a formula. Here "
        "the unread modality of the largest class margin less its cost should score 1 more than the others.",
    ),
    Factor("n_neighbors", (3, 10), "K of eq. (6) is not given; 3 as in DMP's code."),
    Factor(
        "confidence",
        (0.95, 0.9, None),
        "A_th is not given, nor how the accuracy a_t of a prediction is known: here max(p, 1 - p). The "
        "reported costs, half of all modalities, show that the rule was active; None reads everything.",
    ),
    Factor("budget", (None, 2.0), "C_th is not given; None leaves the stop to the confidence."),
    Factor(
        "initialisation",
        ("orthogonal", "uniform"),
        "Not given; as in DMP's code, by overlapping authors. Peephole weights start at zero there.",
    ),
    Factor("optimiser", ("adadelta", "adam"), "Eq. (9)-(11) print AdaDelta; its start is slow."),
    Factor("learning_rate", (1.0, 0.001), "AdaDelta as printed has none (1); 0.001 suits Adam."),
    Factor("batch_size", (64, 256), "N_b is not given; 64 as in DMP's code and in M3LA."),
    Factor("epochs", (100, 300), "N_iter is not given."),
    Factor("patience", (15, 30), "Not mentioned; as in DMP's code."),
)
