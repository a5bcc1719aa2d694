"""Furniture designs, one family group a module; `designs.make` finds them."""
