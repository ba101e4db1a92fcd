"""What is built from transfers: instruments that compile to chains of them."""
