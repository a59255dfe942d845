"""Figures of the classifier on GPUs, each beside what the device itself can do in the same run"""
