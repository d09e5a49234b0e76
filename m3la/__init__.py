"""M3LA: model, loss, training loop, estimator."""
