"""What commands print with `--json`: a typed model each. The JSON Schemas in `suite/cli/schemas` are made of them."""
