"""The store's contract suite over every back end, and what each back end promises beyond it."""
