"""The search behind tuning jobs: which hyperparameters the next training job gets, and which job is stopped early"""
