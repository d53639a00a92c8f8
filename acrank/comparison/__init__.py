"""Scores against ground truth: how well does a score predict finetuned performance?"""
