"""What the paper leaves open about M3LA: each choice with its levels, default and the text that is silent.

Defaults are the preset `literal`: what the paper prints; where it is silent, filled from a source it
builds on or from convention, never by results. Thresholds (13) and (16) act after training and are
chosen in the harness, not here.
"""

from __future__ import annotations

from benchmark.contracts import Factor

FACTORS: tuple[Factor, ...] = (
    Factor(
        "first_input",
        ("s0", "first", "zeros"),
        "Eq. (8) needs x^1 and (9) yields o^2..o^{m+1}, yet 'each modality is selected': (9) applied to "
        "s_0 is the only extension that reads m modalities in m steps. 'first': modality 1, as DMP's "
        "code; 'zeros': a start token, one modality never enters the decoder.",
    ),
    Factor(
        "order",
        ("learned", "fixed", "random"),
        "Sec. IV-D: 'M3LA-order indicates that we input modalities in order in the decoding phase' "
        "(fixed). 'random' is the control the paper lacks: it separates 'learned order' from 'any order'.",
    ),
    Factor(
        "order_gradient",
        ("straight_through", "none", "prob_ratio", "gumbel", "prob_scale", "reinforce"),
        "Eq. (9), 'o = arg max': no gradient passes, and no modality loss is printed. 'none' is the "
        "printed algorithm, whose modality head is never updated; straight-through is the usual convention "
        "for a layer that the paper wants learned. 'gumbel' keeps the temperature 1; 'reinforce' compares "
        "with the batch mean.",
    ),
    Factor(
        "allow_repeats",
        (False, True),
        "'select the one with the highest probability among the modalities that are not selected'; True "
        "is what DMP's code does.",
    ),
    Factor(
        "label_activation",
        ("softmax", "sigmoid"),
        "Eq. (11): 'activation function which we use the softmax function in this work', beside a "
        "per-label cross entropy (19) that presumes independent labels.",
    ),
    Factor(
        "feedback",
        ("probabilities", "detach", "logits", "hard"),
        "Eq. (11): 'the product of the prediction of the previous step and the correlation matrix': "
        "probabilities or labels, with or without gradient, is not said.",
    ),
    Factor(
        "label_correlation",
        (True, False),
        "Sec. IV-D: 'M3LA-W_co indicates the M3LA model without correlation matrix W_co' (False).",
    ),
    Factor(
        "w_co_init",
        ("zeros", "small_normal", "identity", "xavier"),
        "W_co is 'a parameter obtained through the training step'; its initial value is not given. Zeros "
        "make training start from the model without it.",
    ),
    Factor("w_co_diagonal", ("free", "zero"), "Eq. (11) puts no constraint on W_co's diagonal."),
    Factor(
        "label_head",
        ("shared", "per_step"),
        "Eq. (11): W_label has no index t, so one head serves all steps; DMP has one per step.",
    ),
    Factor(
        "attention",
        ("additive", "general", "dot", "mean"),
        "Eq. (7): 'a(.) is a score function', cited from Bahdanau et al., whose function is additive. "
        "'mean' replaces attention by the mean of the states (control).",
    ),
    Factor(
        "s0_source",
        ("h_m", "final_states", "mean"),
        "'g(h_1, ..., h_m) = h_m': the backward half of h_m has seen modality m only.",
    ),
    Factor("s0_activation", ("none", "tanh"), "Eq. (4) prints no activation; Bahdanau et al. use tanh."),
    Factor(
        "encoder_order",
        ("dataset", "random"),
        "Eq. (1)-(2) read modalities 1..m; the numbering is the data set's. 'random': one permutation per "
        "fit.",
    ),
    Factor(
        "cost",
        ("f1", "hamming", "accuracy", "rank", "none"),
        "Eq. (18): 'K(.) is a cost function', cited from Li and Lin (2014). F1 features there and in "
        "RethinkNet, whose equations (18) and (20) are; 'none' sets all weights to one (control).",
    ),
    Factor(
        "cost_prediction",
        ("0.5", "1/q", "top_lcard", "soft"),
        "Eq. (18): 'the predict vector when the k-th label is set to 0 and 1': a label vector; how it is "
        "binarised is not said. RethinkNet's code takes > 0.5.",
    ),
    Factor(
        "weight_normalisation",
        ("none", "mean_one"),
        "Eq. (18) prints no normalisation; RethinkNet's code scales the weights of a batch to mean one.",
    ),
    Factor(
        "weight_floor",
        (0.0, 0.1),
        "Eq. (18): F1 weights can be zero on every negative label; whether such labels still count is not "
        "said.",
    ),
    Factor(
        "weight_refresh",
        (0, 10),
        "Eq. (18): y^(t-1) of the same pass (0) or, as RethinkNet's code, of predictions renewed every 10 "
        "epochs.",
    ),
    Factor(
        "reduction",
        ("sum", "mean"),
        "Eq. (20) sums over steps and labels; the mean over the batch is a convention. 'mean' divides by "
        "m q.",
    ),
    Factor(
        "loss_steps",
        ("all", "last"),
        "Eq. (20) sums over t = 1..m; 'last' trains the final prediction only (control).",
    ),
    Factor(
        "optimiser",
        ("sgd", "sgd_momentum", "adam", "rmsprop", "adadelta"),
        "Sec. IV-A: 'we set the learning rate as 0.01', no optimiser is named; plain gradient descent is "
        "the only one that has a learning rate and nothing else.",
    ),
    Factor(
        "learning_rate",
        (0.01, 0.001, 0.0003),
        "Sec. IV-A: 'we set the learning rate as 0.01'; 0.001 suits Adam.",
    ),
    Factor(
        "schedule",
        ("per_epoch", "per_step", "none"),
        "Sec. IV-A: 'we set the decay rate as 0.99', per epoch or per step is not said; per step the rate "
        "is gone after a few epochs, and 300 would be pointless.",
    ),
    Factor(
        "decay_form",
        ("coupled", "coupled_no_bias", "decoupled"),
        "Eq. (20): lambda_3 ||Phi||^2 over 'all parameters' is a coupled L2 term with coefficient 2 "
        "lambda_3.",
    ),
    Factor("clip_norm", (None, 1.0, 5.0), "No gradient clipping is mentioned."),
    Factor("dropout", (0.0, 0.25, 0.5), "No dropout is mentioned (RethinkNet: 0.25, DMP's code: 0.5)."),
    Factor(
        "initialisation",
        ("uniform", "orthogonal"),
        "Initial weights are not given; 'uniform' is the framework's default for GRU and linear layers.",
    ),
    Factor(
        "scaling",
        ("zscore", "minmax", "l2", "none"),
        "Feature scaling is not mentioned. z-score: fitted on the training rows; 'l2': each modality of "
        "an example to length one.",
    ),
    Factor(
        "selection",
        ("last", "holdout"),
        "Sec. IV-A: 'setting the epoch to 300', no validation set: the last epoch. 'holdout': early "
        "stopping on training rows set aside, which also serve to calibrate thresholds.",
    ),
)
