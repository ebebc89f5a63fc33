"""What a position embedding does inside the blocks: modules for attention's logits, queries and keys, and outputs."""
