"""The papers' models as reference baselines (torch). No model has landed yet."""
