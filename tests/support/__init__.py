"""Doubles, tiny models and strategies that several tests share."""
