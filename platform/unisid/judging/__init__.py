"""Other systems under this product's evaluator: their ranked lists, read, checked and compared."""
