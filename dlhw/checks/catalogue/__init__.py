"""The items by subject: their columns, with the headers that people give them."""
