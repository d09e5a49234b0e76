"""Judgements to what people read; the only place that knows how a name is printed."""
