"""What happened over REST (product.md, section 5)."""
