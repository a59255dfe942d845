"""Load: requests on a schedule, what came of each, and what the instances did meanwhile"""
