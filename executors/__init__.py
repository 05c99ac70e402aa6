"""A plan to reality: journalled migrations within their limits."""
