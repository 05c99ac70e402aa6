"""What the operator wants: goals and rules, lowered to a problem made of data."""
