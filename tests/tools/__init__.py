"""What an operator and a producer use: commands and the client, by what they do for them."""
